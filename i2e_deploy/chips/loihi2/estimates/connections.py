"""Synapses and neurons of Loihi 2 blocks, for figures that count them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from math import prod

import numpy as np

from i2e_deploy.chips.connections import Connection, Population, as_stored
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, ConvSynapse, DenseSynapse, as_image
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network import Conv2d, Linear


def connections(network: BlockNetwork) -> tuple[Connection, ...]:
    """One for every synapse, in the order of blocks and their connections; direct injections have no weights."""
    shapes = {SOURCE: as_image(network.input_shape), **{block.name: block.shape for block in network.blocks}}
    return tuple(
        Connection(block.name, *_computes(connection.synapse, shapes[connection.source]),
                   as_stored(connection.synapse.weight, even=True))
        for block in network.blocks
        for connection in block.connections
        if connection.synapse is not None
    )  # fmt: skip


def populations(network: BlockNetwork) -> tuple[Population, ...]:
    """Of each block its biases, delays and what its neurons hold."""
    return tuple(
        Population(block.name, tuple(block.shape), block.neuron.membrane, _stored(block)) for block in network.blocks
    )


def reaching(network: BlockNetwork, frames: Integers, spikes: Mapping[str, Integers]) -> tuple[Integers, ...]:
    """What is sent to each of `connections` in every step, [B, T, ...]; where no value is carried, 0 or 1.

    It is counted in the step in which it is sent, delays or none.
    """
    sent = {SOURCE: frames, **spikes}
    found = []
    for block in network.blocks:
        for connection in block.connections:
            if connection.synapse is None:
                continue
            given = sent[connection.source]
            values = given if network.bits(connection.source) else (given != 0).astype(np.int64)
            if isinstance(connection.synapse, DenseSynapse):
                values = values.reshape(*values.shape[:2], -1)
            elif connection.source == SOURCE:
                values = values.reshape(*values.shape[:2], *as_image(network.input_shape))
            found.append(values)
    return tuple(found)


def _computes(synapse: ConvSynapse | DenseSynapse, shape: tuple[int, ...]) -> tuple[Conv2d | Linear, tuple[int, ...]]:
    weight = synapse.weight.astype(np.float32)
    if isinstance(synapse, DenseSynapse):
        return Linear(weight), (prod(shape),)
    return Conv2d(weight, None, synapse.stride, synapse.padding, synapse.dilation, synapse.groups), tuple(shape)


def _stored(block: Block) -> dict[str, Integers]:
    """Arrays of integers by name."""
    found = {} if block.bias is None else {"bias": as_stored(block.bias)}
    delays = [c.synapse.delay for c in block.connections if c.synapse is not None and c.synapse.delay is not None]
    found |= {f"delay{i}": as_stored(delay) for i, delay in enumerate(delays)}
    spikes = isinstance(block.neuron, ProgrammableLif) and block.neuron.sends == "spikes"
    unused = ProgrammableLif.message_words if spikes else {}
    for field in fields(block.neuron):  # type: ignore[arg-type]  # every kind is a dataclass
        value = getattr(block.neuron, field.name)
        if field.name not in unused and isinstance(value, (int, np.ndarray)) and not isinstance(value, bool):
            found[field.name] = as_stored(np.atleast_1d(value))
    return found
