"""A session of a Loihi 2 program, step by step, equals the whole run: outputs, counts, states and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network, with_extras

from i2e_deploy.chips.loihi2.engine import simulator
from i2e_deploy.chips.loihi2.engine.plan import plan_layers
from i2e_deploy.chips.loihi2.engine.session import StreamSession
from i2e_deploy.chips.loihi2.program import (
    SOURCE,
    Block,
    BlockNetwork,
    Connection,
    ConvSynapse,
    CubaLif,
    DenseSynapse,
    Resonator,
    Sigma,
    SigmaDelta,
)
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import States, Trace
from i2e_deploy.errors import I2EDeployError, InputError, UnsupportedError

STEPS = 8
Has = Callable[[Block], bool]


def _delayed(block: Block) -> bool:
    return any(c.synapse is not None and c.synapse.delay is not None for c in block.connections)


def _has_reset(block: Block) -> bool:
    return isinstance(block.neuron, CubaLif) and block.neuron.reset is not None


#: What a network of the generator may hold, by name.
FEATURES: dict[str, Has] = {
    "convolution": lambda block: any(isinstance(c.synapse, ConvSynapse) for c in block.connections),
    "delays": _delayed,
    "recurrence": lambda block: any(c.source == block.name for c in block.connections),
    "bias": lambda block: block.bias is not None,
    "resets": _has_reset,
    "resonators": lambda block: isinstance(block.neuron, Resonator),
    "sigma-delta": lambda block: isinstance(block.neuron, SigmaDelta),
    "sigma": lambda block: isinstance(block.neuron, Sigma),
    "input layer": lambda block: block.connections[0].synapse is None,
}


def network_with(feature: str, number: int) -> tuple[BlockNetwork, int]:
    """The network of the generator that is the `number`th with this feature, and its seed."""
    if feature == "graded input":
        seeds = (seed for seed in range(5000) if draw_network(seed).input_message_bits > 0)
    else:
        seeds = (seed for seed in range(5000) if any(map(FEATURES[feature], draw_network(seed).blocks)))
    seed = [next(seeds) for _ in range(number + 1)][-1]
    return draw_network(seed), seed


def assert_states_equal(a: States | None, b: States) -> None:
    assert a is not None
    assert a.keys() == b.keys()
    for layer, variables in a.items():
        assert variables.keys() == b[layer].keys()
        for name, value in variables.items():
            np.testing.assert_array_equal(value, b[layer][name])
            assert value.dtype == b[layer][name].dtype


def check(session: Session, program: LoihiProgram, frames: Any, semantics: str, states: States | None = None) -> Trace:
    """Frames [T, ...] from `states`, then again from the state in the middle; returns the trace of the run."""
    whole = program.run(frames[None], semantics, "reference", states)
    session.start(states)
    outputs, middle = [], None
    for t, frame in enumerate(frames):
        if t == len(frames) // 2:
            middle = session.state()
        outputs.append(session.step(frame))
    np.testing.assert_array_equal(np.stack(outputs), whole.output[0])
    assert all(output.dtype == np.int32 for output in outputs)
    assert session.counts() == whole.counts
    assert_states_equal(session.state(), whole.states)
    session.start(middle)
    late = program.run(frames[None, len(frames) // 2 :], semantics, "reference", middle)
    for output, frame in zip(outputs[len(frames) // 2 :], frames[len(frames) // 2 :], strict=True):
        np.testing.assert_array_equal(session.step(frame), output)
    assert session.counts() == late.counts
    assert_states_equal(session.state(), whole.states)
    return whole


@given(st.integers(0, 2**32 - 1), st.sampled_from(["timestep", "chip", "lava"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_steps_equal_the_whole_run(seed: int, semantics: str, extras: bool) -> None:
    """Agreement: exact. `extras`: what a `.net` file cannot hold."""
    network = draw_network(seed)
    network = with_extras(network, seed) if extras else network
    program = LoihiProgram(network)
    session = program.session(semantics)
    assert type(session) is StreamSession
    check(session, program, draw_frames(network, seed, steps=STEPS)[0], semantics)


@pytest.mark.parametrize("semantics", ["chip", "lava"])
@pytest.mark.parametrize("feature", [*FEATURES, "graded input"])
def test_steps_equal_the_whole_run_for_each_kind_of_layer(feature: str, semantics: str) -> None:
    """Agreement: exact; nothing here depends on what a random draw happens to hold."""
    spikes = 0
    for number in range(4):
        network, seed = network_with(feature, number)
        program = LoihiProgram(network)
        trace = check(program.session(semantics), program, draw_frames(network, seed, steps=20)[0], semantics)
        spikes += sum(count.spikes for count in trace.counts.values())
    assert spikes > 0


@pytest.fixture
def plannings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that a network is planned."""
    found = []

    def counted(*arguments: Any) -> Any:
        found.append(1)
        return plan_layers(*arguments)

    monkeypatch.setattr(simulator, "plan_layers", counted)
    return found


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("feature", [*FEATURES, "graded input"])
def test_windows_are_planned_once(feature: str, keep: bool, plannings: list[int]) -> None:
    """Agreement: exact, as the live loop has it: each window from a fresh state, or on from the last one."""
    network, seed = network_with(feature, 0)
    program = LoihiProgram(network)
    windows = draw_frames(network, seed, samples=5, steps=6)
    session, kept, traces = program.session(), None, []
    states: States | None = None
    for frames in windows:
        traces.append(program.run(frames[None], engine="reference", states=states))
        states = traces[-1].states if keep else None
    for trace, frames in zip(traces, windows, strict=True):
        session.start(kept)
        np.testing.assert_array_equal(np.stack([session.step(frame) for frame in frames]), trace.output[0])
        assert session.counts() == trace.counts
        assert_states_equal(session.state(), trace.states)
        kept = session.state() if keep else None
    assert len(plannings) == 1


