"""Two loops over events that NumPy cannot express: the dead time of pixels, and the support of neighbours."""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def _keep(t, pixel, last, dead_us, keep):
    for i in range(t.size):
        if t[i] - last[pixel[i]] >= dead_us:
            keep[i] = True
            last[pixel[i]] = t[i]


def outside_dead_time(t: NDArray[np.int64], pixel: NDArray[np.int64], pixels: int, dead_us: int) -> NDArray[np.bool_]:
    """Which events [N] come at least `dead_us` after the last kept one of their pixel.

    Args:
        t: times in us, sorted.
        pixel: number of the pixel, 0 to `pixels` - 1.
        pixels: how many there are.
        dead_us: refractory period.
    """
    keep = np.zeros(len(t), np.bool_)
    _keep(t, pixel, np.full(pixels, np.iinfo(np.int64).min // 2), dead_us, keep)
    return keep


@njit(cache=True, nogil=True)
def count_supported(t, x, y, width, height, within_us):
    """How many events have an earlier one in their 3x3 neighbourhood, not at the pixel itself, within `within_us`.

    `t`, `x`, `y` are int64 [N], sorted by time; events at the same time support the later in the array.
    """
    last = np.full((height + 2, width + 2), -(1 << 62))
    supported = 0
    for i in range(t.size):
        row, column, limit = y[i] + 1, x[i] + 1, t[i] - within_us
        own = last[row, column]
        last[row, column] = -(1 << 62)
        if last[row - 1 : row + 2, column - 1 : column + 2].max() >= limit:
            supported += 1
        last[row, column] = max(own, t[i])
    return supported
