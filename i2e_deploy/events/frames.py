"""Events into frames: the definition in NumPy, and a kernel equal to it.

A frame counts events a pixel and polarity. A sensor larger than the network's input is cropped, then scaled down by
adding up: pixel x of a crop of width w goes to column `(x - left) * W // w`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events

Frames = NDArray[np.int32]
Bounds = NDArray[np.int64]

#: An offset so negative that no other offset makes it positive, and times 2^16 still an int64.
_UNSEEN = -(2**40)


@dataclass(frozen=True)
class FrameSpec:
    """How a pixel of the sensor becomes a pixel of the network's input.

    Args:
        sensor_size: (width, height) in pixels.
        shape: (C, H, W) of a frame; C = 2 keeps the polarity as channel (0 = OFF), C = 1 merges both.
        crop: (left, top, width, height) of the part of the sensor that is seen; None: all of it.
        binary: 1 where there was any event, instead of how many.

    Raises:
        InputError: C is not 1 or 2, a size is below 1, or the crop leaves the sensor.
    """

    sensor_size: tuple[int, int]
    shape: tuple[int, int, int]
    crop: tuple[int, int, int, int] | None = None
    binary: bool = False

    def __post_init__(self) -> None:
        left, top, width, height = self.window
        if len(self.shape) != 3 or self.shape[0] not in (1, 2) or min(self.shape) < 1:
            raise InputError(f"frame shape {self.shape}: expected (C, H, W) with C = 1 or 2 and sizes of at least 1")
        sensor_width, sensor_height = self.sensor_size
        inside = left >= 0 and top >= 0 and left + width <= sensor_width and top + height <= sensor_height
        if min(width, height) < 1 or not inside or max(self.sensor_size) > 2**16:
            raise InputError(f"crop {self.window} (left, top, width, height) leaves the sensor {self.sensor_size}")

    @property
    def window(self) -> tuple[int, int, int, int]:
        """(left, top, width, height) of the part that is seen."""
        return self.crop or (0, 0, *self.sensor_size)

    def tables(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """`maps` as offsets in a flat frame: columns, rows (far negative = not seen), and what p = 1 adds."""
        return _tables(self)

    def maps(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Column for every x and row for every y that uint16 can hold, int32 [65536] each, -1 = not seen."""
        left, top, width, height = self.window
        _, rows, columns = self.shape
        return _map(left, width, columns), _map(top, height, rows)


@lru_cache(maxsize=16)  # 2^16 entries take 3 ms to make: more than to count a packet
def _tables(spec: FrameSpec) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    channels, height, width = spec.shape
    columns, rows = (np.where(table < 0, _UNSEEN, table.astype(np.int64)) for table in spec.maps())
    return columns, rows * width, height * width if channels == 2 else 0


def _map(first: int, length: int, pixels: int) -> NDArray[np.int32]:
    table = np.full(2**16, -1, np.int32)
    table[first : first + length] = np.arange(length) * pixels // length
    return table


def frames_reference(events: Events, bounds: Bounds, spec: FrameSpec) -> Frames:
    """The definition.

    Args:
        events: [N].
        bounds: int64 [n, 2], first event and the one after the last of each frame.
        spec: of the frames. Events outside the crop, or with a polarity above 1, are not counted.

    Returns:
        int32 [n, C, H, W].
    """
    frames = np.zeros((len(bounds), *spec.shape), np.int32)
    to_column, to_row = spec.maps()
    for frame, (start, stop) in zip(frames, bounds, strict=True):
        part = events[start:stop]
        channel = part["p"].astype(np.int64) if spec.shape[0] == 2 else np.zeros(len(part), np.int64)
        row, column = to_row[part["y"]], to_column[part["x"]]
        seen = (row >= 0) & (column >= 0) & (part["p"] <= 1)
        np.add.at(frame, (channel[seen], row[seen], column[seen]), 1)
    return np.minimum(frames, 1) if spec.binary else frames


def to_frames(events: Events, bounds: Bounds, spec: FrameSpec, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """`frames_reference`, fast: one pass over the events on one core.

    Frames of a whole sensor are far larger than the events in them, and then writing the frames is what takes time:
    into an `out` that is used again and again, of uint8, it takes a sixth of what new int32 frames take.

    Args:
        events, bounds, spec: see `frames_reference`.
        out: where to: [n, C, H, W], contiguous, of any integer dtype; None: a new array, int32.

    Raises:
        InputError: bounds outside the events or of another shape, an `out` that does not fit, or a pixel with more
            events than its dtype holds (`out` is undefined then).
    """
    if bounds.ndim != 2 or bounds.shape[1] != 2 or bounds.dtype != np.int64:
        raise InputError(f"bounds are {bounds.dtype} {list(bounds.shape)}, expected int64 [n, 2]")
    if len(bounds) and (bounds.min() < 0 or bounds.max() > len(events)):
        raise InputError(f"bounds reach from {bounds.min()} to {bounds.max()}: there are {len(events)} events")
    shape = (len(bounds), *spec.shape)
    try:
        frames = np.empty(shape, np.int32) if out is None else out  # empty, not zeros: NumPy gives it huge pages
    except MemoryError as error:
        raise InputError(f"{shape[0]} frames of {shape[1:]} do not fit in memory: make fewer at a time") from error
    if frames.shape != shape or frames.dtype.kind not in "iu" or not frames.flags.c_contiguous:
        raise InputError(f"out is {frames.dtype} {list(frames.shape)}: expected contiguous integers {list(shape)}")
    from i2e_deploy.events.kernels import count_frames  # numba, at first use

    most = int(np.iinfo(frames.dtype).max)
    flat = frames.reshape(len(bounds), prod(spec.shape))
    if not count_frames(events, bounds, *spec.tables(), spec.binary, min(most, 2**63 - 1), flat):
        raise InputError(f"a pixel has more than {most} events in a window: {frames.dtype} does not hold them")
    return frames


def seen_events(events: Events, spec: FrameSpec) -> Events:
    """The events that `to_frames` counts, in pixels of the frame and in their order, the first recorded one at time 0.

    Args:
        events: [N], sorted.

    Raises:
        InputError: `spec.binary`, which says nothing of single events.
    """
    if spec.binary:
        raise InputError("binary frames count no single events: leave binary out")
    columns, rows = spec.maps()
    column, row = columns[events["x"]], rows[events["y"]]
    kept = (column >= 0) & (row >= 0) & (events["p"] <= 1)
    seen: Events = events[kept].copy()
    seen["x"], seen["y"] = column[kept], row[kept]
    if spec.shape[0] == 1:
        seen["p"] = 0
    if len(events):
        seen["t"] -= events["t"][0]
    return seen
