"""Dead time of a pixel: the one loop over events that NumPy cannot express."""

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
