"""The event array: what every file, camera, conversion and data set of this package gives and takes.

A structured NumPy array, one element an event, sorted by `t`:

| field | dtype  | meaning                                          |
|-------|--------|--------------------------------------------------|
| `t`   | int64  | microseconds; not decreasing                     |
| `x`   | uint16 | column, 0 at the left                            |
| `y`   | uint16 | row, 0 at the top                                |
| `p`   | uint8  | 0 = OFF (darker), 1 = ON (brighter)              |

Packed without padding: 13 bytes an event.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError

#: The only dtype of events inside this package.
EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])

#: A time beyond this (us, either way) is garbage: no clock says so.
FAR = 2**60

#: A structured array of `EVENT_DTYPE` (NumPy's types cannot say which fields).
Events = NDArray[np.void]


def empty_events(count: int = 0) -> Events:
    """An array of `count` events [N], all fields 0.

    Raises:
        InputError: `count` is negative.
    """
    if count < 0:
        raise InputError(f"number of events is {count}: give 0 or more")
    return np.zeros(count, EVENT_DTYPE)


def check_events(events: Any, width: int | None = None, height: int | None = None, where: str = "events") -> Events:
    """Return `events` if it is a valid event array, else raise.

    Args:
        events: the candidate [N].
        width: pixels a row; `x` must be below it. None: not checked.
        height: rows; `y` must be below it. None: not checked.
        where: name for the messages, e.g. the file.

    Raises:
        InputError: not one-dimensional, other fields or dtypes, a polarity above 1, a pixel outside the
            sensor, or times that decrease.
    """
    if not isinstance(events, np.ndarray) or events.dtype != EVENT_DTYPE or events.ndim != 1:
        got = f"{events.dtype} {list(events.shape)}" if isinstance(events, np.ndarray) else type(events).__name__
        raise InputError(f"{where}: got {got}, expected a one-dimensional array of {EVENT_DTYPE}")
    if not len(events):
        return events
    for field, limit in (("p", 2), ("x", width), ("y", height)):
        highest = int(events[field].max())
        if limit is not None and highest >= limit:
            first = int(np.argmax(events[field] >= limit))
            raise InputError(f"{where}: event {first} has {field} = {events[field][first]}, the limit is {limit - 1}")
    backwards = events["t"][1:] < events["t"][:-1]
    if backwards.any():
        first = int(np.argmax(backwards)) + 1
        raise InputError(
            f"{where}: event {first} has t = {events['t'][first]} us, before the one in front of it "
            f"({events['t'][first - 1]} us): sort with `events[np.argsort(events['t'], kind='stable')]`"
        )
    return events
