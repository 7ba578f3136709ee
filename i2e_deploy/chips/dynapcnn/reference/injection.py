"""Frames to events: in which order the events of one step enter the chip.

On an asynchronous chip the order matters: in raster order, as Sinabs sends a step, a whole row of one feature fires
before its neighbours have had a chance to inhibit it. Orders:

    raster       by channel, row, column; pixels with the largest count first: as Sinabs' `raster_to_events`
    spread       neighbours in time are far apart in space: pixels by the bit-reversed Morton code, channels in turn
    interleaved  raster over pixels, channels innermost
    shuffled     random, by a seed

What each costs is measured in `benchmarks/nmnist.py`. Timestamps: the events of step t are spread evenly over
[t, t + 1) * step_us; `raster` gives all of them t * step_us, as Sinabs does. A recording has an order of its own, which
no frame can give back: `recorded`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, TICK, Stimuli
from i2e_deploy.chips.trace import Integers
from i2e_deploy.events.array import Events
from i2e_deploy.events.order import spread_rank


def inject(frames: Integers, options: EventOptions, ticks: bool) -> Stimuli:
    """Events of one sample.

    Args:
        frames: integers [T, C, H, W], counts >= 0.
        options: `order`, `step_us`, `tick`, `seed`.
        ticks: whether the slow clock ticks, once a step.

    Returns:
        STIMULUS array in order of injection.
    """
    generator = np.random.default_rng(options.seed)
    rank = spread_rank(frames.shape[1:]) if options.order == "spread" else None
    parts = []
    for step, frame in enumerate(frames):
        events = _events(frame, options, generator, rank)
        spread = np.arange(len(events)) * options.step_us // max(len(events), 1)
        events["t"] = step * options.step_us + (0 if options.order == "raster" else spread)
        parts.append(events)
        if ticks:
            tick = np.array([(step * options.step_us + phase_us(options), TICK, 0, 0)], STIMULUS)
            before = int(np.searchsorted(events["t"], tick["t"][0]))
            parts[-1:] = [events[:before], tick, events[before:]]
    return np.concatenate(parts)


def phase_us(options: EventOptions) -> int:
    """From the start of a step to its tick of the slow clock."""
    return {"start": 0, "middle": options.step_us // 2, "end": options.step_us}[options.tick]


def recorded(events: Events, steps: int, options: EventOptions, ticks: bool) -> Stimuli:
    """A recording as it is: every event at its own time and in its own order, feature = polarity.

    Args:
        events: event array [N]; those at or after `steps * step_us` are left out.
        steps: how long to listen, in steps of `options.step_us`.
        options: `step_us`, `tick`.
        ticks: whether the slow clock ticks, once a step, before the events of the same microsecond.

    Returns:
        STIMULUS array in order of injection.
    """
    events = events[events["t"] < steps * options.step_us]
    stimuli = np.zeros(len(events), STIMULUS)
    for name, field in (("t", "t"), ("c", "p"), ("y", "y"), ("x", "x")):
        stimuli[name] = events[field]
    if not ticks:
        return stimuli
    clock = np.zeros(steps, STIMULUS)
    clock["t"], clock["c"] = np.arange(steps) * options.step_us + phase_us(options), TICK
    joined = np.concatenate([clock, stimuli])
    return np.asarray(joined[np.argsort(joined["t"], kind="stable")])


def _events(
    frame: Integers, options: EventOptions, generator: np.random.Generator, rank: NDArray[np.int64] | None
) -> Stimuli:
    """Events of one frame [C, H, W], in order, without time."""
    if options.order == "interleaved":
        y, x, c = np.nonzero(frame.transpose(1, 2, 0))
    else:
        c, y, x = np.nonzero(frame)
    count = frame[c, y, x].astype(np.int64)
    if rank is not None:
        order = np.argsort(rank[c, y, x])
        c, y, x, count = c[order], y[order], x[order], count[order]
    if len(count) and count.max() > 1:
        again = _repetitions(count, sinabs=options.order == "raster")
        c, y, x = c[again], y[again], x[again]
    if options.order == "shuffled":
        order = generator.permutation(len(c))
        c, y, x = c[order], y[order], x[order]
    events = np.zeros(len(c), STIMULUS)
    events["c"], events["y"], events["x"] = c, y, x
    return events


def _repetitions(count: NDArray[np.int64], sinabs: bool) -> NDArray[np.int64]:
    """Indices of pixels, each as often as its count: in rounds, or as Sinabs (largest count first, all its rounds)."""
    values = range(int(count.max()), 0, -1)
    if sinabs:
        return np.concatenate([np.tile(np.flatnonzero(count == value), value) for value in values])
    return np.concatenate([np.flatnonzero(count >= value) for value in values[::-1]])
