"""The kernel equals the NumPy definition, and tonic where tonic defines the same thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from event_strategies import event_arrays, random_events
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.errors import InputError
from i2e_deploy.events import empty_events
from i2e_deploy.events.frames import FrameSpec, frames_reference, to_frames
from i2e_deploy.events.windows import by_count, by_time, into_steps, iter_windows


@st.composite
def specs(draw: st.DrawFn) -> FrameSpec:
    width, height = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    crop = (left, top, draw(st.integers(1, width - left)), draw(st.integers(1, height - top)))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 50)), draw(st.integers(1, 50)))
    return FrameSpec((width, height), shape, draw(st.none() | st.just(crop)), draw(st.booleans()))


@given(specs(), st.data())
def test_kernel_equals_the_definition(spec: FrameSpec, data: Any) -> None:
    events = data.draw(event_arrays(60, 60))  # some outside the sensor
    events["p"][::7] = data.draw(st.sampled_from([0, 1, 2, 255]))
    edge = st.integers(0, len(events))
    bounds = np.array(data.draw(st.lists(st.tuples(edge, edge), max_size=5)), np.int64).reshape(-1, 2)
    np.testing.assert_array_equal(to_frames(events, bounds, spec), frames_reference(events, bounds, spec))


@given(specs(), event_arrays(60, 60), st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.uint64]))
def test_into_an_array_that_was_used_before(spec: FrameSpec, events: Any, dtype: Any) -> None:
    bounds = by_count(events, 10, 5, partial=True)
    out = np.full((len(bounds), *spec.shape), 77, dtype)
    assert to_frames(events, bounds, spec, out) is out
    np.testing.assert_array_equal(out, frames_reference(events, bounds, spec))


def test_counts_that_an_array_does_not_hold_are_refused() -> None:
    events, spec = empty_events(300), FrameSpec((2, 2), (2, 2, 2))
    bounds = np.array([[0, 255]])
    assert to_frames(events, bounds, spec, np.empty((1, 2, 2, 2), np.uint8)).max() == 255
    for count, out, message in (
        (256, np.empty((1, 2, 2, 2), np.uint8), "more than 255 events .* uint8 does not hold"),
        (9, np.empty((2, 2, 2, 2), np.uint8), "expected contiguous integers"),
        (9, np.empty((1, 2, 2, 2), np.float32), "expected contiguous integers"),
        (9, np.empty((1, 2, 2, 4), np.uint8)[..., ::2], "expected contiguous integers"),
    ):
        with pytest.raises(InputError, match=message):
            to_frames(events, np.array([[0, count]]), spec, out)


@given(event_arrays(8, 8), st.integers(200, 3000), st.integers(200, 4000), st.booleans())
def test_by_time_is_its_definition(events: Any, length: int, stride: int, partial: bool) -> None:
    bounds = by_time(events, length, stride, partial=partial)
    if not len(events):
        assert len(bounds) == 0
        return
    t, k = events["t"], 0
    while t[0] + k * stride <= t[-1] if partial else t[0] + k * stride + length <= t[-1]:
        inside = np.flatnonzero((t >= t[0] + k * stride) & (t < t[0] + k * stride + length))
        assert events[slice(*bounds[k])].tolist() == events[inside].tolist()
        k += 1
    assert k == len(bounds)


@given(event_arrays(8, 8), st.integers(200, 3000), st.integers(200, 4000), st.integers(1, 70))
def test_windows_over_packets_equal_windows_over_the_whole(events: Any, length: int, stride: int, cut: int) -> None:
    packets = [events[i : i + cut] for i in range(0, len(events), cut)]
    windows = [part.tolist() for _, part in iter_windows(packets, length, stride)]
    assert windows == [events[a:b].tolist() for a, b in by_time(events, length, stride, partial=True)]


def test_by_count_and_errors() -> None:
    events = random_events(10, 4, 4)
    assert by_count(events, 4).tolist() == [[0, 4], [4, 8]]
    assert by_count(events, 4, 2, partial=True).tolist() == [[0, 4], [2, 6], [4, 8], [6, 10], [8, 10]]
    assert into_steps(events, 3)[:, 0].tolist()[0] == 0
    assert into_steps(events, 3)[-1, 1] == 10
    assert by_time(empty_events(), 5).shape == (0, 2)
    events["t"][-1] = 2**60
    with pytest.raises(InputError, match="at most 16777216"):
        by_time(events, 1)
    with pytest.raises(InputError, match="at least 1"):
        by_count(events, 0)
    with pytest.raises(InputError, match="leaves the sensor"):
        FrameSpec((4, 4), (2, 4, 4), crop=(2, 0, 3, 3))
    with pytest.raises(InputError, match="there are 10 events"):
        to_frames(events, np.array([[0, 11]]), FrameSpec((4, 4), (2, 4, 4)))


ORDER = np.dtype([("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")])


def for_tonic(events: Any) -> Any:
    theirs = np.empty(len(events), ORDER)
    for name in ORDER.names or ():
        theirs[name] = events[name]
    return theirs


@pytest.mark.parametrize("merged", [False, True])
def test_against_tonic_to_frame(merged: bool) -> None:
    """Equal: `time_window` with and without overlap, `event_count`, and `n_time_bins` but for its lost rest."""
    transforms = pytest.importorskip("tonic.transforms")
    events = random_events(20_000, 30, 20, seed=2)
    theirs, channels = for_tonic(events), 1 if merged else 2
    spec = FrameSpec((30, 20), (channels, 20, 30))

    def tonic(**how: Any) -> Any:
        if merged:
            theirs["p"] = 0
        return transforms.ToFrame((30, 20, channels), **how)(theirs)

    for length, overlap in ((1000, 0), (1000, 250), (777, 5)):
        ours = to_frames(events, by_time(events, length, length - overlap), spec)
        np.testing.assert_array_equal(ours, tonic(time_window=length, overlap=overlap))
    for count, overlap in ((500, 0), (500, 100)):
        ours = to_frames(events, by_count(events, count, count - overlap), spec)
        np.testing.assert_array_equal(ours, tonic(event_count=count, overlap=overlap))
    ours, tonics = to_frames(events, into_steps(events, 8), spec), tonic(n_time_bins=8)
    np.testing.assert_array_equal(ours[:-1], tonics[:-1])
    assert ours.sum() == len(events)
    rest = len(events) - int(tonics.sum())
    assert 0 <= rest < 50
    assert ours[-1].sum() - tonics[-1].sum() == rest
