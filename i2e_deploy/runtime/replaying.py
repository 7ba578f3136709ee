"""Play a recorded session again, bit for bit: a bug seen on a desk becomes a test.

The windower gets the same calls in the same order, so it closes the same windows; what the policy dropped or merged
is read off the recorded decisions. Every decision must come out equal in all but its latency.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.chips import Program
from i2e_deploy.errors import ComparisonFailed, FileFormatError, I2EDeployError, InputError
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec, Window, Windower
from i2e_deploy.runtime.backlog import Waiting, merge
from i2e_deploy.runtime.decider import Decider, Decision, LiveSpec
from i2e_deploy.runtime.recording import read_session
from i2e_deploy.text import record_repr

#: Windows kept until a decision asks for them; a session in which more were dropped in a row cannot be.
_MOST_HELD = 2**16
_PACKAGES = ("i2e-deploy", "numpy", "numba", "torch")


def session_header(spec: LiveSpec, program: Program, uri: str, seed: int, **notes: Any) -> dict[str, Any]:
    """What `Recorder` writes first: enough to build the same session again."""
    return {
        "spec": asdict(spec),
        "program": program_digest(program),
        "source": uri,
        "seed": seed,
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        **notes,
    }


def program_digest(program: Program) -> str:
    """SHA-256 over a program's integers and graph: equal programs, equal digest."""
    tensors, data = program.to_tensors()
    digest = hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode())
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def spec_of(header: dict[str, Any]) -> LiveSpec:
    """The spec in a session's header.

    Raises:
        FileFormatError: it is not one.
    """
    try:
        spec = dict(header["spec"])
        stream, frame = StreamSpec(**spec.pop("stream")), dict(spec.pop("frame"))
        for name in ("sensor_size", "shape", "crop"):
            frame[name] = None if frame[name] is None else tuple(int(value) for value in frame[name])
        return LiveSpec(stream, FrameSpec(**frame), **spec)
    except (KeyError, TypeError, ValueError, I2EDeployError) as error:
        raise FileFormatError(f"the session's header holds no valid spec: {error}") from error


@dataclass(frozen=True)
class Replay:
    """Outcome of a replay.

    Args:
        decisions: how many were compared.
        differences: one line for each that is not equal, at most 20.
        same_program: whether the program is the recorded one.
    """

    decisions: int
    differences: tuple[str, ...]
    same_program: bool

    __repr__ = record_repr

    def raise_if_different(self) -> None:
        """Raise ComparisonFailed unless every decision was equal."""
        if self.differences:
            other = "" if self.same_program else "the program is not the recorded one; "
            raise ComparisonFailed(other + "; ".join(self.differences))


def replay(path: str | Path, program: Program) -> Replay:
    """Run a recorded session through `program` and compare every decision.

    Raises:
        InputError: no such file, or a program with another input shape.
        FileFormatError: not a session, or one that contradicts itself.
    """
    count, same = 0, True
    differences: list[str] = []
    for recorded, decision, header in _decisions(Path(path), program):
        same = header["program"] == program_digest(program) if count == 0 else same
        count += 1
        wanted = {key: value for key, value in recorded.items() if key != "latency"}
        got = decision.exact()
        if wanted != got and len(differences) < 20:
            first = next(key for key in got if wanted.get(key) != got[key])
            differences.append(
                f"decision {count - 1} (windows {got['windows']}): {first} was {wanted.get(first)}, now {got[first]}"
            )
    return Replay(count, tuple(differences), same)


def _decisions(path: Path, program: Program) -> Iterator[tuple[dict[str, Any], Decision, dict[str, Any]]]:
    header: dict[str, Any] = {}
    decider: Decider | None = None
    binary = False
    pending: list[dict[str, Any]] = []
    held: dict[int, Window] = {}
    for kind, value in _windows_and_decisions(path):
        if kind == "H":
            header, spec = value, spec_of(value)
            if "target" in header:
                raise InputError(
                    f"{path} holds the decisions of a chip, whose order of events is free: compare it with "
                    "`i2e-deploy evaluate` on its events"
                )
            decider, binary = Decider(program, spec), spec.frame.binary
        elif kind == "W":
            held[value.index] = value
            if len(held) > _MOST_HELD:
                raise FileFormatError(f"{path}: more than {_MOST_HELD} windows without a decision")
        else:
            pending.append(value)
        # a decision may stand in the file before the packet that closed its window: two threads write
        while pending and decider is not None and all(i in held for i in pending[0].get("windows", [])):
            recorded = pending.pop(0)
            yield recorded, decider.decide(_take(held, recorded, binary, path)), header
    if pending:
        raise FileFormatError(f"{path}: decision on windows {pending[0].get('windows')} that the packets do not make")


def _take(held: dict[int, Window], recorded: dict[str, Any], binary: bool, path: Path) -> Waiting:
    """The windows of a decision, merged as they were; those before them were dropped."""
    indices = recorded.get("windows") or []
    if not indices:
        raise FileFormatError(f"{path}: a decision on no window")
    items = [Waiting(held[i], (i,), 0.0) for i in indices]
    for i in [i for i in held if i <= indices[-1]]:
        del held[i]
    item = items[0]
    for other in items[1:]:
        item = merge(item, other, binary)
    return item


def session_windows(path: str | Path) -> Iterator[Window]:
    """All windows of a recorded session, those the policy dropped included."""
    for kind, value in _windows_and_decisions(Path(path)):
        if kind == "W":
            yield value


def _windows_and_decisions(path: Path) -> Iterator[tuple[str, Any]]:
    """`("H", header)`, `("W", window)` and `("D", decision)` in the order of the file."""
    windower: Windower | None = None
    for kind, value in read_session(path):
        if kind == "H":
            spec = spec_of(value)
            windower = Windower(spec.stream, spec.frame)
            yield kind, value
        elif kind == "D":
            yield kind, value
        assert windower is not None
        if kind == "P":
            yield from (("W", window) for window in windower.push(value))
        elif kind == "A":
            yield from (("W", window) for window in windower.advance(value))
        elif kind == "R":
            windower.restart()
