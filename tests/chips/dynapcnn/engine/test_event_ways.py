"""The event engine's two ways, and its loops of their own for common layers: always equal to the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dynapcnn_programs import single_core
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.engine.event import engine as event_engine
from i2e_deploy.chips.dynapcnn.engine.event.engine import EventEngine
from i2e_deploy.chips.dynapcnn.reference.event import run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import STIMULUS

#: Kernel, stride, features: blocks of two rows of 16 lanes, of one row of 16, of three rows of 24; and others.
LAYERS = ((3, 2, 8), (3, 2, 5), (2, 2, 16), (2, 2, 9), (3, 1, 8), (3, 1, 16), (2, 2, 8), (3, 1, 33), (5, 1, 3))


def one_layer(kernel: int, stride: int, features: int, size: int, seed: int, **core: Any) -> DynapcnnProgram:
    generator, padding = np.random.default_rng(seed), kernel // 2
    weight = generator.integers(-127, 128, (features, 2, kernel, kernel)).astype(np.int8)
    weight[generator.random(weight.shape) < 0.1] = 0
    out = (size + 2 * padding - kernel) // stride + 1
    values = {"weight": weight, "stride": (stride, stride), "padding": (padding, padding), "threshold": 300} | core
    return single_core(**values, min_v=-500, input_shape=(2, size, size), output_shape=(features, out, out))


def random_stimuli(number: int, size: int, seed: int) -> NDArray[np.void]:
    generator, stimuli = np.random.default_rng(seed), np.zeros(number, STIMULUS)
    stimuli["t"] = np.arange(number)
    for name, high in (("c", 2), ("y", size), ("x", size)):
        stimuli[name] = generator.integers(0, high, number)
    return stimuli


def assert_equal(program: DynapcnnProgram, stimuli: NDArray[np.void], options: EventOptions) -> int:
    """Returns how often a state saturated."""
    slow, fast = run_event_reference(program, stimuli, options), EventEngine(program, options).run(stimuli)
    np.testing.assert_array_equal(slow.spikes["core"], fast.spikes["core"])
    np.testing.assert_array_equal(slow.states["core"].v_mem, fast.states["core"].v_mem)
    assert slow.counts == fast.counts
    return slow.counts["core"].saturations


@pytest.mark.parametrize(("kernel", "stride", "features"), LAYERS)
@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    threshold=st.sampled_from([1, 60, 300, 32700]),
    reset=st.sampled_from(["subtract", "zero"]),
    sweep=st.sampled_from(["pixel", "feature", "reverse"]),
    size=st.integers(3, 9),
)
def test_common_layers(
    kernel: int, stride: int, features: int, seed: int, threshold: int, reset: str, sweep: Any, size: int
) -> None:
    program = one_layer(kernel, stride, features, size, seed, threshold=threshold, reset=reset)
    assert_equal(program, random_stimuli(150, size, seed), EventOptions(sweep=sweep))


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
@pytest.mark.parametrize(("kernel", "stride", "features"), LAYERS[:5:2] + LAYERS[5:6])
def test_states_climb_out_of_the_quick_way_and_back(
    kernel: int, stride: int, features: int, overflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spike takes 1 away and an event adds up to 127: states rise to 32767, and later fall."""
    calls = {"_quick_core": 0, "_any_core": 0}
    for name in calls:
        monkeypatch.setattr(event_engine, name, counted(getattr(event_engine, name), calls, name))
    monkeypatch.setattr(event_engine, "CHUNK", 64)
    weight = np.full((features, 2, kernel, kernel), 127, np.int8)
    weight[:, 1] = -127
    weight[0, 1, 0, 0] = 0
    program = one_layer(kernel, stride, features, 3, 0, weight=weight, threshold=1)
    stimuli = random_stimuli(3200, 3, 0)
    stimuli["c"] = np.arange(3200) // 800 % 2
    assert assert_equal(program, stimuli, EventOptions(overflow=overflow)) > 0
    assert calls["_quick_core"] > 1
    assert calls["_any_core"] > 1


def counted(make: Any, calls: dict[str, int], name: str) -> Any:
    """`make` of a function that counts its calls."""

    def made(*arguments: Any) -> Any:
        work = make(*arguments)

        def counting(*events: Any) -> Any:
            calls[name] += 1
            return work(*events)

        return counting

    return made


def test_long_runs_are_worked_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_engine, "QUICK", 100)
    monkeypatch.setattr(event_engine, "FEW", 10)
    assert_equal(one_layer(3, 2, 8, 8, 1), random_stimuli(1050, 8, 1), EventOptions())


def test_ticks_pass_a_core_without_bias() -> None:
    stimuli = random_stimuli(40, 4, 2)
    stimuli["c"][::5] = -1
    assert_equal(one_layer(3, 2, 8, 4, 2), stimuli, EventOptions())


@pytest.mark.parametrize("leak_fires", ["yes", "no"])
@pytest.mark.parametrize("bias", [-40, 290])
def test_ticks_cut_long_runs(bias: int, leak_fires: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between ticks a core with a bias goes the quick way; neurons left above the threshold wait for an event."""
    calls = {"_quick_core": 0}
    monkeypatch.setattr(event_engine, "_quick_core", counted(event_engine._quick_core, calls, "_quick_core"))
    stimuli = random_stimuli(900, 8, 4)
    stimuli["c"][[0, 1, 300, 599, 899]] = -1
    program = one_layer(3, 2, 8, 8, 4, bias=np.full(8, bias, np.int16))
    assert_equal(program, stimuli, EventOptions(leak_fires=leak_fires))
    assert calls["_quick_core"] == 3


def test_stimuli_need_not_be_contiguous() -> None:
    stimuli, program = random_stimuli(100, 4, 3), one_layer(3, 1, 8, 4, 3)
    assert_equal(program, stimuli[::2], EventOptions())


@pytest.mark.parametrize("zero_weights", ["skip", "touch"])
@pytest.mark.parametrize("bias", [None, np.full(8, 3, np.int8)])
def test_an_event_that_waits_for_room_is_counted_once(
    zero_weights: Any, bias: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of spikes that is full stops the loop; the event in hand comes again, and is one event."""
    monkeypatch.setattr(event_engine, "ROOM", 1)
    weight = np.random.default_rng(0).integers(20, 90, (8, 2, 3, 3)).astype(np.int8)
    program = single_core(
        weight=weight, bias=bias, padding=(1, 1), threshold=1, min_v=0, input_shape=(2, 9, 9), output_shape=(8, 9, 9)
    )
    frames = np.random.default_rng(1).integers(0, 4, (1, 4, 2, 9, 9))
    options = EventOptions(zero_weights=zero_weights, overflow="wrap")
    slow, fast = (program.run(frames, "event", engine, options=options) for engine in ("reference", "fast"))
    assert slow.counts == fast.counts
    assert slow.events is not None
    assert fast.events is not None
    np.testing.assert_array_equal(slow.events["core"], fast.events["core"])
