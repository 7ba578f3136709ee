"""Neurons that carry a value: what one step computes, engine and definition, what is counted, what is refused."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network, with_extras

from i2e_deploy.chips.loihi2.engine import simulator as fast
from i2e_deploy.chips.loihi2.engine import workers
from i2e_deploy.chips.loihi2.formats.netx_write import write_netx
from i2e_deploy.chips.loihi2.formats.program_file import from_tensors, to_tensors
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, ConvSynapse, Resonator
from i2e_deploy.chips.loihi2.relay import WHOLE, Relay
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError

SEEDS = st.integers(0, 2**32 - 1)


def drawn_relay(rng: np.random.Generator, channels: int, size: int) -> Relay:
    """Any bounds, shift and bits."""
    sizes = [int(rng.choice([1, channels, size])) for _ in range(2)]
    low = np.where(rng.random(sizes[0]) < 0.5, -WHOLE, rng.integers(-300, 1, sizes[0]))
    high = np.where(rng.random(sizes[1]) < 0.5, WHOLE, rng.integers(0, 300, sizes[1]))
    shift, bits = int(rng.choice([0, 1, 1, 3, 22])), int(rng.choice([2, 8, 16, 24]))
    return Relay(shift, bits, low.astype(np.int64), high.astype(np.int64))


def relay_network(seed: int) -> BlockNetwork:
    """A drawn network, half of whose blocks or more send values, with branches that wait; convolutions by channel."""
    rng = np.random.default_rng([seed, 5])
    seeds = (int(n) for n in rng.integers(0, 2**31, 1000))
    network = next(n for n in map(draw_network, seeds) if not any(isinstance(b.neuron, Resonator) for b in n.blocks))
    network = with_extras(network, seed) if rng.random() < 0.7 else network
    blocks = list(network.blocks)
    for i in sorted({int(rng.integers(len(blocks))), *np.flatnonzero(rng.random(len(blocks)) < 0.6).tolist()}):
        neuron = drawn_relay(rng, blocks[i].shape[0], prod(blocks[i].shape))
        blocks[i] = replace(blocks[i], neuron=neuron, message_bits=neuron.bits)
    images = [b for b in blocks if len(b.shape) == 3]
    if images and rng.random() < 0.8:  # a population that each channel of another feeds alone
        source, kernel = images[-1], tuple(map(int, rng.integers(1, 4, 2)))
        stride, padding, dilation = (tuple(map(int, rng.integers(*r, 2))) for r in ((1, 3), (1, 3), (1, 2)))
        channels = source.shape[0]
        weight = rng.integers(-128, 128, (channels, 1, *kernel)) * 2 * (rng.random((channels, 1, *kernel)) < 0.7)
        delay = [None, np.full(channels, 3), rng.integers(0, 5, channels)][rng.integers(3)]
        synapse = ConvSynapse(weight, stride, padding, dilation, channels, delay)  # type: ignore[arg-type]
        shape = tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(source.shape[1:], kernel, stride, padding, dilation, strict=True)
        )
        if min(shape) > 0:
            neuron = drawn_relay(rng, channels, channels * prod(shape))
            bias = rng.integers(-200, 200, channels)
            blocks.append(Block("by channel", neuron, (channels, *shape), (Connection(source.name, synapse),), bias,
                                neuron.bits))  # fmt: skip
    return replace(network, blocks=tuple(blocks))


def assert_equal(a: Trace, b: Trace) -> None:
    np.testing.assert_array_equal(a.output, b.output)
    assert a.counts == b.counts
    for name, spikes in a.spikes.items():
        np.testing.assert_array_equal(spikes, b.spikes[name])
        for key, value in a.states[name].items():
            np.testing.assert_array_equal(value, b.states[name][key])


def alone(neuron: Relay, size: int = 1, bias: Any = None) -> LoihiProgram:
    """Values go in as they are."""
    block = Block("a", neuron, (size,), (Connection(SOURCE, None),), bias, neuron.bits)
    return LoihiProgram(BlockNetwork((size,), (block,), 32))


@settings(max_examples=80, deadline=None)
@given(seed=SEEDS, samples=st.integers(1, 3))
def test_the_engine_equals_the_definition(seed: int, samples: int) -> None:
    """Agreement: exact, every message, state and count."""
    network = relay_network(seed)
    program, frames = LoihiProgram(network), draw_frames(network, seed, samples, 12)
    assert_equal(program.run(frames), program.run(frames, engine="reference"))


def test_the_engine_in_parts_on_threads_equals_the_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 5 steps, and everything handed to threads; then a session from where the run ended."""
    monkeypatch.setattr(fast, "BLOCK_BYTES", 1)
    monkeypatch.setattr(workers, "WORTHWHILE", 0)
    for seed in range(30):
        network = relay_network(seed)
        program, frames = LoihiProgram(network), draw_frames(network, seed, 1, 11)
        whole = program.run(frames, engine="reference")
        assert_equal(program.run(frames), whole)
        session = program.session()
        session.start(program.run(frames[:, :4]).states)
        for t in range(4, 11):
            np.testing.assert_array_equal(session.step(frames[0, t]), whole.output[0, t].reshape(-1))


