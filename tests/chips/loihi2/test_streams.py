"""Several samples one after the other: resets that travel with the wave make a stream equal runs from a fresh state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import draw_frames, draw_network

from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, CubaLif
from i2e_deploy.chips.loihi2.runnable import LoihiProgram

SAMPLES, STEPS = 3, 14


def plain(network: BlockNetwork) -> BlockNetwork | None:
    """The same without what such resets cannot undo: bias, delays, feedback; None where the neurons are not CUBA."""
    blocks: list[Block] = []
    for block in network.blocks:
        if not isinstance(block.neuron, CubaLif) or block.connections[0].synapse is None:
            return None
        first = block.connections[0]
        assert first.synapse is not None
        source = blocks[-1].name if blocks else SOURCE
        connection = replace(first, source=source, synapse=replace(first.synapse, delay=None))
        neuron = replace(block.neuron, reset=None)
        blocks.append(replace(block, connections=(connection,), bias=None, neuron=neuron))
    return replace(network, blocks=tuple(blocks))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_stream_with_travelling_resets_equals_fresh_runs(seed: int) -> None:
    """Agreement: exact, from the step on in which a sample reaches the layer."""
    network = plain(draw_network(seed))
    if network is None:
        return
    frames = draw_frames(network, seed, SAMPLES, STEPS)
    fresh = LoihiProgram(network).run(frames)
    stream = LoihiProgram(network.with_reset(STEPS, 1)).run(frames.reshape(1, -1, *network.input_shape))
    for j, (name, alone) in enumerate(fresh.spikes.items()):
        together = stream.spikes[name].reshape(alone.shape)
        assert not alone[:, : j + 1].any()
        assert np.array_equal(together[:, j + 1 :], alone[:, j + 1 :])


def test_without_resets_a_sample_spills_into_the_next() -> None:
    """The property above would fail: there is something to undo."""
    network = next(n for n in map(plain, map(draw_network, range(100))) if n is not None and _differs(n))
    assert len(network.blocks) > 0


def _differs(network: BlockNetwork) -> bool:
    frames = draw_frames(network, 0, SAMPLES, STEPS)
    fresh = LoihiProgram(network).run(frames).output
    stream = LoihiProgram(network).run(frames.reshape(1, -1, *network.input_shape)).output
    depth = len(network.blocks)
    return not np.array_equal(stream.reshape(fresh.shape)[:, depth:], fresh[:, depth:])
