"""Counts of events as samples hold them: as few bits as hold them, in one channel or two."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import FrameSpec, to_frames


def counted_frames(
    events: Events, bounds: NDArray[np.int64], shape: tuple[int, int, int], binary: bool
) -> NDArray[Any]:
    """Events in pixels of the frame, counted between bounds [T, 2]: unsigned [T, C, H, W]."""
    return small(
        to_frames(events, np.ascontiguousarray(bounds, np.int64), FrameSpec(shape[:0:-1], shape, None, binary))
    )


def in_channels(frames: NDArray[Any], channels: int, binary: bool) -> NDArray[Any]:
    """Frames [T, 2, H, W] with both polarities added up where `channels` is 1, and with 0 and 1 alone if `binary`."""
    if channels == 1 and frames.shape[1] == 2:
        frames = small(frames.astype(np.int32).sum(axis=1, keepdims=True))
    return np.minimum(frames, 1) if binary else frames


def small(counts: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers from 0 as uint8, or where that does not hold them as uint32."""
    return counts.astype(np.uint8 if counts.size == 0 or counts.max() <= 255 else np.uint32)
