"""Mutated files over every reader: what was refused, read, salvaged, and what must not be: crashed, hung, over memory.

    python benchmarks/fuzz.py --files 1000000 [--kinds nir,bag] [--state fuzz_state.json]     # goes on where it stopped
    python benchmarks/fuzz.py --table [--state ...]                                       # what was found so far
    python benchmarks/fuzz.py --one KIND NUMBER [--keep FILE]                             # one file again

File NUMBER of a kind is the same in every run. The readers run in a child process that gives a letter for every file:
no letter for `PATIENCE` seconds is a hang, its end is a crash. Every kind gets the same time in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_kind import Kind
from fuzz_kinds import kinds
from fuzz_mutations import mutated

from i2e_deploy.errors import I2EDeployError

#: Letters of the child.
OUTCOMES = {
    "r": "refused",
    "k": "read",
    "s": "salvaged",
    "c": "crashed",
    "h": "hung",
    "m": "over memory",
    "t": "traceback",
}
BAD = "chmt"
PATIENCE = 60.0
#: Memory that a file may take, bytes: an animation of 64 million pixels, the limit, takes 1.4 GB while it is decoded.
MEMORY = 2**31
#: Seconds of a kind in a turn.
TURN = 20.0


def file_of(kind: Kind, number: int) -> bytes:
    """File `number` of a kind."""
    return mutated(kind.seeds, np.random.default_rng([zlib.crc32(kind.name.encode()), number]))


def outcome_of(kind: Kind, path: Path) -> tuple[str, str]:
    """Letter and message of a file."""
    try:
        return ("s" if kind.read(path) == "salvaged" else "k"), ""
    except I2EDeployError as error:
        lines = str(error)
        return ("t", f"an error of several lines: {lines!r}") if "\n" in lines else ("r", lines)
    except MemoryError:
        return "m", "MemoryError"
    except BaseException as error:  # a panic of Rust is one
        if isinstance(error, KeyboardInterrupt):
            raise
        return "t", "".join(traceback.format_exception(error)[-3:])


def work(name: str, start: int, folder: Path) -> None:
    """The child: a letter on standard output for each file from `start` on, until it is ended."""
    (kind,) = [kind for kind in kinds(folder, name) if kind.name == name]
    path = folder / f"a{kind.suffix}"
    base, number = _peak(), start
    while True:
        path.write_bytes(file_of(kind, number))
        letter, text = outcome_of(kind, path)
        if letter != "m" and _peak() > base + MEMORY:
            letter, text = "m", f"{(_peak() - base) >> 20} MiB"
        if letter in BAD:
            print(json.dumps([kind.name, number, OUTCOMES[letter], text]), file=sys.stderr, flush=True)
        os.write(1, letter.encode())
        base, number = max(base, _peak() - MEMORY), number + 1


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class State:
    """What was done so far, on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, letters: str) -> None:
        counts = Counter(self.done.get(name, {})) + Counter(letters)
        self.done[name] = dict(counts)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.done, indent=1))
        os.replace(temporary, self.path)

    def next(self, name: str) -> int:
        return sum(self.done.get(name, {}).values())

    @property
    def total(self) -> int:
        return sum(map(self.next, self.done))


def turn(kind: Kind, state: State, folder: Path, found: Path, most: int, seconds: float) -> None:
    """One child for one kind, for `seconds` or `most` files."""
    place = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, __file__, "--work", kind.name, str(state.next(kind.name)), str(place)]
    with found.open("ab") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as child:  # noqa: S603
        assert child.stdout is not None
        letters, began, heard = "", 0.0, time.monotonic()
        bad = ""
        while len(letters) < most and (not began or time.monotonic() < began + seconds):
            ready, _, _ = select.select([child.stdout], [], [], 1.0)
            if ready:
                got = os.read(child.stdout.fileno(), 2**16).decode()
                if not got:
                    bad = "c"
                    break
                letters, heard = letters + got, time.monotonic()
                began = began or heard
            elif time.monotonic() > heard + PATIENCE:
                bad = "h"
                break
        child.kill()
        child.wait()
        if bad:
            letters += bad
            number = state.next(kind.name) + len(letters) - 1
            log.write(json.dumps([kind.name, number, OUTCOMES[bad], f"exit {child.returncode}"]).encode() + b"\n")
    state.add(kind.name, letters)
    shutil.rmtree(place, ignore_errors=True)


def table(state: State, rooms: dict[str, str]) -> str:
    """Counts by room and kind."""
    lines = [f"{'kind':28}{'files':>10}" + "".join(f"{word:>13}" for word in OUTCOMES.values())]
    whole: Counter[str] = Counter()
    for room in dict.fromkeys(rooms.values()):
        for name in (name for name, of in rooms.items() if of == room and name in state.done):
            counts = state.done[name]
            whole.update(counts)
            lines.append(_row(name, counts))
    return "\n".join([*lines, _row("all", whole)])


def _row(name: str, counts: Any) -> str:
    return f"{name:28}{sum(counts.values()):>10,}" + "".join(f"{counts.get(letter, 0):>13,}" for letter in OUTCOMES)


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutated files over every reader.")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--state", type=Path, default=Path("fuzz_state.json"))
    parser.add_argument("--turn", type=float, default=TURN, help="seconds of a kind before the next one")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NUMBER"))
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        with contextlib.suppress(BrokenPipeError):
            work(given.work[0], int(given.work[1]), Path(given.work[2]))
        return 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as name:  # noqa: S108
        folder = Path(name)
        if given.one:
            (kind,) = [kind for kind in kinds(folder, given.one[0]) if kind.name == given.one[0]]
            path = given.keep or folder / f"one{kind.suffix}"
            path.write_bytes(file_of(kind, int(given.one[1])))
            letter, text = outcome_of(kind, path)
            print(OUTCOMES[letter], text)
            return int(letter in BAD)
        chosen, state = kinds(folder, given.kinds), State(given.state)
        found, start = given.state.with_suffix(".found"), state.total
        while not given.table and state.total < given.files:
            for kind in chosen:
                if state.total < given.files:
                    turn(kind, state, folder, found, given.files - state.total, given.turn)
            print(f"{state.total:,} files, {state.total - start:,} in this run", flush=True)
        print(table(state, {kind.name: kind.room for kind in kinds(folder)}))
    return int(any(letter in BAD for counts in state.done.values() for letter in counts))


if __name__ == "__main__":
    sys.exit(main())
