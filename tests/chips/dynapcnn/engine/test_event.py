"""The asynchronous chip: the engine equals the definition, the definition equals Sinabs where that can be asked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from dynapcnn_programs import programs, random_frames, single_core
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sinabs.activation import MembraneReset, MembraneSubtract, SingleSpike
from sinabs_networks import conv, neurons, oracle, run_oracle
from torch import nn

from i2e_deploy.chips import Engine, get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine
from i2e_deploy.chips.dynapcnn.estimates.bound import bound
from i2e_deploy.chips.dynapcnn.reference.event import run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, choices
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs


def option_values() -> st.SearchStrategy[EventOptions]:
    return st.builds(EventOptions, **{name: st.sampled_from(values) for name, values in choices().items()})


def assert_equal_runs(program: DynapcnnProgram, frames: NDArray[Any], options: EventOptions) -> None:
    slow = program.run(frames, "event", "reference", options=options)
    fast = program.run(frames, "event", "fast", options=options)
    assert slow.counts == fast.counts
    assert slow.events is not None
    assert fast.events is not None
    for name in program.layer_names:
        np.testing.assert_array_equal(slow.events[name], fast.events[name])
        np.testing.assert_array_equal(slow.states[name]["v_mem"], fast.states[name]["v_mem"])
    np.testing.assert_array_equal(slow.output, fast.output)


@settings(max_examples=150, deadline=None)
@given(program=programs(), seed=st.integers(0, 2**16), options=option_values())
@pytest.mark.slow
def test_engine_equals_reference(program: DynapcnnProgram, seed: int, options: EventOptions) -> None:
    assert_equal_runs(program, random_frames(program, seed, samples=2, steps=2), options)


def run_single(events: int, options: EventOptions | None = None, **core: Any) -> tuple[int, int]:
    """Spikes and final state of one neuron after that many events, one a step."""
    program = single_core(**core)
    trace = program.run(
        np.ones((1, events, 1, 1, 1), np.int64), "event", "reference", options=options or EventOptions()
    )
    return int(trace.output.sum()), int(trace.states["core"]["v_mem"].item())


def weight(value: int) -> NDArray[Any]:
    return np.full((1, 1, 1, 1), value, np.int8)


def test_one_event_at_the_threshold_fires_once() -> None:
    """As Sinabs' hardware test of a single neuron: weight = threshold = 127 gives exactly one spike."""
    assert run_single(1, weight=weight(127), threshold=127) == (1, 0)
    assert run_single(1, weight=weight(126), threshold=127) == (0, 126)


def test_a_neuron_fires_once_an_event_whatever_is_left() -> None:
    """The difference from `timestep`, where the same event gives six spikes."""
    assert run_single(1, weight=weight(127), threshold=20) == (1, 107)
    frames = np.ones((1, 1, 1, 1, 1), np.int64)
    assert single_core(weight=weight(127)).run(frames).output.sum() == 6


def test_the_lower_bound_holds_at_every_event() -> None:
    """Down 10 twice, up 10 twice in one step, bound -10: at every event it gives 10, once a step 0."""
    program = single_core(weight=np.array([[[[-10, -10, 10, 10]]]], np.int8), min_v=-10, input_shape=(1, 1, 4))
    frames = np.ones((1, 1, 1, 1, 4), np.int64)
    raster = program.run(frames, "event", options=EventOptions(order="raster"))
    assert raster.states["core"]["v_mem"].item() == 10
    assert program.run(frames).states["core"]["v_mem"].item() == 0


def test_reset_to_zero() -> None:
    assert run_single(1, weight=weight(127), reset="zero") == (1, 0)


def test_overflow_saturates_or_wraps() -> None:
    core: Any = {"weight": weight(127), "threshold": 32767}
    steps = 32767 // 127  # 258 events: 32766
    assert run_single(steps, **core) == (0, 32766)
    assert run_single(steps + 1, **core) == (1, 0)  # held at 32767, which is the threshold
    assert run_single(steps + 1, EventOptions(overflow="wrap"), **core) == (0, -20)  # wrapped, then the lower bound


