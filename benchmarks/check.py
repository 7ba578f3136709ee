"""The short form of every speed benchmark, beside the committed figures: `make bench-check`.

    python benchmarks/check.py [NAME ...]            # exits with 1 when a row is slow or a benchmark fails
    python benchmarks/check.py --write [NAME ...]    # measures twice, commits the better of each row

Each benchmark runs in a process of its own, so that thread settings and peers do not disturb each other. A row is slow
below two thirds of the committed speed; a benchmark with a slow row runs once more, and the better of each row counts.
Left out are `event_gap`, `event_tasks`, `calibration`, `fit_retrain`, `gap_nmnist`, `nmnist` and `slayer_mnist`: they
measure accuracy and statistics, not speed; they train networks, and most need data that is not here.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

from judge import RED, Committed, Line, Outcome, Verdict, better_of, judge
from rich.console import Console
from rows import NotRun, Row, cpu, machine

HERE = Path(__file__).resolve().parent
COMMITTED = HERE / "results" / "ratios.json"
BENCHMARKS = ("i2e", "i2e_gpu", "convert_scale", "dynapcnn", "loihi2", "events", "live")
#: Seconds that a short form may take: several times what the longest takes on two busy cores.
LIMIT_S = 600.0
#: glibc keeps freed memory. Else large arrays get new pages at every use, whose cost changes from run to run: with it
#: the ratio of I2E to torch at batch 64 stays within 1.5 times on a busy machine, without it within 3 times.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
COLOURS: dict[Verdict, str] = {
    "ok": "green", "slow": "bold red", "failed": "bold red", "not run": "yellow", "not judged": "dim", "new": "cyan",
}  # fmt: skip


def measure(benchmark: Path, limit_s: float = LIMIT_S) -> Outcome:
    """Run the short form in that file in a process of its own."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        child = subprocess.Popen(  # noqa: S603  # this file
            [sys.executable, str(HERE / "check.py"), "--rows", str(benchmark)], stdout=out, stderr=err, text=True,
            start_new_session=True, env={**os.environ, **KEEP_MEMORY},
        )  # fmt: skip
        try:
            code = child.wait(limit_s)
            failure = f"exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            failure = f"took longer than {limit_s:g} s"
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        out.seek(0)
        err.seek(0)
        said = err.read().strip()
        if failure and said:
            failure += f", {said.splitlines()[-1]}"
        return parse(out.read().splitlines(), failure)


def parse(lines: Sequence[str], failure: str = "") -> Outcome:
    """What `--rows` printed; a line cut short by an end is left out."""
    found = [json.loads(line) for line in lines if line.endswith("}")]
    rows = tuple(Row(**data) for data in found if "reason" not in data)
    return Outcome(rows, tuple(data["reason"] for data in found if "reason" in data), failure)


def short_rows(benchmark: Path) -> Iterator[Row | NotRun]:
    """The rows of a short form; an optional package that is not installed ends it with a reason.

    A module of this project that cannot be imported is an error: the benchmark no longer fits the code.
    """
    sys.path.insert(0, str(benchmark.parent))
    try:
        yield from import_module(benchmark.stem).short()
    except ImportError as error:
        own = (error.name or "").partition(".")[0]
        if own == "i2e_deploy" or (benchmark.parent / f"{own}.py").exists():
            raise
        yield NotRun(str(error))


def read_committed() -> dict[str, Committed]:
    """By benchmark; empty where nothing was committed yet."""
    if not COMMITTED.exists():
        return {}
    found = json.loads(COMMITTED.read_text(encoding="utf-8"))
    for data in found.values():
        data["rows"] = tuple(Row(**row) for row in data["rows"])
    return {name: Committed(**data) for name, data in found.items()}


def write_committed(committed: dict[str, Committed]) -> None:
    data = {name: asdict(committed[name]) for name in BENCHMARKS if name in committed}
    COMMITTED.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def taken(outcome: Outcome, note: str) -> Committed:
    """An outcome of this machine, to be committed, with four digits."""
    rows = tuple(replace(row, value=float(f"{row.value:.4g}")) for row in outcome.rows)
    return Committed(cpu(), machine(), note, rows)


def show(console: Console, line: Line) -> None:
    """One line of the table."""
    now, before = (f"{row.value:12,.4g}" if row else f"{'-':>12s}" for row in (line.now, line.committed))
    row = line.now or line.committed
    share = f"{100 * line.share:5.0f} %" if line.share is not None else f"{'-':>7s}"
    unit = f"{row.unit}{', lower is better' if row.better == 'lower' else ''}" if row else ""
    console.print(f"  {line.name:58s}{before}{now}{share}  ", end="", markup=False)
    console.print(f"[{COLOURS[line.verdict]}]{line.verdict:10s}[/]", end="")
    console.print(f"  {line.why or unit}", markup=False)


def run(name: str, committed: Committed | None, twice: bool, console: Console) -> tuple[Outcome, list[Line]]:
    """Measure one benchmark and show its lines."""
    start, path = time.perf_counter(), HERE / f"{name}.py"
    outcome = measure(path)
    lines = judge(name, committed, outcome, cpu())
    if outcome.rows and (twice or any(line.verdict == "slow" for line in lines)):
        outcome = better_of(outcome, measure(path))
        lines = judge(name, committed, outcome, cpu())
    where = "" if committed is None or committed.machine == machine() else f"; committed on {committed.machine}"
    console.print(f"{name}, {time.perf_counter() - start:.0f} s{where}", markup=False)
    for line in lines:
        show(console, line)
    return outcome, lines


def main() -> int:
    """Exit code: 0, or 1 when a row is slow or a benchmark failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default all")
    parser.add_argument("--write", action="store_true", help="commit what is measured; a benchmark is whole or kept")
    parser.add_argument("--note", default="", help="with --write: what a reader must know of the machine's state")
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)  # the child: rows as JSON, one a line
    arguments = parser.parse_args()
    if arguments.rows is not None:
        out = sys.stdout
        with redirect_stdout(sys.stderr):  # benchmarks and peers print
            for row in short_rows((HERE / arguments.rows).with_suffix(".py")):
                print(json.dumps(asdict(row)), file=out, flush=True)
        return 0
    for name in arguments.names:
        if name not in BENCHMARKS:
            parser.error(f"benchmark {name!r}: choose one of {', '.join(BENCHMARKS)}")
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start", markup=False)
    console.print(f"  {'row':58s}{'committed':>12s}{'now':>12s}{'share':>7s}  {'verdict':10s}  unit or reason")
    committed, red = read_committed(), 0
    for name in arguments.names or BENCHMARKS:
        outcome, lines = run(name, committed.get(name), arguments.write, console)
        if not arguments.write:
            red += sum(line.verdict in RED for line in lines)
        elif outcome.failure or outcome.reasons:
            red += bool(outcome.failure)
            console.print(f"  {name} is not written: rows are missing", style="yellow")
        else:
            committed[name] = taken(outcome, arguments.note)
            write_committed(committed)
    console.print(f"{red} red" if red else "nothing red", style="bold red" if red else "green")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
