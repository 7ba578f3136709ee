"""Event frames to events with microsecond timestamps, and back.

I2E gives eight bins; chips and cameras speak timestamps. Bin t of a sample covers the times
[start + t * saccade_us, start + (t + 1) * saccade_us): the time one saccade takes. A pixel and polarity
that fires in a bin gives one event at some time inside it.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, check_events, empty_events
from i2e_deploy.events.order import spread_rank

#: Microsaccades take 10 to 30 ms (Martinez-Conde et al. 2004); the paper names no duration.
SACCADE_US = 10_000
#: Where in its bin an event lies, see `frames_to_events`.
Spread = Literal["even", "start", "random"]
SPREADS = get_args(Spread)


def frames_to_events(
    frames: NDArray[np.uint8],
    saccade_us: int = SACCADE_US,
    start_us: int = 0,
    spread: Spread = "even",
    rng: np.random.Generator | None = None,
) -> Events:
    """Frames of one sample to events; `events_to_frames` gives the frames back exactly.

    Args:
        frames: uint8 0/1 [T, 2, H, W], channel 0 = OFF.
        saccade_us: duration of a bin in us, at least 1.
        start_us: time of the first bin.
        spread: where in its bin an event lies. `"even"`: the n events of a bin share it evenly, in an order in which
            neighbours in time are far apart in space (`events.order`, as an asynchronous chip wants them);
            `"start"`: all at its first microsecond, in the same order; `"random"`: uniformly drawn.
        rng: source of the draws, needed by `"random"`.

    Returns:
        Events [N], sorted by time.

    Raises:
        InputError: wrong shape, values, duration or spread, or no generator.
    """
    _check_frames(frames, saccade_us)
    if spread not in SPREADS or (spread == "random" and rng is None):
        raise InputError(f"spread is {spread!r}: give one of {SPREADS}, and a generator `rng` with 'random'")
    steps, polarity, y, x = np.nonzero(frames)
    order = np.lexsort((spread_rank(frames.shape[1:])[polarity, y, x], steps))
    events = empty_events(len(order))
    bins = steps[order]
    events["x"], events["y"], events["p"] = x[order], y[order], polarity[order]
    counts = np.bincount(bins, minlength=len(frames))
    if spread == "even":
        rank = np.arange(len(bins)) - np.repeat(np.cumsum(counts) - counts, counts)
        inside = rank * saccade_us // np.maximum(counts, 1)[bins]
    elif spread == "random" and rng is not None:
        inside = rng.integers(saccade_us, size=len(bins))
    else:
        inside = np.zeros(len(bins), np.int64)
    events["t"] = start_us + bins * saccade_us + inside
    return events[np.argsort(events["t"], kind="stable")]


def events_to_frames(
    events: Events, steps: int, height: int, width: int, saccade_us: int = SACCADE_US, start_us: int = 0
) -> NDArray[np.uint8]:
    """Events to binary frames uint8 0/1 [T, 2, H, W]; events before the first or after the last bin are left out.

    Raises:
        InputError: not a valid event array for this sensor size, or sizes that are not positive.
    """
    if min(steps, height, width, saccade_us) < 1:
        raise InputError(
            f"steps, height, width, saccade_us are {steps}, {height}, {width}, {saccade_us}: at least 1 each"
        )
    check_events(events, width, height)
    bins = (events["t"] - start_us) // saccade_us
    inside = (bins >= 0) & (bins < steps)
    frames = np.zeros((steps, 2, height, width), np.uint8)
    frames[bins[inside], events["p"][inside], events["y"][inside], events["x"][inside]] = 1
    return frames


def _check_frames(frames: NDArray[np.uint8], saccade_us: int) -> None:
    if frames.ndim != 4 or frames.shape[1] != 2 or max(frames.shape[2:]) > 65_536:
        raise InputError(f"frames have shape {list(frames.shape)}: give [T, 2, H, W]")
    if frames.size and frames.max() > 1:
        raise InputError(f"frames hold {int(frames.max())}: only 0 and 1 become events")
    if saccade_us < 1:
        raise InputError(f"saccade_us is {saccade_us}: give at least 1 us")
