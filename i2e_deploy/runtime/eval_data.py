"""Samples for an evaluation: frames in a file, a recorded session, or event files in class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers
from i2e_deploy.datasets.class_folders import find_recordings
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.files import Recording, read_events
from i2e_deploy.events.frames import FrameSpec, to_frames
from i2e_deploy.events.windows import into_steps
from i2e_deploy.files import check_exists, read_arrays
from i2e_deploy.text import counted

#: Most windows of a session and most files of a folder that are taken into memory.
MAX_SAMPLES = 100_000
#: Most counts in the frames of all of them, 8 GiB of int32.
MAX_VALUES = 2**31


def read_samples(
    path: Path | str, shape: tuple[int, ...], steps: int, limit: int = 0, say: Callable[[str], None] | None = None,
    read: Callable[[Path], Recording] = read_events,
) -> tuple[Integers, NDArray[np.int64] | None]:  # fmt: skip
    """Frames [N, T, C, H, W] and labels int64 [N] (None for a session).

    Args:
        path: `.npz` with `frames` and `labels`; a recorded session; or a folder with a folder of event files a class.
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
    return np.stack(windows), None


def _read_npz(path: Path, most: int) -> tuple[Integers, NDArray[np.int64] | None]:
    arrays = read_arrays(path)
    if "frames" not in arrays or ("labels" in arrays and arrays["labels"].dtype.kind not in "biu"):
        raise FileFormatError(
            f"{path} holds {', '.join(arrays)}: expected `frames` [N, T, C, H, W] and `labels` [N], whole numbers"
        )
    labels = arrays["labels"][:most].astype(np.int64) if "labels" in arrays else None
    return arrays["frames"][:most], labels


def _read_folder(
    path: Path, shape: tuple[int, ...], steps: int, most: int, say: Callable[[str], None] | None,
    read: Callable[[Path], Recording],
) -> tuple[Integers, NDArray[np.int64]]:  # fmt: skip
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
    frames, notes = np.empty((len(rows), steps, *shape), np.int32), Counter[str]()
    for sample, (file, _) in zip(frames, rows, strict=True):
        recording = read(file)
        notes.update(recording.notes)
        if recording.damage is not None:
            notes[f"damaged, {recording.damage.reason}; what could be read was taken"] += 1
        if recording.sensor_size is None:
            raise InputError(f"{file} does not state the sensor's size: give sensor_size (--sensor-size)")
        spec = FrameSpec(recording.sensor_size, (shape[0], shape[1], shape[2]))
        sample[:] = to_frames(recording.events, into_steps(recording.events, steps), spec)
    if say is not None:
        for note, files in notes.items():
            say(f"{counted(files, 'recording')}: {note}")
    return frames, np.array([label for _, label in rows], np.int64)
