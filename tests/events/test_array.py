"""The event array and its validator."""

from __future__ import annotations

import numpy as np
import pytest

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, check_events, empty_events


def test_layout_is_packed() -> None:
    assert EVENT_DTYPE.itemsize == 13
    assert empty_events().shape == (0,)
    assert check_events(empty_events()).dtype == EVENT_DTYPE


def test_valid_events_come_back_unchanged() -> None:
    events = empty_events(3)
    events["t"], events["x"], events["p"] = [0, 5, 5], [0, 9, 3], [0, 1, 1]
    assert check_events(events, width=10, height=1) is events


@pytest.mark.parametrize(
    ("field", "values", "text"),
    [
        ("t", [0, 5, 4], "event 2 has t = 4"),
        ("x", [0, 10, 0], "event 1 has x = 10, the limit is 9"),
        ("y", [0, 0, 7], "event 2 has y = 7, the limit is 6"),
        ("p", [2, 0, 0], "event 0 has p = 2, the limit is 1"),
    ],
)
def test_bad_values_are_named(field: str, values: list[int], text: str) -> None:
    events = empty_events(3)
    events[field] = values
    with pytest.raises(InputError, match=text):
        check_events(events, width=10, height=7)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(InputError, match="float64"):
        check_events(np.zeros((3, 4)))
    with pytest.raises(InputError, match="list"):
        check_events([1, 2])
    with pytest.raises(InputError, match="0 or more"):
        empty_events(-1)
