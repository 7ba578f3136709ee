"""A recording counted into steps of equal time, from its first event on."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, check_events

#: Steps of one recording, at most, and values of one counted into steps.
MAX_STEPS, MAX_COUNTED = 2**24, 2**28


def from_start(events: Events, step_us: int) -> tuple[Events, int]:
    """A recording with its first event at time 0, and how many steps it lasts.

    Raises:
        InputError: no event, or too long.
    """
    if not len(events):
        raise InputError("the recording holds no events: nothing to simulate")
    moved = events.copy()
    moved["t"] -= events["t"][0]
    steps = int(moved["t"][-1]) // step_us + 1
    if steps > MAX_STEPS:
        raise InputError(f"the recording lasts {steps} steps of {step_us} us: at most {MAX_STEPS}; cut it")
    return moved, steps


def count_events(events: Events, shape: tuple[int, int, int], step_us: int) -> NDArray[np.int32]:
    """A recording counted into steps from its first event: int32 [1, T, C, H, W], channel = polarity.

    Raises:
        InputError: see `from_start`; an event outside the shape (C, H, W); more than 2^28 values.
    """
    moved, steps = from_start(events, step_us)
    check_recording(moved, shape, "the recording")
    lead = (1, steps, *shape)
    if prod(lead) > MAX_COUNTED:
        raise InputError(f"the recording counted into {step_us} us is {list(lead)}: cut it, or take longer steps")
    where = (np.zeros_like(moved["t"]), moved["t"] // step_us, moved["p"], moved["y"], moved["x"])
    flat = np.ravel_multi_index(where, lead)
    return np.bincount(flat, minlength=prod(lead)).astype(np.int32).reshape(lead)


def check_recording(events: Events, shape: tuple[int, int, int], name: str) -> None:
    """Raise InputError unless every event lies in the input (C, H, W) of a program, polarity = channel."""
    channels, height, width = shape
    check_events(events, where=name)
    if len(events) and (int(events["x"].max()) >= width or int(events["y"].max()) >= height):
        seen = f"{int(events['x'].max()) + 1} x {int(events['y'].max()) + 1}"
        raise InputError(
            f"{name} has events on {seen} pixels, the network sees {width} x {height}: crop or shrink the recording, "
            "or begin the network with a Sensor layer that does"
        )
    if len(events) and int(events["p"].max()) >= channels:
        raise InputError(f"{name} has both polarities, the network's input {channels} channel: merge them")
