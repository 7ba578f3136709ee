"""The event filter, fast: equal to `event_filter.filter_reference`."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.peripherals import EventFilter
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK, Stimuli


def filter_fast(
    event_filter: EventFilter, stimuli: Stimuli, memory: NDArray[np.int64], step_us: int
) -> tuple[Stimuli, NDArray[np.int64]]:
    """See `event_filter.filter_reference`."""
    last = memory.copy()
    c, y, x = (np.ascontiguousarray(stimuli[name]) for name in "cyx")
    down, across = event_filter.window[0] // 2, event_filter.window[1] // 2
    passes = _run(
        stimuli["t"] // step_us, c, y, x, last, down, across, event_filter.threshold,
        event_filter.counts_own, event_filter.blocks_own, event_filter.mode == "low_pass",
    )  # fmt: skip
    return stimuli[passes], last


@numba.njit(cache=True, nogil=True)
def _run(now, c, y, x, last, down, across, threshold, counts_own, blocks_own, low_pass):
    height, width = last.shape
    passes = np.zeros(len(c), np.bool_)
    for i in range(len(c)):
        if c[i] == TICK:
            passes[i] = True
            continue
        py, px, count = y[i], x[i], now[i]
        own = count - last[py, px] < threshold
        if low_pass:
            passes[i] = not own
        elif not (blocks_own and own):
            found = False
            for ny in range(max(0, py - down), min(height, py + down + 1)):
                for nx in range(max(0, px - across), min(width, px + across + 1)):
                    if count - last[ny, nx] < threshold and (ny != py or nx != px or counts_own):
                        found = True
            passes[i] = found
        last[py, px] = count
    return passes
