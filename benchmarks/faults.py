"""What becomes of the outputs of every writing command: kill -9, a full disk, two runs at once, a read-only place.

    python benchmarks/faults.py [--moments 200] [--seed 0] [--commands "convert to .npy,report"]

Each trial is a fork of this process, in which all modules are loaded, that runs one command line. Afterwards its
output is absent, the old one, or whole; nothing else is left but hidden names, and after an error not even these; and
the same command then works. Kills come at the n-th access to the folder and at drawn times.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_seeds import picture, small_network, some_events

Check = Callable[[Path], None]
#: Audit events at which a kill may come, see sys.addaudithook.
_ACCESS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
#: User `nobody`: root may write anywhere.
_NOBODY = 65534


@dataclass(frozen=True)
class Command:
    """A command line that writes.

    Args:
        name: for the table.
        arguments: with `OUT` for the output.
        out: name of the output.
        check: raises unless the output is whole.
        again: whether it writes over an output of before; False: it refuses, and must not touch it.
    """

    name: str
    arguments: tuple[str, ...]
    out: str
    check: Check
    again: bool = True

    def line(self, folder: Path) -> list[str]:
        return [str(folder / self.out) if word == "OUT" else word for word in self.arguments]


def commands(home: Path) -> list[Command]:
    """Every command that writes, with inputs made in `home`."""
    from i2e_deploy import bundle
    from i2e_deploy.chips import get
    from i2e_deploy.events.files import read_events, write_events
    from i2e_deploy.files import read_array, read_arrays
    from i2e_deploy.network.file import write_network
    from i2e_deploy.runtime.recording import read_session

    rng = np.random.default_rng(0)
    for index in range(6):
        place = home / "pictures" / ("cat", "dog")[index % 2] / f"{index}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture("PNG", size=(40 + index, 30)))
    write_network(small_network(), home / "n.safetensors")
    frames = rng.integers(0, 2, (2, 4, 2, 8, 8)).astype(np.uint8)
    np.save(home / "f.npy", frames)
    np.savez(home / "d.npz", frames=frames, labels=np.array([0, 1]))
    write_events(home / "e.aedat4", some_events(20_000, 1), (34, 34))
    write_events(home / "e.raw", some_events(20_000, 1), (34, 34))
    write_events(home / "w.raw", some_events(20_000, 1, (128, 128)), (128, 128))
    (home / "r.csv").write_text(
        "synops_per_s,spikes_per_s,watts\n0,0,0.001\n1e6,1e4,0.002\n2e6,5e4,0.0033\n3e6,1e4,0.004\n"
    )
    bundle.write(home / "b", get("speck2f"), small_network(), frames)

    def text(start: str, end: str) -> Check:
        def check(path: Path) -> None:
            held = path.read_text(encoding="utf-8").strip()
            assert (held[: len(start)], held[-len(end) :]) == (start, end), held[-80:]

        return check

    def shards(path: Path) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        assert sorted(p.name for p in path.iterdir()) == sorted(
            ["manifest.json", *(s["file"] for s in manifest["shards"])]
        )
        for shard in manifest["shards"]:
            assert (path / shard["file"]).stat().st_size == shard["bytes"]

    def session(path: Path) -> None:
        assert next(iter(read_session(path)))[0] == "H"
        list(read_session(path))

    def held(read: Callable[[Path], object]) -> Check:
        def check(path: Path) -> None:
            read(path)

        return check

    def any_events(name: str) -> Check:
        format_ = None if name == "metavision" else name  # read as any HDF5
        return held(lambda path: read_events(path, format_, (128, 128)))

    pictures, model, data = (str(home / name) for name in ("pictures", "n.safetensors", "d.npz"))
    chip, source = ("--chip", "speck2f"), f"file://{home / 'e.raw'}"
    convert = ("convert", pictures, "--out", "OUT", "--size", "16")
    live = ("live", model, "--source", source, "--window", "5", "--record", "OUT")
    simulate = ("simulate", model, *chip, "--input", str(home / "f.npy"), "--out", "OUT")
    calibrate = ("calibrate-power", str(home / "r.csv"), *chip, "--out", "OUT")
    events = (".aedat4", ".raw", ".npz", ".h5", ".es", ".csv", ".dat")
    recording = ("convert", str(home / "w.raw"), "--out", "OUT", "--out-format")
    others = ("aedat2", "aedat3.1", "evt2", "evt2.1", "nmnist", "metavision", "rosbag", "mcap")
    return [
        Command("convert to .npy", convert, "o.npy", held(read_array)),
        *(Command(f"convert to {suffix}", convert, f"o{suffix}", held(read_events)) for suffix in events),
        *(Command(f"convert to {name}", (*recording, name), "o.events", any_events(name)) for name in others),
        Command("convert to shards", (*convert, "--workers", "1", "--shard-items", "2"), "shards", shards),
        Command("export", ("export", model, *chip, "--out", "OUT"), "bundle", held(bundle.read), again=False),
        Command("simulate", simulate, "o.npz", held(read_arrays)),
        Command("evaluate --junit", ("evaluate", model, data, "--junit", "OUT"), "o.xml", text("<?xml", ">")),
        Command("evaluate --html", ("evaluate", model, data, "--html", "OUT"), "o.html", text("<!", "</html>")),
        Command("report", ("report", str(home / "b"), "--out", "OUT"), "r.html", text("<!", "</html>")),
        Command("calibrate-power", calibrate, "p.json", text("{", "}")),
        Command("live --record", live, "o.session", session, again=False),
    ]


@dataclass(frozen=True)
class Fork:
    """A command line that runs: its process, and the pipe of what it says (files may be limited)."""

    child: int
    said: int

    def ended(self) -> tuple[int, str]:
        """Exit code and what it said."""
        with open(self.said, "rb") as pipe:
            said = pipe.read()
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1]), said.decode(errors="replace")


def forked(line: list[str], prepare: Callable[[], None] | None = None) -> Fork:
    """Start a command line in a fork."""
    sys.stdout.flush()
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return Fork(child, read)
    code = 99
    try:
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)
        os.chdir("/")
        if prepare is not None:
            prepare()
        from i2e_deploy.cli.app import run

        code = run(line)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def warm(line: list[str]) -> None:
    """Run a command line here, so that the forks find all modules loaded."""
    from i2e_deploy.cli.app import run

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = run(line)
    assert code == 0, line


def kill_at(folder: Path, number: int) -> Callable[[], None]:
    """Makes a fork kill itself at its `number`-th access to `folder`."""

    def prepare() -> None:
        left = [number]

        def hook(event: str, args: tuple[object, ...]) -> None:
            if event in _ACCESS and any(str(folder) in str(arg) for arg in args[:2]):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)

    return prepare


class Trial:
    """A folder with one command's output, and what must hold of it.

    Args:
        command: what runs.
        root: where folders are made.
    """

    def __init__(self, command: Command, root: Path) -> None:
        self.command, self.said = command, ""
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.folder.chmod(0o777)  # the user of `read_only` is another
        self.out = self.folder / command.out

    def run(self, prepare: Callable[[], None] | None = None) -> int:
        code, self.said = self.start(prepare).ended()
        return code

    def start(self, prepare: Callable[[], None] | None = None) -> Fork:
        return forked(self.command.line(self.folder), prepare)

    def check(self, code: int, what: str) -> None:
        """Raise AssertionError if the output is neither absent nor whole, or if something visible stands beside it."""
        names = sorted(path.name for path in self.folder.iterdir())
        where = f"{self.command.name}: {what}: exit {code}, {names}: {self.said[-400:]}"
        visible = [path.name for path in self.folder.iterdir() if not path.name.startswith(".")]
        assert set(visible) <= {self.command.out}, where
        if self.out.exists() and not self._in_progress() and not self._empty():
            try:
                self.command.check(self.out)
            except Exception as error:
                raise AssertionError(f"{where}: {error!r}") from error
        if code == 0:
            assert self.out.exists(), where
            assert not self._in_progress(), where

    def _empty(self) -> bool:
        return self.out.is_dir() and not any(self.out.iterdir())

    def _in_progress(self) -> bool:
        """Shards: what is there says itself that it is not whole."""
        return self.out.is_dir() and (self.out / ".progress").exists()

    def refused(self, code: int, what: str, before: list[str]) -> None:
        """Raise AssertionError unless the command ended with one line, and left nothing."""
        said = [line for line in self.said.splitlines() if line.strip()]
        names = sorted(path.name for path in self.folder.iterdir())
        where = f"{self.command.name}: {what}: exit {code}, {names}: {said[-4:]}"
        assert code == 2, where
        assert sum(line.startswith("error: ") for line in said) == 1, where
        assert not any("Traceback" in line for line in said), where
        left = [name for name in names if name not in before]
        if self._in_progress() or self._empty() or self.command.name in ("live --record", "export"):
            # what is there goes on; a recording can be read up to there; a bundle is whole without its page
            left = [name for name in left if name != self.command.out]
            assert not list(self.folder.glob("**/*.tmp")), where
        assert not left, where

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def killed(trial: Trial, moment: int | float, over: bool) -> bool:
    """Kill at an access (int) or after so many seconds (float); whether it was killed. Then the command must work."""
    if over:
        assert trial.run() == 0, trial.said
    if isinstance(moment, float):
        fork = trial.start()
        timer = threading.Timer(moment, os.kill, (fork.child, signal.SIGKILL))
        timer.start()
        code, trial.said = fork.ended()
        timer.cancel()
    else:
        code = trial.run(kill_at(trial.folder, moment))
    trial.check(code, f"killed at {moment}")
    if over:
        assert trial.out.exists(), f"{trial.command.name}: killed at {moment}: the old output is lost"
    if trial.command.again or not trial.out.exists():
        again = trial.run()
        trial.check(again, f"again after a kill at {moment}")
        assert again == 0, f"{trial.command.name}: again after {moment}: {trial.said}"
    return code == -signal.SIGKILL


def full(trial: Trial, room: int, over: bool) -> bool:
    """No file may have more than `room` bytes; whether that was too few."""
    before: list[str] = []
    if over and trial.command.again:
        assert trial.run() == 0
        before = [trial.command.out]
    code = trial.run(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
    trial.check(code, f"at most {room} bytes a file")
    if code:
        trial.refused(code, f"at most {room} bytes a file", before)
    return code != 0


def read_only(trial: Trial) -> None:
    """In a place where nothing may be written."""

    def prepare() -> None:
        if os.getuid() == 0:
            os.setuid(_NOBODY)

    trial.folder.chmod(0o555)
    code = trial.run(prepare)
    trial.refused(code, "read-only", [])


def twice(trial: Trial, delay: float) -> None:
    """Two runs on one output, the second a moment after the first."""
    first = trial.start()
    time.sleep(delay)
    codes = [trial.run(), first.ended()[0]]
    trial.check(min(codes), "two runs")
    assert sorted(codes) in ([0, 0], [0, 2]), (trial.command.name, codes, trial.said)


def size_of(path: Path) -> int:
    return max(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")))


def main() -> int:
    parser = argparse.ArgumentParser(description="Kills, full disks, two runs, read-only places.")
    parser.add_argument("--moments", type=int, default=100, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default="")
    given = parser.parse_args()
    rng, bad = np.random.default_rng(given.seed), 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "in").mkdir()
        chosen = [
            command
            for command in commands(root / "in")
            if any(part in command.name for part in given.commands.split(","))
        ]
        print(f"{'command':23}{'kills':>8}{'full disk':>11}{'read-only':>11}{'two runs':>10}")
        for command in chosen:
            counts: Counter[str] = Counter()
            try:
                one_command(command, root, given.moments, rng, counts)
            except AssertionError as error:
                bad += 1
                print(f"FAILED {error}")
            print(
                f"{command.name:23}{counts['kill']:>8}{counts['full']:>11}{counts['ro']:>11}{counts['two']:>10}",
                flush=True,
            )
    return int(bad > 0)


def one_command(command: Command, root: Path, moments: int, rng: np.random.Generator, counts: Counter[str]) -> None:
    """All trials of a command."""

    def trial() -> Trial:
        return Trial(command, root)

    whole = trial()
    warm(command.line(whole.folder))
    whole.close()
    whole = trial()
    began = time.monotonic()
    assert whole.run() == 0, f"{command.name}: {whole.said}"
    took, size = time.monotonic() - began, size_of(whole.out)
    whole.check(0, "undisturbed")
    whole.close()
    number, last = 0, moments  # the number of the last access to the folder, once it is known
    while counts["kill"] < moments and number < 3 * moments:
        over = command.again and number % 2 == 1
        each = trial()
        moment = number // 4 % last + 1 if number % 4 < 2 else float(rng.uniform(0, took))
        dead = killed(each, moment, over)
        if not dead and isinstance(moment, int) and not over:
            last = max(1, moment - 1)
        counts["kill"] += dead
        number += 1
        each.close()
    for room in (0, 1, 100, size // 2, size - 1, *(int(rng.integers(size)) for _ in range(moments // 10))):
        each = trial()
        counts["full"] += full(each, room, bool(room % 2))
        each.close()
    each = trial()
    read_only(each)
    counts["ro"] += 1
    each.close()
    for _ in range(max(1, moments // 20)):
        each = trial()
        twice(each, float(rng.uniform(0, took)))
        counts["two"] += 1
        each.close()


if __name__ == "__main__":
    sys.exit(main())
