"""The chip's event pre-processing, in its order: polarities, pooling, region, mirror; in time steps and as events.

Speck Dev Kit Datasheet (Aug 2023), 3.2.3: pooling maps pixels to the same address, one event in, one event out; the
region's corner becomes (0, 0). On frames it equals Sinabs' DVSLayer (sinabs 3.1.3 backend/dynapcnn/dvs_layer.py).
That an event keeps its channel where only one polarity passes is an assumption. The event filter after it is in
`event_filter`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.reference.spikes import TICK, Stimuli
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network import Sensor

#: Channel of the polarity that is dropped.
_DROPPED = {"on": 0, "off": 1}


def preprocess_frames(sensor: Sensor, frames: Integers) -> NDArray[np.int64]:
    """Counts [..., C, H, W] of the pixels to counts [..., C, H, W] that reach the first layer."""
    (top, bottom), (left, right) = sensor.window(frames.shape[-3:])
    counts = frames.astype(np.int64)
    if sensor.keep in _DROPPED:
        counts[..., _DROPPED[sensor.keep], :, :] = 0
    if sensor.merge_polarities:
        counts = counts.sum(axis=-3, keepdims=True)
    (ky, kx), (*lead, height, width) = sensor.pool, counts.shape
    h, w = height // ky, width // kx
    counts = counts[..., : h * ky, : w * kx].reshape(*lead, h, ky, w, kx).sum(axis=(-3, -1))
    counts = counts[..., top:bottom, left:right]
    if sensor.flip_y:
        counts = counts[..., ::-1, :]
    if sensor.flip_x:
        counts = counts[..., ::-1]
    if sensor.swap_xy:
        counts = counts.swapaxes(-1, -2)
    return np.ascontiguousarray(counts)


def preprocess_events(sensor: Sensor, stimuli: Stimuli, shape: tuple[int, int, int]) -> Stimuli:
    """The same for a STIMULUS array of events of pixels (C, H, W) `shape`; ticks of the slow clock stay in place."""
    (top, bottom), (left, right) = sensor.window(shape)
    c, y, x = (stimuli[name].astype(np.int64) for name in "cyx")
    tick = c == TICK
    y, x = y // sensor.pool[0], x // sensor.pool[1]
    inside = (top <= y) & (y < bottom) & (left <= x) & (x < right)
    if sensor.keep in _DROPPED:
        inside &= c != _DROPPED[sensor.keep]
    y = bottom - 1 - y if sensor.flip_y else y - top
    x = right - 1 - x if sensor.flip_x else x - left
    if sensor.swap_xy:
        y, x = x, y
    moved = stimuli.copy()
    moved["c"] = np.where(tick, TICK, 0 if sensor.merge_polarities else c)
    moved["y"], moved["x"] = np.where(tick, 0, y), np.where(tick, 0, x)
    return np.asarray(moved[inside | tick])