@given(st.integers(0, 2**32 - 1), st.sampled_from(["chip", "lava"]), st.integers(1, 31))
@settings(max_examples=40, deadline=None)
def test_states_that_no_run_would_leave(seed: int, semantics: str, bits: int) -> None:
    """Agreement: exact. What the weights prove about currents does not hold for those that a caller gives."""
    network = draw_network(seed)
    program, rng = LoihiProgram(network), np.random.default_rng(seed)
    frames = draw_frames(network, seed, steps=6)[0]
    session = program.session(semantics)
    usual = check(session, program, frames, semantics)
    states = {name: dict(variables) for name, variables in usual.states.items()}
    for variables in states.values():
        for name in set(variables) & {"u", "v", "in_flight", "in_flight_imag"}:
            high = 2**bits if name.startswith("in") else 2 ** min(bits, 23)
            variables[name] = rng.integers(1 - high, high, variables[name].shape)
    check(session, program, frames, semantics, states)
    check(session, program, frames, semantics)


def test_currents_beyond_what_the_weights_prove_are_planned_for(plannings: list[int]) -> None:
    """Agreement: exact; 16 bits hold what this network sends, not what it is given. Then it is planned once more."""
    for delay in (None, np.array([[0], [3]])):
        plannings.clear()
        synapse = DenseSynapse(np.array([[20, -4], [2, 30]]), delay=delay if delay is None else np.repeat(delay, 2, 1))
        neuron = CubaLif(np.array([1024]), np.array([128]), 50)
        program = LoihiProgram(BlockNetwork((2,), (Block("0", neuron, (2,), (Connection(SOURCE, synapse),)),)))
        frames, session = np.ones((6, 2), np.uint8), program.session()
        states: Any = check(session, program, frames, "chip").states
        assert len(plannings) == 1
        large = {"0": {**states["0"], "in_flight": np.full_like(states["0"]["in_flight"], 40_000)}}
        check(session, program, frames, "chip", large)
        check(session, program, frames, "chip")
        assert len(plannings) == 2


