"""A `.net` file from which netx and Lava compute the program's own integers.

Dense weights that netx and Lava would change (docs/loihi2.md) get one more neuron: a row of zeros with one weight of 2.
It makes the layer's weights of both signs, which both programs treat alike, and reaches nothing: the next layer has
zeros for it, and after the last layer it is cut off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from i2e_deploy.chips.loihi2.formats.netx_readout import without_readout
from i2e_deploy.chips.loihi2.formats.netx_write import refuse_programmable, write_netx
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, Connection, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.reference.lava_weights import lava_dense
from i2e_deploy.errors import UnsupportedError


@dataclass(frozen=True, eq=False)
class Mended:
    """The network as it is written, and by layer how many neurons were added at its end."""

    network: BlockNetwork
    added: dict[str, int]


def export_netx(network: BlockNetwork, path: Path) -> Mended:
    """Write `path`, corrected where needed.

    Raises:
        UnsupportedError: netx cannot hold the network, or a layer cannot be corrected; the message names it.
    """
    refuse_programmable(network)
    mended = mend(network)
    write_netx(mended.network, path)
    return mended


def mend(network: BlockNetwork) -> Mended:
    """Add a neuron to each dense layer whose weights netx and Lava would change."""
    network = without_readout(network)
    added: dict[str, int] = {}
    blocks: list[Block] = []
    for block in network.blocks:
        widened = replace(block, connections=tuple(_widen_input(c, added, block.name) for c in block.connections))
        if not _kept(widened):
            widened = _add_neuron(widened)
            added[block.name] = 1
            if not _kept(widened):
                raise UnsupportedError(
                    f"layer {block.name!r}: netx and Lava would change its weights and no added neuron prevents it "
                    "(odd weights of both signs, or beyond [-256, 254]): train with SLAYER's quantiser"
                )
        blocks.append(widened)
    return Mended(replace(network, blocks=tuple(blocks)), added)


def _kept(block: Block) -> bool:
    """Whether Lava's weights are the block's."""
    dense = [c for c in block.connections if isinstance(c.synapse, DenseSynapse)]
    if not dense:
        return True
    groups = [dense] if any(c.source == block.name for c in dense) else [[c] for c in dense]
    for group in groups:
        weights = [c.synapse.weight for c in group if c.synapse is not None]
        try:
            after, shift = lava_dense(*weights)
        except UnsupportedError:
            return False
        if shift < 0 or any((w << shift != a).any() for w, a in zip(weights, after, strict=True)):
            return False
    return True


def _widen_input(connection: Connection, added: dict[str, int], name: str) -> Connection:
    extra = added.get(connection.source, 0)
    if not extra or connection.source == name:
        return connection
    synapse = connection.synapse
    if not isinstance(synapse, DenseSynapse):
        raise UnsupportedError(f"layer {name!r} is no dense layer, so the layer before it cannot be corrected for Lava")
    return replace(connection, synapse=_padded(synapse, columns=extra))


def _padded(synapse: DenseSynapse, rows: int = 0, columns: int = 0) -> DenseSynapse:
    def pad(array: Ints) -> Ints:
        return np.pad(array, ((0, rows), (0, columns)))

    return DenseSynapse(pad(synapse.weight), None if synapse.delay is None else pad(synapse.delay))


def _add_neuron(block: Block) -> Block:
    connections = []
    for connection in block.connections:
        recurrent = connection.source == block.name
        assert isinstance(connection.synapse, DenseSynapse)
        synapse = _padded(connection.synapse, rows=1, columns=int(recurrent))
        synapse.weight[-1, -1 if recurrent else 0] = 2
        connections.append(replace(connection, synapse=synapse))
    neuron = block.neuron
    if isinstance(neuron, CubaLif):
        decays = [d if d.size == 1 else np.append(d, d[-1]) for d in (neuron.current_decay, neuron.voltage_decay)]
        neuron = replace(neuron, current_decay=decays[0], voltage_decay=decays[1])
    bias = None if block.bias is None else np.append(block.bias, 0)
    return replace(block, connections=tuple(connections), shape=(block.shape[0] + 1,), neuron=neuron, bias=bias)
