"""EXACT: the time-stepped DYNAP-CNN simulation equals Sinabs' discretised network, spikes and states.

The oracle is `sinabs.backend.dynapcnn.DynapcnnNetwork(discretize=True)`, run here, never a copy of its answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Case, random_case, random_frames
from numpy.typing import NDArray

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.errors import InputError
from i2e_deploy.network import Conv2d, IntegrateAndFire, chain, from_sinabs
from i2e_deploy.network.op import Shape


@dataclass(frozen=True)
class Answer:
    """What Sinabs gives: per layer the unpooled spikes and the final state, and the output."""

    spikes: list[NDArray[np.float32]]
    states: list[NDArray[np.float32]]
    output: NDArray[np.float32]


def ask_sinabs(module: Any, input_shape: Shape, frames: NDArray[np.int64]) -> Answer:
    import samna_standin

    samna_standin.install()
    from sinabs.backend.dynapcnn import DynapcnnNetwork

    batch, steps = frames.shape[:2]
    network = DynapcnnNetwork(module, input_shape=input_shape, batch_size=batch, discretize=True)
    layers = list(network.dynapcnn_layers.values())
    spikes: list[NDArray[np.float32]] = []
    for layer in layers:
        layer.spk.register_forward_hook(lambda _m, _i, out: spikes.append(out.detach().numpy().copy()))
    with torch.no_grad():
        output = network(torch.from_numpy(frames).float().flatten(0, 1)).numpy()
    return Answer(
        [s.reshape(batch, steps, *s.shape[1:]) for s in spikes],
        [layer.spk.v_mem.detach().numpy() for layer in layers],
        output.reshape(batch, steps, -1),
    )


def assert_equal(case: Case, frames: NDArray[np.int64]) -> int:
    """Compare reference and engine with Sinabs; returns the number of output spikes."""
    answer = ask_sinabs(case.module(len(frames)), case.input_shape, frames)
    program = get("speck2f").lower(from_sinabs(case.module(len(frames)), case.input_shape))
    for engine in ("reference", "fast"):
        trace = program.run(frames, engine=engine)
        for ours, theirs in zip(trace.spikes.values(), answer.spikes, strict=True):
            assert np.array_equal(ours, theirs), engine
        for state, theirs in zip(trace.states.values(), answer.states, strict=True):
            assert np.array_equal(state["v_mem"], theirs), engine
        assert np.array_equal(trace.output, answer.output), engine
    return int(answer.output.sum())


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_random_networks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    assert_equal(case, random_frames(rng, case.input_shape))


def test_random_networks_are_not_silent() -> None:
    """The property above would hold for networks that never spike; most of those drawn do."""
    totals = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        case = random_case(rng)
        totals.append(assert_equal(case, random_frames(rng, case.input_shape)))
    assert sum(total > 0 for total in totals) >= 20


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_engine_equals_the_reference_beyond_what_sinabs_can_hold(seed: int) -> None:
    """Event counts up to 2^20 a pixel: sums leave float32's exact integers, where Sinabs rounds."""
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    program = get("speck2f").lower(from_sinabs(case.module(1), case.input_shape))
    frames = random_frames(rng, case.input_shape) * int(rng.integers(1, 2**20))
    slow, fast = program.run(frames, engine="reference"), program.run(frames, engine="fast")
    for name in program.layer_names:
        assert np.array_equal(slow.spikes[name], fast.spikes[name])
        assert np.array_equal(slow.states[name]["v_mem"], fast.states[name]["v_mem"])
    assert slow.counts == fast.counts


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.uint64])
def test_inputs_that_are_added_do_not_wrap_in_their_own_dtype(dtype: Any) -> None:
    """Two copies of the input, merged: 200 + 200 is 400, true and true is 2."""
    from i2e_deploy.network import Add, Layer, Network

    layers = (
        Layer("sum", Add(), ("input", "input")),
        Layer("conv", Conv2d(np.ones((1, 1, 1, 1), np.float32)), ("sum",)),
        Layer("neuron", IntegrateAndFire(1.0, -1.0), ("conv",)),
    )
    program = get("speck2f").lower(Network((1, 3, 3), layers))
    frames = np.full((2, 3, 1, 3, 3), 1 if dtype is np.bool_ else 200).astype(dtype)
    for engine in ("reference", "fast"):
        assert (program.run(frames, engine=engine).output == 2 * int(frames.max())).all()