def test_what_was_drawn_has_what_the_engine_does_in_its_own_way() -> None:
    """By channel with delays of each kind, bounds of single neurons, saturations, biases."""
    networks = [relay_network(seed) for seed in range(120)]
    last = [n.blocks[-1] for n in networks if n.blocks[-1].name == "by channel"]
    synapses = [s for b in last if isinstance(s := b.connections[0].synapse, ConvSynapse)]
    assert sum(s.delay is None for s in synapses) > 5
    assert sum(s.delay is not None and len(np.unique(s.delay)) > 1 for s in synapses) > 5
    assert sum(s.delay is not None and len(np.unique(s.delay)) == 1 for s in synapses) > 5
    relays = [b for n in networks for b in n.blocks if isinstance(b.neuron, Relay)]
    assert sum(b.neuron.highest.size == prod(b.shape) > b.shape[0] for b in relays) > 5  # type: ignore[attr-defined]
    traces = [LoihiProgram(n).run(draw_frames(n, 0, 1, 8)) for n in networks[:40]]
    assert sum(any(c.saturations for c in t.counts.values()) for t in traces) > 5


def test_a_value_is_cut_shifted_down_and_counted_where_a_word_does_not_hold_it() -> None:
    """By hand: floor of halves, the bounds are no saturation, the words are; nothing is kept from step to step."""
    given = np.array([[[0], [5], [-5], [400], [-400], [2**23], [-(2**23)]]])
    program = alone(Relay(1, 8))
    trace = program.run(given, engine="reference")
    assert trace.output[0, :, 0].tolist() == [0, 2, -3, 127, -127, 127, -127]
    counts = trace.counts["a"]
    assert (counts.spikes, counts.saturations) == (6, 6)  # 200, -200, 2^23 and -2^23 twice: of 24 bits and of 8
    rectifier = alone(Relay(0, 24, np.array([0])), bias=np.array([-3]))
    assert rectifier.run(given, engine="reference").output[0, :5, 0].tolist() == [0, 2, 0, 397, 0]
    closed = alone(Relay(0, 24, np.array([0]), np.array([0, WHOLE])), 2)
    found = closed.run(np.array([[[7, 7], [-7, 9]]]), engine="reference")
    assert found.output[0].tolist() == [[0, 7], [0, 9]]
    assert found.counts["a"].saturations == 0


def test_a_file_holds_them() -> None:
    for seed in range(20):
        network = relay_network(seed)
        again = from_tensors(*to_tensors(network))
        frames = draw_frames(network, seed, 1, 5)
        assert_equal(LoihiProgram(again).run(frames), LoihiProgram(network).run(frames))


def test_what_they_cannot_be_is_refused(tmp_path: Any) -> None:
    with pytest.raises(InputError, match=r"shift is 23: give a whole number in 0\.\.22"):
        Relay(23)
    with pytest.raises(InputError, match=r"highest is .*: give integers"):
        Relay(highest=np.array([0.5]))
    with pytest.raises(InputError, match="lowest is above highest"):
        Relay(lowest=np.array([3]), highest=np.array([2]))
    with pytest.raises(InputError, match="sends its sum and has message_bits 0"):
        BlockNetwork((1,), (Block("a", Relay(), (1,), (Connection(SOURCE, None),)),))
    with pytest.raises(InputError, match="messages of 24 bits and has message_bits 8: make them equal"):
        BlockNetwork((1,), (Block("a", Relay(), (1,), (Connection(SOURCE, None),), None, 8),))
    network = alone(Relay()).network
    with pytest.raises(UnsupportedError, match=r"'a': sends its sum in every step.*no \.net file holds them"):
        write_netx(network, tmp_path / "a.net")
    with pytest.raises(UnsupportedError, match="no fixed_pt model of Lava"):
        LoihiProgram(network).run(np.zeros((1, 1, 1), np.int64), "lava")
    tensors, data = to_tensors(network)
    data["blocks"][0]["neuron"]["bits"] = 25
    with pytest.raises(FileFormatError, match="layer 'a'"):
        from_tensors(tensors, data)
