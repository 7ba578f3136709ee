"""The chip's event filter, after the pre-processing: noise, hot pixels, flicker. The slow definition.

Speck Dev Kit Datasheet (Aug 2023), 3.2.3.5: a counter counts ticks of the slow clock; the filter keeps for each
pixel the count at its last event, whether that passed or not.

    noise      an event passes if some pixel in the window around it had an event less than `threshold` ticks ago
    low_pass   an event passes unless its own pixel had one less than `threshold` ticks ago (flicker of lamps)
    hot_pixel  noise and hot-pixel filter together

Modes exclude each other. What no public text settles is an option here: whether a pixel's own last event supports it
in mode `noise` (with a window of 1x1 it must), and how hot pixels are treated: `own` (their own events do not support
them) or `interval` (an event less than `threshold` ticks after one of its own pixel is blocked as well). Assumed: both
polarities share a pixel's count (the memory has 16 Ki words, a pixel one), a pixel without an event so far supports
nobody, windows are odd, and the 16-bit counter does not wrap (it does after 65,536 ticks).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.peripherals import EventFilter
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK, Stimuli

#: Count of a pixel that had no event: longer ago than any threshold.
NEVER = -(2**40)


def fresh_memory(shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Memory [H, W] before the first event of an input (C, H, W)."""
    return np.full(shape[1:], NEVER, np.int64)


def filter_reference(
    event_filter: EventFilter, stimuli: Stimuli, memory: NDArray[np.int64], step_us: int
) -> tuple[Stimuli, NDArray[np.int64]]:
    """Events that pass, in order, and the memory after them; ticks of the slow clock always pass.

    Args:
        stimuli: STIMULUS array.
        memory: int64 [H, W], the slow-clock count at each pixel's last event.
        step_us: period of the slow clock.
    """
    last, passes = memory.copy(), []
    for t, c, y, x in stimuli.tolist():
        passes.append(c == TICK or _passes(event_filter, last, t // step_us, y, x))
        if c != TICK:
            last[y, x] = t // step_us
    return stimuli[np.array(passes, np.bool_)], last


def _passes(event_filter: EventFilter, last: NDArray[np.int64], now: int, y: int, x: int) -> bool:
    if event_filter.blocks_own and now - last[y, x] < event_filter.threshold:
        return False
    if event_filter.mode == "low_pass":
        return True
    down, across = event_filter.window[0] // 2, event_filter.window[1] // 2
    for ny in range(max(0, y - down), min(last.shape[0], y + down + 1)):
        for nx in range(max(0, x - across), min(last.shape[1], x + across + 1)):
            if ((ny, nx) != (y, x) or event_filter.counts_own) and now - last[ny, nx] < event_filter.threshold:
                return True
    return False
