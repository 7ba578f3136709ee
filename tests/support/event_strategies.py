"""Hypothesis strategies for events."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from i2e_deploy.events.array import EVENT_DTYPE, Events

#: Sensors of formats that do not hold any size.
_SENSORS = {"nmnist": (34, 34), "aedat2": (346, 260)}


def sensor_for(format_name: str) -> tuple[int, int]:
    """Width and height of a sensor that a file of this format can hold."""
    return _SENSORS.get(format_name, (320, 240))


@st.composite
def event_arrays(
    draw: st.DrawFn, width: int = 320, height: int = 240, most: int = 60, span: int = 5000, start: int = 0
) -> Events:
    """Sorted events [0..most] on a sensor, gaps of up to `span` us, many at the same time or place."""
    count = draw(st.integers(0, most))
    gaps = draw(st.lists(st.one_of(st.just(0), st.integers(0, span)), min_size=count, max_size=count))
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = start + np.cumsum(np.array(gaps, np.int64))
    for name, limit in (("x", width), ("y", height), ("p", 2)):
        events[name] = draw(st.lists(st.integers(0, limit - 1), min_size=count, max_size=count))
    return events


def random_events(count: int, width: int, height: int, seed: int = 0, span: int = 10) -> Events:
    """Sorted random events [count]."""
    random = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = np.cumsum(random.integers(0, span, count))
    for name, limit in (("x", width), ("y", height), ("p", 2)):
        events[name] = random.integers(0, limit, count)
    return events
