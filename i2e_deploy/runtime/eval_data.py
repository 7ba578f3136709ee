"""Samples for an evaluation: frames in a file, a recorded session, or event files in class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.options import MAX_STEP_US
from i2e_deploy.chips.trace import Integers
from i2e_deploy.datasets.class_folders import find_recordings
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import Recording, read_events
from i2e_deploy.events.frames import FrameSpec, seen_events, to_frames
from i2e_deploy.events.windows import into_steps
from i2e_deploy.files import check_exists, read_arrays
from i2e_deploy.text import counted, said

#: Most windows of a session and most files of a folder that are taken into memory.
MAX_SAMPLES = 100_000
#: Most counts in the frames of all of them, 8 GiB of int32.
MAX_VALUES = 2**31


class Samples(NamedTuple):
    """What an evaluation runs on.

    Args:
        frames: integers [N, T, C, H, W].
        labels: int64 [N], one a decision of each step [N, T], or values float64 [N, V] or [N, T, V]; None: none.
        recordings: the same samples as events, first event at 0, in pixels of the network's input; () where only frames
            are there.
        step_us: duration of a step as the data have it, the median of the recordings; None: they do not say.
    """

    frames: Integers
    labels: NDArray[Any] | None
    recordings: tuple[Events, ...] = ()
    step_us: int | None = None

    def __repr__(self) -> str:
        there = [counted(len(self.recordings), "recording")] if self.recordings else []
        return said(self, f"frames {list(self.frames.shape)}", *there, *(["labels"] if self.labels is not None else []))


def read_samples(
    path: Path | str, shape: tuple[int, ...], steps: int, limit: int = 0, say: Callable[[str], None] | None = None,
    read: Callable[[Path], Recording] = read_events,
) -> Samples:  # fmt: skip
    """Frames and labels (None for a session), and of event files the events.

    Args:
        path: `.npz` with `frames`, and `labels`, or values as `targets` or `values`; a recorded session; or a folder
            with a folder of event files a class.
        shape: (C, H, W) of the program's input.
        steps: T for event files: each is cut into that many steps of equal time.
        limit: at most so many samples; 0 = all.
        say: called with each sentence on what the readers of event files assumed, put in order or left out.
        read: how a file of a folder is read.

    Raises:
        InputError: nothing there, or frames of another shape.
        FileFormatError: a file is damaged.
    """
    path, most = Path(path), min(limit or MAX_SAMPLES, MAX_SAMPLES)
    if path.is_dir():
        return _read_folder(path, shape, steps, most, say, read)
    check_exists(path)
    if path.suffix == ".npy":
        raise InputError(f"{path} holds frames without labels: give an .npz with `frames` and `labels`")
    if path.suffix == ".npz":
        return _read_npz(path, most)
    from i2e_deploy.runtime.replaying import session_windows

    windows = [window.frames for window in islice(session_windows(path), most)]
    if not windows:
        raise InputError(f"{path} holds no whole window")
    return Samples(np.stack(windows), None)


def _read_npz(path: Path, most: int) -> Samples:
    arrays = read_arrays(path)
    if "frames" not in arrays or ("labels" in arrays and arrays["labels"].dtype.kind not in "biu"):
        raise FileFormatError(
            f"{path} holds {', '.join(arrays)}: expected `frames` [N, T, C, H, W] and `labels` [N], whole numbers"
        )
    labels = arrays["labels"][:most].astype(np.int64) if "labels" in arrays else None
    wanted = [name for name in ("labels", "targets", "values") if name in arrays]  # `values` are those of `train`
    if wanted and wanted[-1] != "labels":
        labels = _values(arrays[wanted[-1]][:most], path, wanted)
    step = arrays.get("step_us", np.zeros(0, np.int64)).reshape(-1)
    if len(step) and (step.dtype.kind not in "iu" or not 1 <= step[0] <= MAX_STEP_US):
        raise FileFormatError(f"{path} has step_us {step[0]}: expected whole microseconds, 1 to {MAX_STEP_US}")
    return Samples(arrays["frames"][:most], labels, step_us=int(step[0]) if len(step) else None)


def _values(targets: NDArray[Any], path: Path, there: Sequence[str]) -> NDArray[np.float64]:
    """Values of a regression, [N] as [N, 1]; `there` are the names of all targets of the file, these last.

    Raises:
        FileFormatError: no numbers, another shape, or others beside them.
    """
    if targets.dtype.kind not in "biuf" or targets.ndim not in (1, 2, 3) or not targets.size or len(there) > 1:
        beside = f" beside `{there[0]}`" if len(there) > 1 else ""
        raise FileFormatError(
            f"{path} has `{there[-1]}` {targets.dtype} {list(targets.shape)}{beside}: expected numbers [N, V], or "
            "[N, T, V] with a value in each step, and no labels"
        )
    wide = np.asarray(targets, np.float64)
    return wide[:, None] if wide.ndim == 1 else wide


def _read_folder(
    path: Path, shape: tuple[int, ...], steps: int, most: int, say: Callable[[str], None] | None,
    read: Callable[[Path], Recording],
) -> Samples:  # fmt: skip
    """The first recording of each class, the second of each, ..., so that `most` takes evenly from the classes."""
    place, ranked = Counter[int](), []
    for file, label in find_recordings(path)[1]:
        ranked.append((place[label], label, file))
        place[label] += 1
    rows = [(file, label) for _, label, file in sorted(ranked)[:most]]
    if len(shape) != 3:
        raise InputError(f"this program takes {shape}: events need (C, H, W)")
    if (values := len(rows) * steps * prod(shape)) > MAX_VALUES:
        raise InputError(
            f"{len(rows)} recordings of {steps} steps are {values} counts, at most {MAX_VALUES}: take fewer"
        )
    frames, notes, own = np.empty((len(rows), steps, *shape), np.int32), Counter[str](), list[Events]()
    for sample, (file, _) in zip(frames, rows, strict=True):
        recording = read(file)
        notes.update(recording.notes)
        if recording.damage is not None:
            notes[f"damaged, {recording.damage.reason}; what could be read was taken"] += 1
        if recording.sensor_size is None:
            raise InputError(f"{file} does not state the sensor's size: give sensor_size (--sensor-size)")
        spec = FrameSpec(recording.sensor_size, (shape[0], shape[1], shape[2]))
        sample[:] = to_frames(recording.events, into_steps(recording.events, steps), spec)
        own.append(seen_events(recording.events, spec))
    if say is not None:
        for note, files in notes.items():
            say(f"{counted(files, 'recording')}: {note}")
    lasting = [int(events["t"][-1] - events["t"][0]) for events in own if len(events)]
    step_us = min(max(1, round(float(np.median(lasting)) / steps)), MAX_STEP_US) if lasting else None
    return Samples(frames, np.array([label for _, label in rows], np.int64), tuple(own), step_us)
