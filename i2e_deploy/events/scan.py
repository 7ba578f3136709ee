"""Find the first event that cannot be, in one pass."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def first_wrong(t, x, y, p, last, width, height):  # type: ignore[no-untyped-def]
    """Index of the first event that goes back in time, has p > 1 or lies outside the sensor; N if none does.

    Args:
        t, x, y, p: columns of an event array [N].
        last: time of the event before the first, us.
        width, height: of the sensor, pixels.
    """
    for i in range(len(t)):
        if t[i] < last or p[i] > 1 or x[i] >= width or y[i] >= height:
            return i
        last = t[i]
    return len(t)
