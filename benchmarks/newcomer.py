"""What a newcomer waits for: every tutorial from a fresh clone, in a new environment, line by line.

Run: python benchmarks/newcomer.py [--no-torch-index] [PAGE ...] > benchmarks/results/newcomer.txt, with pip and an
index of packages. Each page gets an empty environment, what its own `pip install` lines install there from the clone,
and an empty folder; then its blocks of Python (in one session) and its command lines run in the order of the page.
Seconds are of the wall clock and of the processor; on a busy machine only the second kind says something.
`--no-torch-index` leaves out the lines that ask torch's own index, for machines that have torch's CPU wheel elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rows import cpu

ROOT = Path(__file__).parent.parent
#: "Your network", where a page says so: a program for the folder in which the page runs.
NETWORK = """
import numpy as np, i2e_deploy as i2e
from i2e_deploy.network import Conv2d, Flatten, IntegrateAndFire, Linear, chain
draw, fires = np.random.default_rng(0), IntegrateAndFire(1.0, -1.0)
conv, last = draw.normal(0.1, 0.3, (8, 2, 3, 3)), draw.normal(0.02, 0.2, (10, 512))
ops = {"conv": Conv2d(conv.astype(np.float32), stride=(2, 2), padding=(1, 1)), "lif": fires, "flat": Flatten(),
       "fc": Linear(last.astype(np.float32)), "out": fires}
network = chain((2, 16, 16), ops)
i2e.network.write(network, "network.safetensors")
frames = (draw.random((20, 8, 2, 16, 16)) < 0.2).astype(np.uint8)
np.save("frames.npy", frames[:4])
np.savez("frames.npz", frames=frames, labels=i2e.chips.get("speck2f").lower(network).run(frames).decisions())
"""
#: A bundle of it, recordings of noise and readings of a meter, for the page on a board.
BOARD = """
import pathlib
i2e.bundle.write("my_bundle", i2e.chips.get("speck2f"), network, frames[:2], semantics="event")
i2e.network.write(network, "my_network.safetensors")
def record(path):
    events = i2e.events.empty_events(800)
    events["t"] = np.cumsum(draw.integers(0, 100, 800))
    for name, limit in (("x", 16), ("y", 16), ("p", 2)):
        events[name] = draw.integers(0, limit, 800)
    i2e.events.write(path, events, (16, 16))
record("recording.aedat4")
for number in range(4):
    folder = pathlib.Path("recordings", str(number % 2))
    folder.mkdir(parents=True, exist_ok=True)
    record(folder / f"{number}.aedat4")
readings = ["synops_per_s,spikes_per_s,watts", "0,0,0.0005", "1e6,1e4,0.0009", "2e6,1e4,0.0012"]
pathlib.Path("readings.csv").write_text(chr(10).join(readings))
"""
PREPARED = {"ci.md": NETWORK, "board.md": NETWORK + BOARD}
#: The command line beside a board that is not there: the stand-in that the tests use.
FAKE = ("from i2e_deploy.chips.dynapcnn.targets.board.fake import fake_samna\nfrom i2e_deploy.cli import main\n"
        "with fake_samna():\n    main()\n")  # fmt: skip
#: Steps of a page that nobody can walk here, and why.
LEFT_OUT = {"--target results.zip": "comes back from a board", "--view": "ends when its reader ends it"}
#: Where torch's CPU build comes from.
TORCH_INDEX = "download.pytorch.org"
#: Words with which a command line of a page begins.
COMMANDS = ("i2e-deploy ", "pytest --i2e", "mkdir ")
#: Runs the steps of a page, one after the other, and writes a line of JSON for each.
WALK = """
import json, resource, subprocess, sys, time
def used():
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, whose))
names = {}
for kind, text in json.loads(sys.argv[1]):
    before, start = used(), time.perf_counter()
    if kind == "python":
        exec(text, names)
    elif subprocess.run(text, shell=True).returncode:
        sys.exit("exit code of " + text)
    row = {"wall": time.perf_counter() - start, "cpu": used() - before}
    print(json.dumps(row), file=open("steps.jsonl", "a"))
