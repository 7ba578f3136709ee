"""Draw small random networks of integer blocks and inputs for them, from an explicit generator."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.neuron import Ints, Neuron
from i2e_deploy.chips.loihi2.program import (
    SOURCE,
    Block,
    BlockNetwork,
    Connection,
    ConvSynapse,
    CubaLif,
    Delta,
    DenseSynapse,
    Resonator,
    Sigma,
    SigmaDelta,
    conv_shape,
)

Frames = NDArray[np.int64]
#: Ranges of weights: usual, large, one sign, the corrupting kind of one power of two, odd, beyond 8 bits.
RANGES = ((-40, 40), (-256, 254), (0, 90), (-64, 0), (-256, -2), (-8, 0), (-2, 2))


def draw_weight(rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
    low, high = RANGES[rng.integers(len(RANGES))] if rng.random() < 0.5 else (-40, 90)
    weight = rng.integers(low // 2, high // 2 + 1, shape) * 2
    if rng.random() < 0.15:
        weight = weight + rng.integers(0, 2, shape)
    if rng.random() < 0.2:
        weight = weight * (rng.random(shape) < 0.4)
    if not weight.any():
        weight.flat[0] = 2
    return weight.astype(np.int64)


def draw_decay(rng: np.random.Generator, channels: int) -> Ints:
    size = channels if rng.random() < 0.25 else 1
    special = rng.choice([0, 1, 1024, 2048, 4095, 4096], size)
    return np.where(rng.random(size) < 0.5, special, rng.integers(0, 4097, size)).astype(np.int64)


def draw_cuba(rng: np.random.Generator, channels: int) -> CubaLif:
    threshold = int(rng.choice([0, 1, 5, 10, 25, 80, 300, 2000, 131071, 131072]))
    return CubaLif(draw_decay(rng, channels), draw_decay(rng, channels), threshold)


def draw_bias(rng: np.random.Generator, channels: int) -> Ints | None:
    if rng.random() < 0.6:
        return None
    high = int(rng.choice([30, 300, 40000]))
    return rng.integers(-high, high + 1, channels)


def draw_network(seed: int) -> BlockNetwork:
    """A network that a `.net` file can hold: 1 to 4 blocks, spiking or Sigma-Delta or resonating."""
    rng = np.random.default_rng(seed)
    family = rng.choice(["cuba", "cuba", "cuba", "sdnn", "rf"])
    image = rng.random() < 0.5 and family != "rf"
    shape = tuple(map(int, rng.integers(1, 9, 3))) if image else (int(rng.integers(1, 20)),)
    blocks: list[Block] = []
    input_shape, bits = shape, 0
    if family == "sdnn" or (rng.random() < 0.2 and family == "cuba"):
        bits = 32
        neuron: Neuron = Delta(int(rng.integers(0, 3))) if family == "sdnn" else draw_cuba(rng, shape[0])
        first = Block("b0", neuron, shape, (Connection(SOURCE, None),), None, 16 if family == "sdnn" else 0)
        blocks.append(first)
    elif rng.random() < 0.2:
        bits = 16
    for i in range(int(rng.integers(1, 4))):
        source = blocks[-1].name if blocks else SOURCE
        block = _conv(rng, f"c{i}", source, shape) if len(shape) == 3 and rng.random() < 0.7 else None
        block = block or _dense(rng, f"d{i}", source, shape, str(family))
        blocks.append(block)
        shape = block.shape
    if family == "sdnn":
        blocks = [blocks[0]] + [
            replace(b, neuron=SigmaDelta(int(rng.integers(0, 40))), message_bits=16) for b in blocks[1:]
        ]
        if rng.random() < 0.5:
            blocks[-1] = replace(blocks[-1], neuron=Sigma(), bias=None)
    network = BlockNetwork(input_shape, tuple(blocks), bits)
    if family == "cuba" and rng.random() < 0.2:
        network = network.with_reset(int(rng.integers(1, 9)), int(rng.integers(0, 5)))
    return network


def draw_frames(network: BlockNetwork, seed: int, samples: int = 1, steps: int = 20) -> Any:
    """[B, T, *input_shape]: events, or signed values where the network takes them."""
    rng = np.random.default_rng([seed, 1])
    shape = (samples, steps, *network.input_shape)
    spikes = (rng.random(shape) < rng.choice([0.05, 0.3, 0.9])).astype(np.int64)
    if network.input_message_bits == 0:
        return spikes * (rng.integers(1, 4, shape) if rng.random() < 0.2 else 1)
    high = int(rng.choice([3, 60, 5000] if network.blocks[0].message_bits == 0 else [3, 60, 400]))
    return spikes * rng.integers(-high, high + 1, shape)


def tiny_blocks() -> BlockNetwork:
    """On frames of 2x8x8: a convolution, and a layer with delays that also feeds itself."""
    rng = np.random.default_rng(7)
    neuron = CubaLif(np.array([1024]), np.array([128]), 100)
    first = ConvSynapse(2 * rng.integers(-8, 24, (4, 2, 3, 3)), (2, 2), (1, 1))
    second = DenseSynapse(2 * rng.integers(-8, 16, (5, 64)), delay=np.repeat(rng.integers(0, 3, (5, 1)), 64, 1))
    third = DenseSynapse(2 * rng.integers(-8, 8, (5, 5)))
    last = Block("1", neuron, (5,), (Connection("0", second), Connection("1", third)))
    return BlockNetwork((2, 8, 8), (Block("0", neuron, (4, 4, 4), (Connection(SOURCE, first),)), last))


def with_extras(network: BlockNetwork, seed: int) -> BlockNetwork:
    """Delays on convolutions, and the first block's output added to the last through a dense synapse."""
    rng, blocks = np.random.default_rng(seed), []
    for block in network.blocks:
        connections = [
            replace(c, synapse=replace(c.synapse, delay=rng.integers(0, 9, len(c.synapse.weight))))
            if isinstance(c.synapse, ConvSynapse)
            else c
            for c in block.connections
        ]
        blocks.append(replace(block, connections=tuple(connections)))
    first, last = blocks[0], blocks[-1]
    if len(blocks) > 1 and not isinstance(last.neuron, Resonator):
        weight = draw_weight(rng, (int(np.prod(last.shape)), int(np.prod(first.shape))))
        skip = Connection(first.name, DenseSynapse(weight))
        blocks[-1] = replace(last, connections=(*last.connections, skip))
    return replace(network, blocks=tuple(blocks))


