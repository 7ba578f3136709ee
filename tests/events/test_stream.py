"""Windows over a stream equal windows over the whole recording, however it is cut, and survive garbage."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from event_strategies import event_arrays, random_events
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.errors import InputError
from i2e_deploy.events import Events
from i2e_deploy.events.frames import FrameSpec, frames_reference
from i2e_deploy.events.stream import StreamSpec, Window, Windower
from i2e_deploy.events.windows import by_count, by_time

FRAME = FrameSpec((12, 10), (2, 5, 6))


def push_all(windower: Windower, events: Events, cut: int) -> list[Window]:
    return [window for i in range(0, len(events), cut) for window in windower.push(events[i : i + cut])]


@given(
    event_arrays(12, 10, span=900), st.integers(1, 4), st.integers(50, 900), st.integers(1, 4), st.integers(1, 70),
    st.sampled_from(["us", "events"]), st.booleans(),
)  # fmt: skip
def test_equals_the_offline_windows(
    events: Events, steps: int, step: int, hop: int, cut: int, unit: str, binary: bool
) -> None:
    hop = min(hop, steps)
    step = step if unit == "us" else step // 50
    spec = StreamSpec(steps, step, unit, hop)  # type: ignore[arg-type]
    frame = FrameSpec(FRAME.sensor_size, FRAME.shape, binary=binary)
    windows = push_all(Windower(spec, frame), events, cut)
    bounds = (by_time if unit == "us" else by_count)(events, step)
    frames = frames_reference(events, bounds, frame)
    starts = range(0, len(bounds) - steps + 1, hop)
    assert [window.index for window in windows] == list(range(len(starts)))
    for window, first in zip(windows, starts, strict=True):
        np.testing.assert_array_equal(window.frames, frames[first : first + steps])
        assert window.events == bounds[first + steps - 1, 1] - bounds[first, 0]
        if unit == "us":
            start = int(events["t"][0]) + first * step
            assert (window.start, window.end) == (start, start + steps * step)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.sampled_from(["us", "events"]))
def test_what_is_known_ahead_is_what_the_window_holds(seed: int, steps: int, hop: int, unit: Any) -> None:
    """Every window begins with the steps that were known before it closed; a source that is lost makes new ones."""
    random, spec = np.random.default_rng(seed), StreamSpec(steps, 40, unit, min(hop, steps))
    windower = Windower(spec, FRAME)
    known: dict[int, tuple[Any, ...]] = {}
    events = random_events(1200, 12, 10, seed=seed)
    for packet in np.array_split(events, 60):
        if random.random() < 0.05:
            windower.restart()
        for window in windower.push(packet):
            for ours, frame in zip(known.get(window.first_step, ()), window.frames, strict=False):
                np.testing.assert_array_equal(ours, frame)
        first, frames = windower.ahead()
        assert len(frames) < steps
        assert len(frames) >= len(known.get(first, ()))
        known[first] = frames


def test_silence_closes_windows_and_late_events_are_counted() -> None:
    windower = Windower(StreamSpec(2, 1000), FRAME)
    events = random_events(300, 12, 10)
    assert windower.push(events) == []
    start = int(events["t"][0])
    assert [w.end - w.start for w in windower.advance(start + 4500)] == [2000, 2000]
    late = windower.push(events[:50])
    assert late == []
    assert windower.counts.late == 50
    assert windower.advance(2**62)  # at most max_jump is advanced over, so this ends
    assert windower.step_end is not None
    assert windower.step_end <= start + 10_000_000 + 5000


@pytest.mark.parametrize("t", [-(2**59), 2**59, 2**62, -(2**63), 2**63 - 1])
def test_a_garbage_time_costs_one_window_and_little_else(t: int) -> None:
    events = random_events(4000, 12, 10)
    windower, bad = Windower(StreamSpec(2, 1000), FRAME), events[:3].copy()
    bad["t"] = t
    packets = [events[:2000], bad, events[2000:]]
    windows = [window for packet in packets for window in windower.push(packet)]
    assert (windower.counts.epochs, windower.counts.late) == ((2, 0) if abs(t) == 2**59 else (0, 3))
    assert windower.counts.events == 4003
    assert 15 <= sum(window.events for window in windows) / 200 <= 20
    assert len(windows) < 12


def test_random_bytes_as_events_never_fail() -> None:
    data = np.random.default_rng(0).integers(0, 256, 13 * 5000, np.uint8)
    windower = Windower(StreamSpec(2, 1000), FRAME)
    windower.push(data.view(random_events(0, 1, 1).dtype))
    windower.push(random_events(100, 12, 10))
    assert windower.counts.events == 5100


def test_the_same_calls_give_the_same_windows() -> None:
    events = random_events(5000, 12, 10)
    runs = []
    for _ in range(2):
        windower = Windower(StreamSpec(4, 500, stride=2), FRAME)
        windows = push_all(windower, events[:2500], 91)
        windower.restart()
        windows += push_all(windower, events[2500:], 91) + windower.advance(int(events["t"][-1]) + 777)
        runs.append(([(w.index, w.start, w.events, w.frames.tolist()) for w in windows], asdict(windower.counts)))
    assert runs[0] == runs[1]
    assert runs[0][1]["epochs"] == 1


def test_wrong_specs() -> None:
    with pytest.raises(InputError, match="at most steps"):
        StreamSpec(2, 1000, stride=3)
    with pytest.raises(InputError, match="at least 1"):
        StreamSpec(0, 1000)
    with pytest.raises(InputError, match="choose 'us' or 'events'"):
        StreamSpec(1, 1, "ms")  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["us", "events"]), st.booleans())
def test_every_event_is_in_a_window_or_a_counter(seed: int, unit: Any, overlap: bool) -> None:
    random, spec = np.random.default_rng(seed), StreamSpec(3, 40, unit, 2 if overlap else None, max_jump=500)
    windower, events, windows = Windower(spec, FRAME), random_events(900, 12, 10, seed=seed), list[Window]()
    events["t"][random.integers(0, 900, 5)] = random.integers(-(2**62), 2**62, 5)
    for packet in np.array_split(events, 30):
        if random.random() < 0.1:
            windower.restart()
        windows += windower.push(packet)
    counts = windower.counts
    assert counts.events == 900
    if not overlap:
        held = sum(window.events for window in windows)
        assert held + counts.pending + counts.late + counts.given_up == 900
    windower.restart()
    assert counts.pending == 0