"""


@dataclass(frozen=True)
class Page:
    """A tutorial: its lines for pip, then ("python", block) and ("shell", line) in its order."""

    name: str
    installs: list[str]
    steps: list[tuple[str, str]]


@dataclass(frozen=True)
class Walk:
    """What a page took: of the wall clock and of the processor, in seconds, and where it stopped ("" if nowhere)."""

    install: tuple[float, float]
    megabytes: int
    steps: list[tuple[float, float]]
    error: str


def read_page(path: Path) -> Page:
    """A page with what a reader types."""
    installs: list[str] = []
    steps: list[tuple[str, str]] = []
    for kind, body in re.findall(r"```(\w*)\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        if kind == "python":
            steps.append(("python", body))
        elif not kind:
            lines = [line.split(" #")[0].strip() for line in body.splitlines()]
            installs += [line for line in lines if line.startswith("pip install ")]
            steps += [("shell", line) for line in lines if line.startswith(COMMANDS)]
    return Page(path.name, installs, steps)


def left_out(text: str) -> str:
    """Why a step is not walked, or ""."""
    return next((why for part, why in LEFT_OUT.items() if part in text), "")


def typed(kind: str, text: str) -> tuple[str, str]:
    """A step as it is run: a line that asks for a board runs beside the stand-in."""
    if kind == "shell" and "--target board" in text:
        return kind, text.replace("i2e-deploy", "python fake.py", 1)
    return kind, text


def measured(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float, str]:
    """Seconds of the wall clock and of the processor of a child, and the last line of its error."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stderr.strip().splitlines() or ["no message"])[-3:]
    return wall, cpu_s, " / ".join(said) if done.returncode else ""


def walk(page: Page, clone: Path, folder: Path) -> Walk:
    """Install, prepare, walk."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "I2E_"))}
    environment["PATH"] = os.pathsep.join([str(folder / "env" / "bin"), os.environ["PATH"]])
    desk = folder / "desk"
    desk.mkdir(parents=True)
    make = " && ".join([f"{sys.executable} -m venv {folder / 'env'}", *(f"{line} -q" for line in page.installs)])
    wall, cpu_s, error = measured(["bash", "-c", make], clone, environment)
    megabytes = sum(path.stat().st_size for path in (folder / "env").rglob("*") if path.is_file()) // 1_000_000
    installed = (wall, cpu_s)
    if error:
        return Walk(installed, megabytes, [], f"pip: {error}")
    (desk / "fake.py").write_text(FAKE)
    if prepared := PREPARED.get(page.name):  # with a cache of its own: the page's first command finds none
        prepare = {**environment, "NUMBA_CACHE_DIR": str(folder / "cache")}
        if error := measured(["python", "-c", prepared], desk, prepare)[2]:
            return Walk(installed, megabytes, [], f"prepared: {error}")
    steps = [typed(*step) for step in page.steps if not left_out(step[1])]
    error = measured(["python", "-c", WALK, json.dumps(steps)], desk, environment)[2]
    lines = (desk / "steps.jsonl").read_text().splitlines() if (desk / "steps.jsonl").exists() else []
    rows = [json.loads(line) for line in lines]
    return Walk(installed, megabytes, [(row["wall"], row["cpu"]) for row in rows], error)


def table(page: Page, result: Walk) -> None:
    """A line for the page, then one for each of its steps."""
    wall, cpu_s = (sum(step[kind] for step in result.steps) for kind in (0, 1))
    told = f"STOPPED: {result.error}" if result.error else "all of these ran"
    print(f"\n{page.name}: {len(result.steps)} steps, {wall:.0f} s wall, {cpu_s:.0f} s processor; {told}")
    print(*(f"  {line}" for line in page.installs), sep="\n")
    print(f"  installation: {result.install[0]:.0f} s wall, {result.install[1]:.0f} s processor, {result.megabytes} MB")
    times = iter(result.steps)
    for kind, text in page.steps:
        first = next(line for line in text.splitlines() if line.strip())
        shown = f"block: {first}" if kind == "python" else text
        shown = shown if len(shown) < 90 else f"{shown[:86]} ..."
        if why := left_out(text):
            print(f"  {'left out':>17}   {shown} ({why})")
        elif (took := next(times, None)) is None:
            print(f"  {'not reached':>17}   {shown}")
        else:
            beside = "  [beside the stand-in]" if typed(kind, text)[1] != text else ""
            print(f"  {took[0]:7.1f} {took[1]:7.1f} s   {shown}{beside}")
    sys.stdout.flush()


def main(words: list[str]) -> None:
    """All tutorials, or those that are named."""
    names = [word for word in words if word != "--no-torch-index"]
    known = sorted(path.name for path in (ROOT / "docs" / "tutorials").glob("*.md"))
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"{unknown[0]}: no tutorial; choose of {', '.join(known)}")
    print(f"{cpu()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(f"load before: {os.getloadavg()[0]:.1f}; date: {time.strftime('%Y-%m-%d')}; columns: wall, processor")
    with tempfile.TemporaryDirectory() as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(clone)], check=True)  # noqa: S603, S607
        for path in sorted((clone / "docs" / "tutorials").glob("*.md")):
            page = read_page(path)
            if names != words:
                page = replace(page, installs=[line for line in page.installs if TORCH_INDEX not in line])
            if page.steps and (not names or page.name in names):
                table(page, walk(page, clone, Path(name) / page.name))
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
