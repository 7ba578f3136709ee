"""Recordings of event cameras as data sets: a folder by class, or any data set of tonic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from i2e_deploy.datasets.class_folders import find_recordings
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, FAR, Events, check_events
from i2e_deploy.events.formats import SUFFIXES
from i2e_deploy.events.frames import FrameSpec, to_frames
from i2e_deploy.events.windows import into_steps


class RecordingFolder(Dataset[tuple[Tensor, int]]):
    """Event recordings in folders by class: (frames uint8 counts [T, 2, H, W], saturating at 255; label).

    Args:
        root: folder of class folders; below each, recordings of any depth.
        sensor_size: (width, height) in pixels.
        steps: T; the time from a recording's first to its last event is cut into so many equal bins.
        read: a file to events; default `events.read_events`, by the ending of the name.
        suffixes: which files count.
        binary: 0 and 1 instead of counts, as I2E's own frames are.
        classes: names by number, e.g. those of a card; default the folders, sorted.

    Raises:
        InputError: no recordings there, or a folder that `classes` does not name.
        FileFormatError: a broken one, when it is read.
    """

    def __init__(
        self,
        root: str | Path,
        sensor_size: tuple[int, int],
        steps: int = 8,
        read: Callable[[Path], Events] | None = None,
        suffixes: Sequence[str] = SUFFIXES,
        binary: bool = False,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.classes, self.files = find_recordings(root, suffixes, classes)
        self._spec, self._steps = _spec(sensor_size, binary), steps
        self._read = read or read_recording

    def __len__(self) -> int:
        return len(self.files)

    def events(self, index: int) -> Events:
        """The events of one recording, checked against the sensor's size."""
        path = self.files[index][0]
        return check_events(self._read(path), *self._spec.sensor_size, where=str(path))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return _counts(self.events(index), self._steps, self._spec), self.files[index][1]


class FromTonic(Dataset[tuple[Tensor, int]]):
    """A tonic data set (NMNIST, CIFAR10DVS, NCALTECH101, DVSGesture, ...) as frames like those of `RecordingFolder`.

    Args:
        dataset: any tonic data set without a transform to frames; its items are (events, label).
        sensor_size: (width, height); default the data set's own. NCALTECH101 has none, as its recordings
            differ: (240, 180) holds them all.
        steps: T.
        binary: 0 and 1 instead of counts.

    Labels that are names, as those of NCALTECH101, become their index in `classes`, sorted.

    Raises:
        InputError: no sensor size, or an item is not events with fields t, x, y, p on that sensor.
    """

    def __init__(
        self, dataset: Any, sensor_size: tuple[int, int] | None = None, steps: int = 8, binary: bool = False
    ) -> None:
        size = sensor_size or dataset.sensor_size
        if size is None:
            raise InputError(
                f"{type(dataset).__name__} states no sensor size: give sensor_size=(width, height) that holds every "
                "recording, e.g. (240, 180) for NCALTECH101"
            )
        self._dataset, self._steps = dataset, steps
        self._spec = _spec((int(size[0]), int(size[1])), binary)
        names = {label for label in getattr(dataset, "targets", ()) if isinstance(label, str)}
        self.classes = tuple(sorted(names))

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        theirs, label = self._dataset[index]
        where = f"{type(self._dataset).__name__} item {index}"
        events = check_events(from_tonic(theirs), *self._spec.sensor_size, where=where)
        number = self.classes.index(label) if isinstance(label, str) else int(label)
        return _counts(events, self._steps, self._spec), number


def read_recording(path: Path) -> Events:
    """A recording of any format that `events` reads."""
    from i2e_deploy.events.files import read_events  # with its formats: on first use

    return read_events(path).events


#: Least and greatest value of each field that `from_tonic` takes.
_LIMITS = {"t": (-FAR, FAR), "x": (0, 2**16 - 1), "y": (0, 2**16 - 1), "p": (0, 1)}
_HINTS = {"t": " us: are times in seconds? multiply by 1e6 and round", "p": ": 0 is OFF, 1 is ON"}


def from_tonic(events: Any) -> Events:
    """tonic's structured array (any order and dtype of x, y, t, p) to ours, sorted by time.

    Raises:
        InputError: fields are missing, or a value is no whole number or does not fit (t in us, x and y 0 to 65535,
            p 0 or 1).
    """
    names = set(getattr(getattr(events, "dtype", None), "names", None) or ())
    if not {"t", "x", "y", "p"} <= names:
        raise InputError(f"events have fields {sorted(names)}: expected t, x, y, p")
    ours = np.empty(len(events), EVENT_DTYPE)
    for name in ("t", "x", "y", "p"):
        ours[name] = _whole(name, np.asarray(events[name]))
    return ours[np.argsort(ours["t"], kind="stable")]


def _whole(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """`values` [N] if all are whole numbers within the limits of the field."""
    if values.dtype.kind not in "biuf" or values.ndim != 1:
        raise InputError(f"field {name} is {values.dtype} {list(values.shape)}: expected numbers [N]")
    least, most = _LIMITS[name]
    wrong = ~((values >= least) & (values <= most))  # NaN is neither
    if values.dtype.kind == "f":
        wrong |= np.floor(values) != values
    if wrong.any():
        first = int(wrong.argmax())
        raise InputError(
            f"event {first} has {name} = {values[first]}: expected a whole number from {least} to {most}"
            f"{_HINTS.get(name, '')}"
        )
    return values


def to_tonic(events: Events) -> Any:
    """Our events to what tonic's transforms take: the same fields, polarity as bool."""
    theirs = np.empty(len(events), [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "?")])
    for name in ("t", "x", "y", "p"):
        theirs[name] = events[name]
    return theirs


def _spec(sensor_size: tuple[int, int], binary: bool) -> FrameSpec:
    width, height = sensor_size
    return FrameSpec((width, height), (2, height, width), binary=binary)


def _counts(events: Events, steps: int, spec: FrameSpec) -> Tensor:
    """Events counted in equal bins of time (`windows.into_steps`): uint8 [T, 2, H, W], saturating at 255."""
    frames = to_frames(events, into_steps(events, steps), spec)
    return torch.from_numpy(np.minimum(frames, 255).astype(np.uint8))