def test_before_the_first_step() -> None:
    network, seed = network_with("delays", 0)
    program, frames = LoihiProgram(network), draw_frames(network, seed, steps=4)
    states, session = program.run(frames).states, program.session()
    for _ in range(2):
        assert session.state() is None
        assert session.counts() == {}
        session.step(frames[0, 0])
        session.start(states)
        assert session.state() is states
        assert session.counts() == {}
        session.step(frames[0, 0])
        assert session.counts() != {}
        session.start()


def test_any_shape_of_as_many_values() -> None:
    network, seed = network_with("convolution", 0)
    program, frames = LoihiProgram(network), draw_frames(network, seed, steps=6)[0]
    session, flat = program.session(), program.session()
    for frame in frames:
        transposed = np.asfortranarray(frame)
        transposed.setflags(write=False)
        np.testing.assert_array_equal(session.step(transposed), flat.step(frame.reshape(-1)))


FRAMES: list[tuple[BlockNetwork, Any]] = [
    (network, frame)
    for network in (network_with("resets", 0)[0], network_with("sigma-delta", 0)[0])
    for frame in (
        np.zeros((*network.input_shape, 2), np.int32),
        np.zeros(0, np.int32),
        np.array(1),
        np.zeros(network.input_shape, np.float32),
        np.full(network.input_shape, 2**31, np.int64),
        np.full(network.input_shape, -(2**31) - 1, np.int64),
        np.full(network.input_shape, 2**63, np.uint64),
        np.full(network.input_shape, -1, np.int8),
    )
]


def error(call: Callable[[], Any]) -> str:
    with pytest.raises(I2EDeployError) as raised:
        call()
    return f"{type(raised.value).__name__}: {raised.value}"


@pytest.mark.parametrize(("network", "frame"), FRAMES)
def test_wrong_frames_give_the_errors_of_a_run_and_change_nothing(network: BlockNetwork, frame: Any) -> None:
    program, session = LoihiProgram(network), LoihiProgram(network).session()
    if network.input_message_bits and frame.dtype == np.int8:
        session.step(frame)  # values are signed there
        return
    frames = draw_frames(network, 0, steps=4)
    for t in range(4):
        assert error(lambda: session.step(frame)) == error(lambda: program.run(frame[None, None]))
        session.step(frames[0, t])
    assert_states_equal(session.state(), program.run(frames).states)


def test_wrong_semantics_and_states_give_the_errors_of_a_run() -> None:
    (network, seed), (other, _) = network_with("delays", 0), network_with("recurrence", 1)
    program, frames = LoihiProgram(network), draw_frames(network, seed, steps=3)
    assert error(lambda: program.session("hope").step(frames[0, 0])) == error(lambda: program.run(frames, "hope"))
    states: Any = program.run(frames).states
    layer = network.blocks[0].name
    wrong = (
        LoihiProgram(other).run(draw_frames(other, 0, steps=2)).states,
        program.run(np.repeat(frames, 2, 0)).states,
        {**states, layer: {name: value.astype(float) for name, value in states[layer].items()}},
    )
    session = program.session()
    for given_states in wrong:
        session.start(given_states)
        for _ in range(2):
            message = error(lambda: session.step(frames[0, 0]))
            assert message == error(lambda s=given_states: program.run(frames[:, :1], states=s))  # type: ignore[misc]
            assert message.startswith(InputError.__name__)
    check(session, program, frames[0], "chip", states)


def test_a_network_that_lava_cannot_load_is_refused_at_the_first_step() -> None:
    neuron = CubaLif(np.array([1024]), np.array([128]), 50)
    synapse = DenseSynapse(np.zeros((2, 2), np.int64))
    program = LoihiProgram(BlockNetwork((2,), (Block("0", neuron, (2,), (Connection(SOURCE, synapse),)),)))
    session, frames = program.session("lava"), np.ones((1, 3, 2), np.int32)
    for _ in range(2):
        message = error(lambda: session.step(frames[0, 0]))
        assert message == error(lambda: program.run(frames, "lava"))
        assert message.startswith(UnsupportedError.__name__)
    check(program.session(), program, frames[0], "chip")
