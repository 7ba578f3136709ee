"""Lists of spikes, as they travel between cores, and the same as dense counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers

#: What goes into the chip: `t` microseconds, feature `c`, row `y`, column `x`. `c = TICK` is the slow clock.
STIMULUS = np.dtype([("t", "<i8"), ("c", "<i2"), ("y", "<i2"), ("x", "<i2")])
#: A spike inside: `cause` is the index of the stimulus that set it off, `t` the time of that stimulus.
SPIKE = np.dtype([("t", "<i8"), ("cause", "<i4"), ("c", "<i2"), ("y", "<i2"), ("x", "<i2")])
#: A spike of a run over several samples.
SAMPLE_SPIKE = np.dtype([("sample", "<i4"), *SPIKE.descr])
TICK = -1

Stimuli = NDArray[np.void]
Spikes = NDArray[np.void]


def join_samples(parts: list[Spikes]) -> Spikes:
    """Spikes of samples 0, 1, ... as one SAMPLE_SPIKE array."""
    joined = np.empty(sum(len(part) for part in parts), SAMPLE_SPIKE)
    joined["sample"] = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    for name in SPIKE.names or ():
        joined[name] = np.concatenate([part[name] for part in parts])
    return joined


class Binned(Mapping[str, Integers]):
    """Per layer the spikes counted in steps, int32 [B, T, C, H, W], made when first looked at.

    Args:
        events: SAMPLE_SPIKE by layer.
        shapes: (C, H, W) by layer.
        batch: samples.
        steps: steps; later spikes count in the last.
        step_us: duration of a step.
    """

    def __init__(
        self,
        events: Mapping[str, Spikes],
        shapes: Mapping[str, tuple[int, int, int]],
        batch: int,
        steps: int,
        step_us: int,
    ) -> None:
        self._events, self._shapes = events, shapes
        self._lead, self._step_us = (batch, steps), step_us
        self._made: dict[str, Integers] = {}

    def __getitem__(self, name: str) -> Integers:
        if name not in self._made:
            spikes, shape = self._events[name], (*self._lead, *self._shapes[name])
            step = np.minimum(spikes["t"] // self._step_us, self._lead[1] - 1)
            where = (spikes["sample"], step, spikes["c"], spikes["y"], spikes["x"])
            flat = np.ravel_multi_index(where, shape)
            self._made[name] = np.bincount(flat, minlength=int(np.prod(shape))).astype(np.int32).reshape(shape)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)