def test_leak_is_added_at_ticks_not_at_events() -> None:
    """As in Sinabs' leak notebook: 127, then -13 at each tick: 114, 101, 88."""
    core: Any = {"weight": weight(127), "threshold": 32767, "bias": np.array([-13], np.int8)}
    for steps, expected in ((1, 127), (2, 114), (3, 101), (4, 88)):
        frames = np.zeros((1, steps, 1, 1, 1), np.int64)
        frames[0, 0] = 1
        # the tick of the first step comes before the event and is held at 0 by the lower bound
        trace = single_core(**core, min_v=0).run(frames, "event", "reference")
        assert trace.states["core"]["v_mem"].item() == expected


def test_a_tick_may_or_may_not_fire() -> None:
    core: Any = {"bias": np.array([20], np.int8), "weight": weight(0)}
    assert run_single(3, **core) == (3, 0)
    assert run_single(3, EventOptions(leak_fires="no"), **core) == (0, 60)


def test_zero_weights_touch_or_skip_a_neuron_left_above_threshold() -> None:
    program = single_core(weight=np.array([[[[127]], [[0]]]], np.int8), input_shape=(2, 1, 1))
    frames = np.array([[1, 0], [0, 1], [0, 1]]).reshape(1, 3, 2, 1, 1)
    assert program.run(frames, "event").output.sum() == 1
    assert program.run(frames, "event", options=EventOptions(zero_weights="touch")).output.sum() == 3


def test_a_split_layer_joined_by_feature_shift_is_the_whole_layer() -> None:
    """Two half layers side by side, the second shifted, compute what one layer of all features does."""
    g = np.random.default_rng(0)
    first, last = g.integers(-60, 90, (8, 2, 3, 3)).astype(np.int8), g.integers(-60, 90, (5, 8, 4, 4)).astype(np.int8)
    values = {"padding": (1, 1), "input_shape": (2, 4, 4)}
    whole = single_core(weight=first, output_shape=(8, 4, 4), **values).layers[0]
    halves = [
        replace(whole, name=name, weight=part, output_shape=(4, 4, 4))
        for name, part in (("low", first[:4]), ("high", first[4:]))
    ]
    end = single_core(weight=last, input_shape=(8, 4, 4), output_shape=(5, 1, 1), name="end").layers[0]
    joined = replace(end, sources=(Source("low"), Source("high", (1, 1), 4)))
    single = DynapcnnProgram((2, 4, 4), (whole, replace(end, sources=(Source("core"),))), (Source("end"),))
    split = DynapcnnProgram((2, 4, 4), (*halves, joined), (Source("end"),))
    frames = g.integers(0, 2, (2, 6, 2, 4, 4))
    for semantics in ("timestep", "event"):
        for engine in ("reference", "fast"):
            options = EventOptions(sweep="feature")
            a, b = (p.run(frames, semantics, engine, options=options) for p in (single, split))
            np.testing.assert_array_equal(a.output, b.output)


