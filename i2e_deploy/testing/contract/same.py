"""What tests of the suite compare, with a message that names the first place that differs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from i2e_deploy.chips import Program, Trace
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.errors import I2EDeployError
from i2e_deploy.runtime.comparison import compare, compare_events


def assert_same(expected: Trace, actual: Trace, what: str, events: bool = True) -> None:
    """Both runs are equal: spikes, output, states, counts, and events where there are any.

    Args:
        what: what was compared with what, for the message.
        events: compare the events themselves too; their fields count from the start of a run.
    """
    names = dict(enumerate(expected.spikes))
    assert list(actual.spikes) == list(expected.spikes), f"{what}: other layers"
    wanted, got = (_arrays(trace) for trace in (expected, actual))
    labels = {f"layer{place}": name for place, name in names.items()}
    differences = [str(difference) for difference in compare(wanted, got, labels)]
    assert not differences, f"{what}: {'; '.join(differences)}"
    assert got.keys() == wanted.keys(), f"{what}: {sorted(got.keys() ^ wanted.keys())} only in one of them"
    assert_counts(expected.counts, actual.counts, what)
    if events and expected.events is not None:
        assert actual.events is not None, f"{what}: no events"
        parted = [compare_events(n, array, actual.events[n]) for n, array in expected.events.items()]
        assert not any(parted), f"{what}: {'; '.join(str(p) for p in parted if p)}"


def assert_counts(expected: Mapping[str, LayerCounts], actual: Mapping[str, LayerCounts], what: str) -> None:
    """Every layer's totals are equal."""
    for name, count in expected.items():
        assert actual.get(name) == count, f"{what}: counts of {name!r} are {actual.get(name)}, expected {count}"
    assert actual.keys() == expected.keys(), f"{what}: counts of {sorted(actual)}, expected of {sorted(expected)}"


def assert_same_program(expected: Program, actual: Program, what: str) -> None:
    """Both programs are the same integers, in the same arrays and data."""
    (tensors, data), (got, got_data) = expected.to_tensors(), actual.to_tensors()
    assert got.keys() == tensors.keys(), f"{what}: arrays {sorted(got)}, expected {sorted(tensors)}"
    for name, array in tensors.items():
        same = got[name].dtype == array.dtype and np.array_equal(got[name], array)
        assert same, f"{what}: array {name!r} differs"
    assert plain(got_data) == plain(data), f"{what}: data differ"


def assert_one_line(error: BaseException, *parts: str) -> None:
    """The message is one line and holds every part."""
    text = str(error)
    assert text, f"{type(error).__name__} without a message"
    assert "\n" not in text, f"an error of several lines: {text!r}"
    for part in parts:
        assert part in text, f"the error does not name {part!r}: {text}"
    assert isinstance(error, I2EDeployError), f"{type(error).__name__}: {text}"


def plain(data: Any) -> Any:
    """JSON-able data as JSON gives it back."""
    import json

    return json.loads(json.dumps(data))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads, for engines that ask torch, numba or the machine; what is not imported is not asked."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(os, "cpu_count", return_value=count))
        for library, most in (("torch", count), ("numba", _most_of_numba())):
            module: Any = sys.modules.get(library)
            if module is not None:
                stack.callback(module.set_num_threads, module.get_num_threads())
                module.set_num_threads(min(count, most))
        yield


def _most_of_numba() -> int:
    module: Any = sys.modules.get("numba")
    return 1 if module is None else int(module.config.NUMBA_NUM_THREADS)


def _arrays(trace: Trace) -> dict[str, Any]:
    return {**trace.arrays(state=True, binned=True), "output": trace.output}
