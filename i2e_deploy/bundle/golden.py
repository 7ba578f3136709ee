"""Golden vectors: inputs, and what the slow reference made of them.

Frames, or one recording in its own order and at its own times. Which of both, and how long a step lasts, stands in the
manifest under `golden` where it is not the default; the arrays are in `golden.safetensors`:

input               [B, T, C, H, W]; of a recording its counts in steps, [1, T, C, H, W]
recording.t, x, y, p    the events of a recording, where it ran as one; times count from 0
expected.NAME       arrays as in `Trace.arrays(state=True, binned=True)`, and `output`
images, labels      where there are any
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.abilities import RunsRecordings
from i2e_deploy.chips.base import SPREAD, Program
from i2e_deploy.chips.options import Injection, Semantics
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events, check_events, empty_events
from i2e_deploy.events.steps import from_start
from i2e_deploy.files import read_tensors
from i2e_deploy.text import counted, said


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and expected outputs.

    Args:
        inputs: integers [B, T, C, H, W].
        expected: arrays by name as in `Trace.arrays(state=True)`, and `output`.
        images: uint8 [B, H, W], the pictures that the inputs were made of, for the report; or None.
        labels: int64 [B], or None.
        recording: what ran, where it was a recording in its own order; `inputs` are then its counts, [1, T, C, H, W].
        injection: order of the events of frames, and duration of a step, where events went in one by one.
    """

    inputs: Integers
    expected: Mapping[str, Integers]
    images: NDArray[np.uint8] | None = None
    labels: NDArray[np.int64] | None = None
    recording: Events | None = None
    injection: Injection = SPREAD

    def __repr__(self) -> str:
        there = [name for name in ("images", "labels") if getattr(self, name) is not None]
        if self.recording is not None:
            there.append(f"a recording of {counted(len(self.recording), 'event')}")
        return said(self, f"inputs {list(self.inputs.shape)}", counted(len(self.expected), "expected array"), *there)

    @property
    def given(self) -> Integers | Events:
        """What ran: the recording, or the frames."""
        return self.inputs if self.recording is None else self.recording

    def about(self) -> dict[str, Any]:
        """What the manifest says of them; empty for frames that ran as `Injection()` has it."""
        if self.recording is None and self.injection == SPREAD:
            return {}
        return {"recording": self.recording is not None, "injection": asdict(self.injection)}


def make_golden(
    program: Program,
    inputs: Integers | Events,
    images: NDArray[np.uint8] | None = None,
    labels: NDArray[np.int64] | None = None,
    semantics: Semantics = "timestep",
    injection: Injection = SPREAD,
) -> Golden:
    """Golden vectors from the slow reference, so that a later `verify` tests the fast engine against it.

    Args:
        inputs: frames, or one recording: it runs in its own order and at its own times where the semantics has any, and
            is counted into steps of `injection` elsewhere.

    Raises:
        InputError: see `Program.simulate`.
    """
    timed = isinstance(program, RunsRecordings) and semantics != "timestep"
    recording = None
    if inputs.dtype.names is not None and timed:
        recording, _ = from_start(cast("Events", inputs), injection.step_us)
    frames = program.in_steps(inputs, injection.step_us)
    injection = injection if timed else SPREAD
    trace = program.simulate(frames if recording is None else recording, semantics, "reference", injection)
    expected = {**trace.arrays(state=True, binned=True), "output": trace.output}
    return Golden(frames, expected, images, labels, recording, injection)


def golden_tensors(golden: Golden) -> dict[str, Integers]:
    """As the file holds them."""
    tensors = {"input": golden.inputs, **{f"expected.{name}": array for name, array in golden.expected.items()}}
    if golden.recording is not None:
        tensors |= {f"recording.{field}": golden.recording[field] for field in EVENT_DTYPE.names or ()}
    extra = {"images": golden.images, "labels": golden.labels}
    return {name: _smallest(a) for name, a in tensors.items()} | {k: v for k, v in extra.items() if v is not None}


def _smallest(array: Integers) -> Integers:
    """The same integers in the smallest dtype that holds them."""
    kind = np.result_type(np.min_scalar_type(int(array.min())), np.min_scalar_type(int(array.max())))
    return array.astype(kind if kind.kind in "ui" else np.int64)


def read_golden(path: Path, layers: int, about: Any) -> Golden:
    """The inverse of `golden_tensors`; inputs, the output and every layer's spikes must be there, as integers.

    Args:
        layers: of the program.
        about: what the manifest says under `golden`; None: nothing.

    Raises:
        FileFormatError: something is missing or damaged.
    """
    tensors, _ = read_tensors(path)
    injection, recorded = _about(path, about)
    fields = [f"recording.{field}" for field in EVENT_DTYPE.names or ()] if recorded else []
    needed = ["input", "expected.output", *(f"expected.layer{i}" for i in range(layers)), *fields]
    for name in [*needed, *tensors]:
        if name not in tensors or tensors[name].dtype.kind not in "biu" or not tensors[name].size:
            raise FileFormatError(f"{path}: {name!r} is missing, empty or not integers; export the bundle again")
    expected = {name.removeprefix("expected."): a for name, a in tensors.items() if name.startswith("expected.")}
    order = sorted(expected, key=lambda name: (name == "output", len(name.partition("_")[0]), name))
    recording = _recording(path, tensors, injection.step_us) if recorded else None
    images, labels = tensors.get("images"), tensors.get("labels")
    return Golden(tensors["input"], {n: expected[n] for n in order}, images, labels, recording, injection)


def _about(path: Path, about: Any) -> tuple[Injection, bool]:
    if about is None:
        return SPREAD, False
    try:
        injection = about["injection"]
        order, step_us, seed = injection["order"], injection["step_us"], injection["seed"]
        if not (type(step_us) is int and type(seed) is int and type(about["recording"]) is bool):
            raise TypeError("a whole number, or true and false")
        return Injection(order, step_us, seed), about["recording"]
    except (LookupError, TypeError, InputError) as error:
        raise FileFormatError(f"{path}: the manifest says of them what cannot be: {error}; export again") from error


def _recording(path: Path, tensors: Mapping[str, Integers], step_us: int) -> Events:
    """The events, which must be valid and last as many steps as `input`: these bound what a run takes."""
    columns = {field: tensors[f"recording.{field}"] for field in EVENT_DTYPE.names or ()}
    events = empty_events(columns["t"].size)
    for field, column in columns.items():
        if column.ndim != 1 or len(column) != len(events) or column.min() < 0 or column.max() > _most(field):
            raise FileFormatError(f"{path}: 'recording.{field}' is no column of events; export the bundle again")
        events[field] = column
    try:
        check_events(events, where=str(path))
        _, steps = from_start(events, step_us)
    except InputError as error:
        raise FileFormatError(str(error)) from error
    if tensors["input"].shape[:2] != (1, steps):
        raise FileFormatError(f"{path}: 'input' is not its recording in {steps} steps; export the bundle again")
    return events


def _most(field: str) -> int:
    dtype = EVENT_DTYPE[field]
    return int(np.iinfo(dtype).max) if field != "t" else 2**60