@pytest.mark.parametrize("seed", range(6))
def test_one_event_a_step_equals_sinabs(seed: int) -> None:
    """With one event in a step and single spikes, Sinabs' time steps are the chip's events; layer by layer."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    stride, padding, kernel = seed % 2 + 1, seed % 3, 2 + seed % 3
    module = nn.Sequential(
        conv(generator, 2, 6, kernel, stride=stride, padding=padding, gain=2.0),
        neurons(spike_fn=SingleSpike, reset_fn=MembraneReset() if seed % 2 else MembraneSubtract(), min_v_mem=-0.5),
    )
    program = get("speck2f").lower(from_sinabs(module, (2, 7, 9)))
    assert isinstance(program, DynapcnnProgram)
    assert program.layers[0].weight.max() <= program.layers[0].threshold  # nothing left above threshold
    rng, steps = np.random.default_rng(seed), 400
    frames = np.zeros((1, steps, 2, 7, 9), np.int64)
    frames[0, np.arange(steps), rng.integers(0, 2, steps), rng.integers(0, 7, steps), rng.integers(0, 9, steps)] = 1
    network = oracle(module, (2, 7, 9))
    expected = run_oracle(network, frames)
    trace = program.run(frames, "event")
    assert expected.sum() > 30
    np.testing.assert_array_equal(trace.output.reshape(expected.shape), expected)
    (state,) = (layer.spk.v_mem.detach().numpy() for layer in network.dynapcnn_layers.values())
    np.testing.assert_array_equal(trace.states["0"]["v_mem"], state)


def test_states_carry_over() -> None:
    """Half the events, then the other half from the state reached, is the whole."""
    program = single_core(weight=np.full((3, 1, 2, 2), 30, np.int8), input_shape=(1, 5, 5), output_shape=(3, 4, 4),
                          decimation=2)  # fmt: skip
    options = EventOptions()
    stimuli = inject(np.random.default_rng(0).integers(0, 3, (6, 1, 5, 5)), options, ticks=False)
    for run in (partial(run_event_reference, program, options=options), EventEngine(program, options).run):
        whole = run(stimuli)
        first = run(stimuli[:70])
        second = run(stimuli[70:], states=first.states)
        np.testing.assert_array_equal(whole.states["core"].v_mem, second.states["core"].v_mem)
        parts = [first.spikes["core"], second.spikes["core"]]
        assert len(whole.spikes["core"]) == sum(map(len, parts)) > 10
        np.testing.assert_array_equal(whole.spikes["core"]["t"], np.concatenate([part["t"] for part in parts]))


def test_wrong_options_are_named() -> None:
    with pytest.raises(InputError, match="event option sweep is 'diagonal': choose one of pixel, feature, reverse"):
        EventOptions(sweep="diagonal")  # type: ignore[arg-type]
    for step_us in (0, 10**9 + 1):  # beyond, times would leave 64 bits
        with pytest.raises(InputError, match=f"step_us is {step_us}: a step lasts 1 to 1000000000 microseconds"):
            EventOptions(step_us=step_us)
    with pytest.raises(InputError, match="semantics 'exact': choose one of timestep, event"):
        single_core().run(np.ones((1, 1, 1, 1, 1), np.int64), "exact")
    with pytest.raises(UnsupportedError, match="decimator"):
        single_core(decimation=2).run(np.ones((1, 1, 1, 1, 1), np.int64))


def test_bound_holds_every_variant() -> None:
    program = single_core(weight=np.array([[[[-10]], [[10]]]], np.int8), min_v=-10, input_shape=(2, 1, 1))
    frames = np.full((3, 2, 2, 1, 1), 4)
    result = bound(program, frames, shuffles=4)
    names = [variant.name for variant in result.variants]
    assert names[0] == "default"
    assert {"sweep=reverse", "zero_weights=touch", "overflow=wrap", "order=raster", "shuffle 3", "timestep"} <= set(
        names
    )
    for order in ("raster", "interleaved", "spread"):
        output = program.run(frames, "event", options=EventOptions(order=order)).output.sum(axis=1)
        assert (result.lowest <= output).all()
        assert (output <= result.highest).all()
    assert (result.lowest < result.highest).any()  # here the order does matter


@pytest.mark.parametrize("engine", ["reference", "fast"])
@given(program=programs(), seed=st.integers(0, 2**16))
@settings(max_examples=25)
def test_runs_go_on_from_earlier_states(engine: Engine, program: DynapcnnProgram, seed: int) -> None:
    frames = random_frames(program, seed, samples=2, steps=4)
    whole = program.run(frames, "event", engine)
    first = program.run(frames[:, :2], "event", engine)
    second = program.run(frames[:, 2:], "event", engine, states=first.states)
    np.testing.assert_array_equal(whole.output, np.concatenate([first.output, second.output], axis=1))
    for name in program.layer_names:
        np.testing.assert_array_equal(whole.states[name]["v_mem"], second.states[name]["v_mem"])


def test_states_that_are_not_the_chips_are_refused() -> None:
    program, frames = single_core(), np.ones((1, 1, 1, 1, 1), np.int64)
    with pytest.raises(InputError, match="state 'v_mem' of layer 'core' leaves 16 bits"):
        program.run(frames, "event", states={"core": {"v_mem": np.full((1, 1, 1, 1), 40000)}})


def test_events_outside_the_input_are_refused_by_the_fast_engine() -> None:
    """The tables end there: it names them and reads nothing after them."""
    program, options = single_core(), EventOptions()
    stimuli = inject(np.ones((1, 1, 1, 1), np.int64), options, ticks=False)
    stimuli["y"] = 1
    with pytest.raises(InputError, match=r"1 events lie outside the input \(1, 1, 1\)"):
        EventEngine(program, options).run(stimuli)