def _conv(rng: np.random.Generator, name: str, source: str, shape: tuple[int, ...]) -> Block | None:
    groups = int(rng.choice([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
    out = groups * int(rng.integers(1, 5))
    kernel, stride, dilation, padding = (tuple(map(int, rng.integers(*r, 2))) for r in ((1, 4), (1, 4), (1, 3), (0, 3)))
    weight = draw_weight(rng, (out, shape[0] // groups, *kernel))
    synapse = ConvSynapse(weight, stride, padding, dilation, groups)  # type: ignore[arg-type]
    after = conv_shape(synapse, shape)
    if min(after) < 1:
        return None
    return Block(name, draw_cuba(rng, out), after, (Connection(source, synapse),), draw_bias(rng, out))


def _dense(rng: np.random.Generator, name: str, source: str, shape: tuple[int, ...], family: str) -> Block:
    out, given = int(rng.integers(1, 15)), prod(shape)
    weight = draw_weight(rng, (out, given))
    if family == "rf":
        angle, keep = rng.uniform(0.05, 3.0), rng.uniform(0.5, 1.0)
        sin, cos = int(4096 * keep * np.sin(angle)), int(4096 * keep * np.cos(angle))
        neuron = Resonator(str(rng.choice(["phase", "izhikevich"])), sin, cos, int(rng.integers(0, 90)))  # type: ignore[arg-type]
        imag = DenseSynapse(draw_weight(rng, (out, given)))
        return Block(name, neuron, (out,), (Connection(source, DenseSynapse(weight)), Connection(source, imag, "imag")))
    delay = None
    kind = rng.random()
    if kind < 0.15:
        delay = np.broadcast_to(rng.integers(0, 63, (out, 1)), weight.shape)
    elif kind < 0.25:
        delay = rng.integers(0, 5, weight.shape)
    connections = [Connection(source, DenseSynapse(weight, delay))]
    if kind > 0.8 and family == "cuba":
        connections.append(Connection(name, DenseSynapse(draw_weight(rng, (out, out)))))
    return Block(name, draw_cuba(rng, out), (out,), tuple(connections), draw_bias(rng, out))
