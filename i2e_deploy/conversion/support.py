"""Neighbour support of events: one pass over the stream with the last time of every pixel."""

# The compiled functions take what the compiler infers.
# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

from numba import njit
from numpy import full


@njit(cache=True, nogil=True)
def count_supported(t, x, y, width, height, within_us):
    """How many events have an earlier one in their 3x3 neighbourhood, not at the pixel itself, within `within_us`.

    `t`, `x`, `y` are int64 [N], sorted by time; events at the same time support the later in the array.
    """
    last = full((height + 2, width + 2), -(1 << 62))
    supported = 0
    for i in range(t.size):
        row, column, limit = y[i] + 1, x[i] + 1, t[i] - within_us
        own = last[row, column]
        last[row, column] = -(1 << 62)
        if last[row - 1 : row + 2, column - 1 : column + 2].max() >= limit:
            supported += 1
        last[row, column] = max(own, t[i])
    return supported
