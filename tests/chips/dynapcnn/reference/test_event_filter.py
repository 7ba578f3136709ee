"""The event filter: the fast one equals its definition, and the definition does what the datasheet says."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from dynapcnn_programs import single_core
from event_strategies import event_arrays
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn.engine.event.run import filter_fast
from i2e_deploy.chips.dynapcnn.formats.config import build_config
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter
from i2e_deploy.chips.dynapcnn.reference.event_filter import filter_reference, fresh_memory
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import recorded
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS, TICK, Stimuli
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events import EVENT_DTYPE, Events

SIDES = st.sampled_from([1, 3, 5, 15])
FILTERS = st.builds(
    EventFilter,
    mode=st.sampled_from(["noise", "low_pass", "hot_pixel"]),
    window=st.tuples(SIDES, SIDES),
    threshold=st.integers(1, 5),
    own_pixel=st.sampled_from(["yes", "no"]),
    hot_pixels=st.sampled_from(["own", "interval"]),
)


@settings(max_examples=80, deadline=None)
@given(chosen=FILTERS, events=event_arrays(9, 7, 60, span=2000), step_us=st.integers(1, 2000), ticks=st.booleans())
def test_the_kernel_equals_the_definition(chosen: EventFilter, events: Events, step_us: int, ticks: bool) -> None:
    shape, options = (2, 7, 9), EventOptions(step_us=step_us)
    stimuli = recorded(events, 200, options, ticks)
    memory = fresh_memory(shape)
    memory[::2] = -3
    slow, slow_memory = filter_reference(chosen, stimuli, memory, step_us)
    fast, fast_memory = filter_fast(chosen, stimuli, memory, step_us)
    np.testing.assert_array_equal(slow, fast)
    np.testing.assert_array_equal(slow_memory, fast_memory)
    assert (slow["c"] == TICK).sum() == (stimuli["c"] == TICK).sum()


def stimuli(*events: tuple[int, int, int]) -> Stimuli:
    """Events (t in ticks of 1 ms, y, x)."""
    made = np.zeros(len(events), STIMULUS)
    for row, (t, y, x) in zip(made, events, strict=True):
        row["t"], row["y"], row["x"] = t * 1000, y, x
    return made


def passing(chosen: EventFilter, *events: tuple[int, int, int]) -> list[int]:
    """Numbers of the events that pass."""
    given = stimuli(*events)
    kept, _ = filter_reference(chosen, given, fresh_memory((2, 8, 8)), 1000)
    keys = [tuple(row) for row in given.tolist()]
    return [keys.index(tuple(row)) for row in kept.tolist()]


def test_noise_is_what_has_no_neighbour_in_space_and_time() -> None:
    chosen = EventFilter("noise", (3, 3), 2)
    assert passing(chosen, (0, 4, 4), (1, 4, 5)) == [1]  # supported by the event beside it, one tick ago
    assert passing(chosen, (0, 4, 4), (2, 4, 5)) == []  # two ticks are not less than 2
    assert passing(chosen, (0, 4, 4), (1, 4, 6)) == []  # outside the window
    assert passing(replace(chosen, window=(1, 5)), (0, 4, 4), (1, 4, 6)) == [1]
    assert passing(replace(chosen, window=(5, 1)), (0, 4, 4), (1, 4, 6)) == []
    assert passing(chosen, (0, 0, 0), (1, 1, 1), (1, 7, 7)) == [1]  # at the border too


def test_a_filtered_event_is_remembered_too() -> None:
    assert passing(EventFilter("noise", (3, 3), 2), (0, 4, 4), (1, 4, 5), (2, 4, 6)) == [1, 2]


def test_a_hot_pixel_supports_itself_unless_told_otherwise() -> None:
    alone = [(t, 3, 3) for t in range(5)]
    assert passing(EventFilter("noise", (3, 3), 2), *alone) == [1, 2, 3, 4]
    assert passing(EventFilter("noise", (3, 3), 2, own_pixel="no"), *alone) == []
    assert passing(EventFilter("hot_pixel", (3, 3), 2), *alone) == []
    pair = [(0, 3, 4), (0, 3, 3), (1, 3, 3)]
    assert passing(EventFilter("hot_pixel", (3, 3), 2), *pair) == [1, 2]
    assert passing(EventFilter("hot_pixel", (3, 3), 2, hot_pixels="interval"), *pair) == [1]


def test_flicker_is_what_comes_again_too_soon() -> None:
    """Datasheet 3.2.3.5.2: clock 1 ms, threshold 25: events of one pixel closer than 25 ms are dropped."""
    chosen = EventFilter("low_pass", threshold=25)
    assert passing(chosen, (0, 1, 1), (24, 1, 1), (49, 1, 1), (60, 2, 2)) == [0, 2, 3]
    assert passing(chosen, *[(10 * n, 1, 1) for n in range(10)]) == [0]  # a lamp at 100 Hz


def recording(count: int, seed: int = 0) -> Events:
    generator = np.random.default_rng(seed)
    events = np.zeros(count, EVENT_DTYPE)
    events["t"] = 7_000_000 + np.sort(generator.integers(0, 20_000, count))
    events["p"] = generator.integers(0, 2, count)
    for name in "xy":
        events[name] = generator.integers(0, 6, count)
    return events


FILTERED: dict[str, Any] = {
    "weight": np.full((1, 2, 1, 1), 10, np.int8), "input_shape": (2, 6, 6), "output_shape": (1, 6, 6)
}  # fmt: skip


def test_a_recording_runs_at_its_own_times_with_the_filter_in_front() -> None:
    program = replace(single_core(**FILTERED), event_filter=EventFilter("noise", (3, 3), 1))
    events = recording(400)
    slow, fast = (program.run_events(events, engine) for engine in ("reference", "fast"))
    bare = replace(program, event_filter=None).run_events(events)
    assert slow.events is not None
    assert fast.events is not None
    np.testing.assert_array_equal(slow.events["core"], fast.events["core"])
    np.testing.assert_array_equal(slow.states["input"]["last"], fast.states["input"]["last"])
    assert 0 < slow.counts["core"].synops < bare.counts["core"].synops == 400
    assert slow.output.shape == (1, 20, 36)
    assert set(slow.arrays(state=True)) == {"layer0", "layer0_v_mem", "input_last"}


def test_the_filter_remembers_from_run_to_run() -> None:
    program = replace(single_core(**FILTERED), event_filter=EventFilter("noise", (3, 3), 2))
    frames = (np.random.default_rng(1).random((2, 8, 2, 6, 6)) < 0.05).astype(np.int64)
    whole = program.run(frames, "event")
    first = program.run(frames[:, :3], "event")
    second = program.run(frames[:, 3:], "event", states=first.states)
    assert whole.counts["core"].synops == first.counts["core"].synops + second.counts["core"].synops
    for layer, variables in whole.states.items():
        for name, value in variables.items():
            np.testing.assert_array_equal(value, second.states[layer][name])


def test_configuration_and_file() -> None:
    chosen = EventFilter("hot_pixel", (3, 5), 5)
    program = replace(single_core(), event_filter=chosen)
    data = build_config(program, {"core": 0}, "speck2f", monitor=["input"])
    assert data["dvs_filter"] == {
        "enable": True, "filter_size": {"x": 5, "y": 3}, "threshold": 5,
        "hot_pixel_filter_enable": True, "low_pass_mode_enable": False,
        "internal_slow_clk": False,
    }  # fmt: skip
    assert data["dvs_layer"] == {"pass_sensor_events": False, "monitor_enable": True, "raw_monitor_enable": False}
    assert data["factory_config"]["dvs_filter"]["filter_clk_enable"] is True
    low = replace(program, event_filter=EventFilter("low_pass", threshold=25))
    assert build_config(low, {"core": 0}, "speck2f")["dvs_filter"]["filter_size"] == {"x": 0, "y": 0}
    tensors, graph = program.to_tensors()
    assert from_tensors(tensors, json.loads(json.dumps(graph))).event_filter == chosen
    assert asdict(chosen)["mode"] == "hot_pixel"


def test_refusals() -> None:
    program = replace(single_core(), event_filter=EventFilter())
    with pytest.raises(UnsupportedError, match="use semantics 'event'"):
        program.run(np.ones((1, 1, 1, 1, 1), np.int64))
    for wrong in ({"mode": "x"}, {"window": (2, 3)}, {"window": (17, 1)}, {"threshold": 0}, {"own_pixel": "maybe"}):
        with pytest.raises(InputError, match=r"event filter|own_pixel"):
            EventFilter(**wrong)
    with pytest.raises(InputError, match=r"recording 0"):
        program.run_events(recording(200))
    with pytest.raises(InputError, match="no events"):
        program.run_events(recording(0))
    with pytest.raises(InputError, match="choose one of fast"):
        program.run_events(recording(1), "quick")  # type: ignore[arg-type]
