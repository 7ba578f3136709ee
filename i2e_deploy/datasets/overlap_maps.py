"""What recordings and pictures have in common: the gradient of brightness, which a moving sensor sees as ON and OFF.

While the eye moves by v, a pixel fires ON or OFF as v times the gradient of the picture is above or below zero. So the
signed events of a slice of time (ON less OFF) look like a sum of the two gradients of the picture that was shown,
whatever the motion is.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import FrameSpec, to_frames
from i2e_deploy.events.windows import into_steps

#: Longer side of the grid that both are compared on, pixels.
GRID = 34
#: Slices of equal time that a recording is cut into: the motion of the eye is taken as one shift within each.
SLICES = 12
#: Pictures that are blurred at a time.
BATCH = 1000
#: Standard deviation of the blur of a recording, pixels of the grid.
BLUR = 0.7
Maps = NDArray[np.float32]


def grid_of(sensor: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the grid for a sensor (width, height): the sensor's own, shrunk to at most `GRID`."""
    width, height = sensor
    longer = max(width, height)
    return (height, width) if longer <= GRID else (max(1, height * GRID // longer), max(1, width * GRID // longer))


def recording_maps(events: Events, sensor: tuple[int, int], grid: tuple[int, int]) -> Maps:
    """Signed events of every slice: float32 [`SLICES`, h, w], blurred.

    The root keeps pixels that fire by themselves from outshining the picture.
    """
    spec = FrameSpec(sensor, (2, *grid))
    counts = to_frames(events, into_steps(events, SLICES), spec)
    signed = (counts[:, 1] - counts[:, 0]).astype(np.float32)
    return blurred(np.sign(signed) * np.sqrt(np.abs(signed)), BLUR)


def in_grid(levels: NDArray[np.uint8], grid: tuple[int, int]) -> NDArray[np.uint8]:
    """A grey picture uint8 [side, side] in the middle of the grid [h, w]: its edge is repeated, or it is cut."""
    for axis, length in enumerate(grid):
        place = np.arange(length) - (length - levels.shape[axis]) // 2
        levels = np.take(levels, np.clip(place, 0, levels.shape[axis] - 1), axis)
    return levels


def picture_gradients(levels: NDArray[np.uint8], blur: float) -> Maps:
    """Grey pictures uint8 [M, h, w] to the gradients of their brightness along x and y: float32 [M, 2, h, w]."""
    made = np.empty((len(levels), 2, *levels.shape[1:]), np.float32)
    for start in range(0, len(levels), BATCH):
        smooth = blurred(levels[start : start + BATCH].astype(np.float32) / 255, blur)
        made[start : start + BATCH, 1], made[start : start + BATCH, 0] = np.gradient(smooth, axis=(1, 2))
    return made


def blurred(maps: Maps, sigma: float) -> Maps:
    """Maps [..., h, w] under a normal kernel of `sigma` pixels; outside is what is at the edge."""
    radius = max(1, ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (-2, -1):
        widths = [(0, 0)] * maps.ndim
        widths[axis] = (radius, radius)
        padded, length = np.pad(maps, widths, mode="edge"), maps.shape[axis]
        maps = sum(weight * np.take(padded, np.arange(i, i + length), axis) for i, weight in enumerate(kernel))
    return maps


def shifted(maps: Maps, down: float, right: float) -> Maps:
    """Maps [N, h, w] moved by so many pixels, between pixels by straight lines; nothing comes in from outside."""
    made = np.zeros_like(maps)
    low = floor(down), floor(right)
    for y in (0, 1):
        for x in (0, 1):
            weight = (1 - abs(down - low[0] - y)) * (1 - abs(right - low[1] - x))
            if weight > 0:
                made += np.float32(weight) * _rolled(maps, low[0] + y, low[1] + x)
    return made


def _rolled(maps: Maps, down: int, right: int) -> Maps:
    height, width = maps.shape[-2:]
    made = np.zeros_like(maps)
    if abs(down) >= height or abs(right) >= width:
        return made
    made[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = maps[
        ..., max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return made