def test_counts_beyond_32_bits_are_one_error_in_both_engines() -> None:
    from networks import single_neuron

    program = get("speck2f").lower(single_neuron(weight=1.0, threshold=1 / 127))
    with pytest.raises(InputError, match="at most 1048576 events"):
        program.run(np.full((1, 1, 1, 1, 1), 2**21))
    wide = get("speck2f").lower(
        chain((1, 64, 64), {"c": Conv2d(np.ones((1, 1, 64, 64), np.float32)), "n": IntegrateAndFire(1 / 127, -1.0)})
    )
    frames = np.full((1, 1, 1, 64, 64), 2**20)
    for engine in ("reference", "fast"):
        with pytest.raises(InputError, match="traces hold 32 bits"):
            wide.run(frames, engine=engine)
        assert wide.run(frames // 2**10, engine=engine).output.sum() == 2**22 * 127


def test_batches_are_run_in_parts_without_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    import i2e_deploy.chips.dynapcnn.engine.timestep.layer as step_layer

    rng = np.random.default_rng(0)
    case = random_case(rng)
    frames = random_frames(rng, case.input_shape, batch=5)
    program = get("speck2f").lower(from_sinabs(case.module(1), case.input_shape))
    whole = program.run(frames)
    monkeypatch.setattr(step_layer, "CHUNK_VALUES", 1)
    parts = program.run(frames)
    assert np.array_equal(whole.output, parts.output)
    assert whole.counts == parts.counts


@pytest.mark.parametrize(("long", "shared"), [(0, 1), (0, 2**20), (2**62, 2**20)])
def test_lists_in_shared_arrays_equal_the_reference(monkeypatch: pytest.MonkeyPatch, long: int, shared: int) -> None:
    import i2e_deploy.chips.dynapcnn.engine.timestep.layer as step_layer

    monkeypatch.setattr(step_layer, "LONG", long)
    monkeypatch.setattr(step_layer, "SHARED", shared)
    rng = np.random.default_rng(1)
    case = random_case(rng)
    frames = random_frames(rng, case.input_shape, batch=5)
    program = get("speck2f").lower(from_sinabs(case.module(1), case.input_shape))
    fast, slow = program.run(frames), program.run(frames, engine="reference")
    assert sum(count.spikes for count in slow.counts.values())
    for name in program.layer_names:
        assert np.array_equal(fast.spikes[name], slow.spikes[name])


def test_counts_follow_their_definition() -> None:
    """Synaptic operations: every (event, neuron) pair whose offset lies inside the kernel, one by one."""
    rng = np.random.default_rng(3)
    case = random_case(rng)
    frames = random_frames(rng, case.input_shape, batch=1)
    program = get("speck2f").lower(from_sinabs(case.module(1), case.input_shape))
    assert isinstance(program, DynapcnnProgram)
    trace = program.run(frames)
    layer = program.layers[0]
    features, height, width = layer.output_shape
    expected = 0
    for _, _, _, y, x in np.argwhere(frames):
        for oy in range(height):
            for ox in range(width):
                dy = y + layer.padding[0] - layer.stride[0] * oy
                dx = x + layer.padding[1] - layer.stride[1] * ox
                inside = 0 <= dy < layer.weight.shape[2] and 0 <= dx < layer.weight.shape[3]
                expected += features * inside
    assert frames.max() == 1
    assert trace.counts[layer.name].synops == expected
    assert trace.counts[layer.name].spikes == trace.spikes[layer.name].sum()


def test_saturations_are_counted_where_the_state_leaves_16_bits() -> None:
    from networks import single_neuron

    program = get("speck2f").lower(single_neuron(weight=1.0, threshold=200.0))
    frames = np.full((1, 1, 1, 1, 1), 1000, np.int64)
    trace = program.run(frames)
    assert trace.counts["conv"].saturations == 1
    assert program.run(frames // 10).counts["conv"].saturations == 0
