"""Frames to events: in which order the events of one step enter the chip.

On an asynchronous chip the order matters: in raster order, as Sinabs sends a step, a whole row of one feature fires
before its neighbours have had a chance to inhibit it. Orders:

    raster       by channel, row, column; pixels with the largest count first: as Sinabs' `raster_to_events`
    spread       neighbours in time are far apart in space: pixels by the bit-reversed Morton code, channels in turn
    interleaved  raster over pixels, channels innermost
    shuffled     random, by a seed

Which is best is measured in `benchmarks/injection.py`. Timestamps: the events of step t are spread evenly over
[t, t + 1) * step_us; `raster` gives all of them t * step_us, as Sinabs does.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.spikes import STIMULUS, TICK, Stimuli
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError
from i2e_deploy.events import Events


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
    rank = _spread_rank(frames.shape[1:]) if options.order == "spread" else None
    parts = []
    for step, frame in enumerate(frames):
        events = _events(frame, options, generator, rank)
        spread = np.arange(len(events)) * options.step_us // max(len(events), 1)
        events["t"] = step * options.step_us + (0 if options.order == "raster" else spread)
        parts.append(events)
        if ticks:
            tick = np.array([((step + (options.tick == "end")) * options.step_us, TICK, 0, 0)], STIMULUS)
            parts.insert(len(parts) - (options.tick == "start"), tick)
    return np.concatenate(parts)


#: Steps of one recording, at most: what a run counts by step stays small.
MAX_STEPS = 2**24


def inject_events(
    events: Events, shape: tuple[int, int, int], options: EventOptions, ticks: bool
) -> tuple[Stimuli, int]:
    """A recording as it is: its order and its times, the first event at the start of the first step.

    Args:
        events: sorted by time.
        shape: (C, H, W) that the program takes; the polarity is the channel, with one channel it is left out.

    Returns:
        STIMULUS array, and how many steps of `options.step_us` it lasts.

    Raises:
        InputError: no event, more channels than polarities, an event outside, or too long.
    """
    channels, height, width = shape
    if not len(events):
        raise InputError("the recording holds no events: nothing to simulate")
    if channels > 2:
        raise InputError(f"the program takes {channels} channels: a recording has two polarities")
    if int(events["x"].max()) >= width or int(events["y"].max()) >= height:
        raise InputError(
            f"the recording has events up to x={events['x'].max()}, y={events['y'].max()}: the program takes "
            f"{width}x{height} pixels; crop or downsample it, or put a Sensor layer first"
        )
    times = events["t"] - events["t"][0]
    steps = int(times[-1]) // options.step_us + 1
    if steps > MAX_STEPS:
        raise InputError(f"the recording lasts {steps} steps of {options.step_us} us: at most {MAX_STEPS}; cut it")
    stimuli = np.zeros(len(events), STIMULUS)
    stimuli["t"], stimuli["y"], stimuli["x"] = times, events["y"], events["x"]
    stimuli["c"] = events["p"] if channels == 2 else 0
    if not ticks:
        return stimuli, steps
    clock = np.zeros(steps, STIMULUS)
    clock["t"], clock["c"] = (np.arange(steps) + (options.tick == "end")) * options.step_us, TICK
    joined = np.concatenate([clock, stimuli])  # stable: at one time the tick comes first
    return joined[np.argsort(joined["t"], kind="stable")], steps


#: Values of a recording counted into steps, at most.
MAX_COUNTED = 2**28


def count_events(events: Events, shape: tuple[int, int, int], step_us: int) -> Integers:
    """A recording counted into steps: int32 [1, T, C, H, W]; see `inject_events` for errors.

    Raises:
        InputError: more than 2^28 values.
    """
    stimuli, steps = inject_events(events, shape, EventOptions(step_us=step_us), ticks=False)
    lead = (1, steps, *shape)
    if prod(lead) > MAX_COUNTED:
        raise InputError(
            f"the recording counted into {step_us} us is {list(lead)} values: cut it, or take longer steps"
        )
    where = (np.zeros_like(stimuli["t"]), stimuli["t"] // step_us, stimuli["c"], stimuli["y"], stimuli["x"])
    flat = np.ravel_multi_index(where, lead)
    return np.bincount(flat, minlength=prod(lead)).astype(np.int32).reshape(lead)


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


def _spread_rank(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Position of (c, y, x) in an order that halves the plane again and again: int64 [C, H, W].

    The Morton code with its bits reversed: the coarsest bits of the position change fastest.
    """
    channels, height, width = shape
    bits = max(height - 1, width - 1, 1).bit_length()
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    code = np.zeros((height, width), np.int64)
    for bit in range(bits):  # the highest bit of x and y becomes the lowest of the rank
        place = 2 * (bits - 1 - bit)
        code |= ((x >> bit & 1) ^ (y >> bit & 1)) << place | (y >> bit & 1) << (place + 1)
    return code[None] * channels + np.arange(channels)[:, None, None]
