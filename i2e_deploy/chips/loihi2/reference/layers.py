"""A program as the simulators take it: for each layer the numbers that act, under one of two semantics.

`chip`: the integers of the program. `lava`: what netx and Lava's `fixed_pt` models make of them, see `lava_weights`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from i2e_deploy.chips.loihi2.neuron import Ints, Neuron
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
    as_image,
)
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_bias, lava_decay, lava_dense
from i2e_deploy.chips.loihi2.relay import Programmable, Relay
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.op import Shape

SEMANTICS = ("chip", "lava")
#: Steps that every synapse takes (lava proc/dense/models.py:96: the old buffer is sent before spikes are read).
LATENCY = 1


@dataclass(frozen=True, eq=False)
class Wire:
    """A connection with the weights that act.

    Args:
        source: index of the layer that feeds it, -1 for the input.
        source_shape: its shape.
        synapse: with effective weights; None injects without latency.
        shift: the summed current is shifted right by this many bits, rounding down.
        graded: spikes carry values; else any value counts as one spike.
        imag: reaches the imaginary input of a resonator.
        depth: steps until the last delayed current has arrived, >= 1.
    """

    source: int
    source_shape: Shape
    synapse: DenseSynapse | ConvSynapse | None
    shift: int
    graded: bool
    imag: bool
    depth: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A block with the numbers that act; `bias` int64 [N] is already shifted to the scale of the state."""

    name: str
    shape: Shape
    neuron: Neuron
    wires: tuple[Wire, ...]
    bias: Ints

    @property
    def size(self) -> int:
        """Number of neurons."""
        return prod(self.shape)

    def per_neuron(self, values: Ints) -> Ints:
        """int64 [1], [C] or [N] to [N], C outermost."""
        if values.size in (1, self.size):
            return np.broadcast_to(values.reshape(-1), (self.size,))
        return np.repeat(values, self.size // self.shape[0])


def layers_of(network: BlockNetwork, semantics: str) -> tuple[Layer, ...]:
    """The layers in network order.

    Raises:
        UnsupportedError: `lava`, and Lava cannot load a layer.
    """
    lava = semantics == "lava"
    index = {SOURCE: -1, **{block.name: i for i, block in enumerate(network.blocks)}}
    shapes = {SOURCE: as_image(network.input_shape), **{block.name: block.shape for block in network.blocks}}
    layers = []
    for block in network.blocks:
        synapses, shifts = _lava_synapses(block) if lava else _plain(block)
        wires = tuple(
            Wire(
                index[c.source],
                shapes[c.source],
                s,
                shift,
                _graded(network, block, c, lava),
                c.part == "imag",
                _depth(s),
            )
            for c, s, shift in zip(block.connections, synapses, shifts, strict=True)
        )
        neuron = block.neuron
        if lava and isinstance(neuron, Programmable):
            raise UnsupportedError(
                f"layer {block.name!r}: no fixed_pt model of Lava 0.10 computes its neurons "
                f"({', '.join(neuron.beyond_standard()) or 'programmable'}): run it with semantics 'chip'"
            )
        if lava and isinstance(neuron, Resonator):
            sin, cos = lava_decay(neuron.sin_decay, neuron.cos_decay)
            neuron = replace(neuron, sin_decay=sin, cos_decay=cos)
        layer = Layer(block.name, block.shape, neuron, wires, np.zeros(prod(block.shape), np.int64))
        layers.append(replace(layer, bias=_bias(block, layer, lava)))
    return tuple(layers)


def _plain(block: Block) -> tuple[list[DenseSynapse | ConvSynapse | None], list[int]]:
    return [c.synapse for c in block.connections], [0] * len(block.connections)


def _lava_synapses(block: Block) -> tuple[list[DenseSynapse | ConvSynapse | None], list[int]]:
    """Dense weights through netx and Lava; the two of a recurrent layer together; convolutions as they are."""
    synapses: list[DenseSynapse | ConvSynapse | None] = [c.synapse for c in block.connections]
    shifts = [0] * len(synapses)
    recurrent = any(c.source == block.name for c in block.connections)
    dense = [i for i, s in enumerate(synapses) if isinstance(s, DenseSynapse)]
    for group in [dense] if recurrent and dense else [[i] for i in dense]:
        members = [s for i in group if isinstance(s := synapses[i], DenseSynapse)]
        try:
            weights, shift = lava_dense(*(s.weight for s in members))
        except UnsupportedError as error:
            raise UnsupportedError(f"layer {block.name!r}: {error}") from error
        for i, synapse, weight in zip(group, members, weights, strict=True):
            synapses[i], shifts[i] = replace(synapse, weight=weight), shift
    for i, given in enumerate(synapses):  # netx never reads the delay of a convolution (hdf5.py:464-560)
        if isinstance(given, ConvSynapse):
            synapses[i] = replace(given, delay=None)
    return synapses, shifts


def _graded(network: BlockNetwork, block: Block, connection: Connection, lava: bool) -> bool:
    """netx gives the feedback synapse the message bits of the layer's input (blocks/process.py:262-268)."""
    source = block.connections[0].source if lava and connection.source == block.name else connection.source
    return network.bits(source) > 0


def _depth(synapse: DenseSynapse | ConvSynapse | None) -> int:
    return LATENCY + (int(synapse.delay.max()) if synapse is not None and synapse.delay is not None else 0)


def _bias(block: Block, layer: Layer, lava: bool) -> Ints:
    if block.bias is None or isinstance(block.neuron, (Sigma, Resonator)):
        return np.zeros(layer.size, np.int64)
    if isinstance(block.neuron, (CubaLif, ProgrammableLif)):
        mantissa = lava_bias(block.bias) if lava else block.bias
        return layer.per_neuron(mantissa << 6)
    if isinstance(block.neuron, Relay):
        return layer.per_neuron(block.bias)
    exponent = block.neuron.spike_exp + 6 if isinstance(block.neuron, SigmaDelta) else 0
    return layer.per_neuron((block.bias << exponent).astype(np.int32).astype(np.int64))
