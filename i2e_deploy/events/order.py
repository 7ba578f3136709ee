"""The order of the events of one bin that have no times of their own.

An asynchronous chip takes events one at a time, so the order is part of what it computes: in raster order whole rows
fire before their neighbours can inhibit them (docs/findings/steps_and_events.md has what that costs). `spread` is the
order used here.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)  # a third of the time of a small sample
def spread_rank(shape: tuple[int, ...]) -> NDArray[np.int64]:
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
