"""The engine equals the reference: every message, state and count, for any network and any split into blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network, with_extras

from i2e_deploy.chips.loihi2.engine import kernels, plan
from i2e_deploy.chips.loihi2.engine import simulator as fast
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.options import Engine
from i2e_deploy.chips.trace import Trace


def assert_equal(a: Trace, b: Trace) -> None:
    assert np.array_equal(a.output, b.output)
    assert a.counts == b.counts
    for name, spikes in a.spikes.items():
        assert np.array_equal(spikes, b.spikes[name])
        for key, value in a.states[name].items():
            assert np.array_equal(value, b.states[name][key])


@settings(max_examples=80)
@given(seed=st.integers(0, 2**32 - 1), samples=st.integers(1, 3), semantics=st.sampled_from(["chip", "lava"]))
def test_engine_equals_reference(seed: int, samples: int, semantics: str) -> None:
    """Agreement: exact."""
    network = draw_network(seed)
    frames = draw_frames(network, seed, samples, 12)
    program = LoihiProgram(network)
    assert_equal(program.run(frames, semantics), program.run(frames, semantics, "reference"))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_delayed_convolutions_branches_and_sums(seed: int) -> None:
    """Agreement: exact, for what a `.net` file cannot hold."""
    network = with_extras(draw_network(seed), seed)
    frames = draw_frames(network, seed, 2, 12)
    program = LoihiProgram(network)
    assert_equal(program.run(frames), program.run(frames, engine="reference"))


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, 24), max_size=4), block=st.integers(1, 9))
def test_a_stream_gives_the_same_however_it_is_cut(seed: int, cuts: list[int], block: int) -> None:
    """Agreement: exact. State and currents in flight survive from call to call."""
    network = draw_network(seed)
    frames = flat_frames(draw_frames(network, seed, 2, 24), network)
    whole = fast.Stream(network, 2).advance(frames)
    stream = fast.Stream(network, 2)
    stream.block = min(block, stream.block)
    edges = [0, *sorted(cuts), 24]
    parts = [stream.advance(frames[:, lo:hi]) for lo, hi in pairwise(edges) if hi > lo]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(1, 15), semantics=st.sampled_from(["chip", "lava"]))
def test_a_run_goes_on_where_another_ended(seed: int, cut: int, semantics: str) -> None:
    """Agreement: exact, for both engines and from one to the other."""
    network = draw_network(seed)
    frames = draw_frames(network, seed, 2, 16)
    program = LoihiProgram(network)
    whole = program.run(frames, semantics)
    orders: tuple[tuple[Engine, Engine], ...] = ("fast", "reference"), ("reference", "fast")
    for first, second in orders:
        early = program.run(frames[:, :cut], semantics, first)
        late = program.run(frames[:, cut:], semantics, second, early.states)
        assert np.array_equal(late.output, whole.output[:, cut:])
        for name, variables in whole.states.items():
            assert variables.keys() == late.states[name].keys()
            assert all(np.array_equal(value, late.states[name][key]) for key, value in variables.items())


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), semantics=st.sampled_from(["chip", "lava"]), bits=st.integers(1, 31))
def test_states_that_no_run_would_leave(seed: int, semantics: str, bits: int) -> None:
    """Agreement: exact. What the weights prove about currents does not hold for those that a caller gives."""
    network = draw_network(seed)
    frames = draw_frames(network, seed, 2, 6)
    program, rng = LoihiProgram(network), np.random.default_rng(seed)
    states = {name: dict(variables) for name, variables in program.run(frames, semantics).states.items()}
    for variables in states.values():
        for name in set(variables) & {"u", "v", "in_flight", "in_flight_imag"}:
            high = 2**bits if name.startswith("in") else 2 ** min(bits, 23)
            variables[name] = rng.integers(1 - high, high, variables[name].shape)
    runs = [program.run(frames, semantics, engine, states) for engine in ("fast", "reference")]
    assert_equal(*runs)


@pytest.mark.parametrize("limit", [0, 2**20])
def test_tables_of_sums_change_nothing(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreement: exact, with and without the table of sums that many spikes make worth while."""
    monkeypatch.setattr(plan, "TABLE_LIMIT", limit)
    used = 0
    for seed in range(40):
        network = draw_network(seed)
        frames = draw_frames(network, seed, 2, 12)
        program = LoihiProgram(network)
        trace = program.run(frames)
        assert_equal(trace, program.run(frames, engine="reference"))
        for layer in fast.Stream(network).plans:
            for wire in layer.wires:
                if wire.kind == "rows" and len(wire.arrays[2]) and wire.wire.source >= 0:
                    sent = trace.spikes[network.blocks[wire.wire.source].name]
                    most = int((sent != 0).sum(axis=tuple(range(2, sent.ndim))).max())
                    used += bool(kernels.table_pays(most, wire.arrays[3]))
    assert bool(used) == (limit > 0)


def test_more_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Agreement: exact, for any number of worker threads."""
    from i2e_deploy.chips.loihi2.engine import workers

    monkeypatch.setattr(workers, "WORTHWHILE", 0)
    for seed in range(20):
        network = draw_network(seed)
        frames = flat_frames(draw_frames(network, seed, 2, 12), network)
        runs = [fast.Stream(network, 2, threads=n) for n in (1, 2, 5)]
        outputs = [stream.advance(frames) for stream in runs]
        assert all(np.array_equal(outputs[0], output) for output in outputs[1:])
        assert all(stream.counts() == runs[0].counts() for stream in runs[1:])
