"""The compiled loop of `es`."""

from __future__ import annotations

import numba

_OVERFLOW, _RESET, _OVERFLOW_US = 0xFF, 0xFE, 127


@numba.njit(cache=True, nogil=True)
def decode_dvs(data, time, height, events):  # type: ignore[no-untyped-def]
    """Bytes after the header to `events`, y turned to count from the top.

    Args:
        data: uint8 [N].
        time: us so far.
        height: of the sensor.
        events: [M], at least N // 5.

    Returns:
        (events written, bytes taken, us so far, whether it stopped at an event outside the sensor).
    """
    count, at = 0, 0
    while at < len(data):
        first = data[at]
        if first in (_OVERFLOW, _RESET):
            time += _OVERFLOW_US if first == _OVERFLOW else 0
            at += 1
            continue
        if at + 5 > len(data):
            break
        row = height - 1 - (data[at + 3] | data[at + 4] << 8)
        if row < 0:
            return count, at, time, True
        time += first >> 1
        events[count]["t"] = time
        events[count]["x"] = data[at + 1] | data[at + 2] << 8
        events[count]["y"] = row
        events[count]["p"] = first & 1
        count, at = count + 1, at + 5
    return count, at, time, False
