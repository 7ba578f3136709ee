"""Parts of a recording that is read packet by packet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events


def between(
    packets: Iterable[Events], start_us: int = 0, end_us: int | None = None, from_zero: bool = False
) -> Iterator[Events]:
    """Events of a window in time, half open; reading stops at its end.

    Args:
        packets: of a recording, in order.
        start_us, end_us: from the time of the first event; None: to the end of the recording.
        from_zero: subtract the start of the window from the times that are given on.

    Raises:
        InputError: the window ends before it starts, or starts before the recording.
    """
    if start_us < 0 or (end_us is not None and end_us <= start_us):
        raise InputError(f"window from {start_us} to {end_us} us after the first event: 0 <= start < end is needed")
    begin: int | None = None
    for packet in packets:
        if not len(packet):
            continue
        t = packet["t"]
        begin = int(t[0]) + start_us if begin is None else begin
        first = int(np.searchsorted(t, begin))
        last = len(t) if end_us is None else int(np.searchsorted(t, begin - start_us + end_us))
        part = packet[first:last]
        if from_zero and len(part):
            part = part.copy()
            part["t"] -= begin
        if len(part):
            yield part
        if last < len(t):
            return
