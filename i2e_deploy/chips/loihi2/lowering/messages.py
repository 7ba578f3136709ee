"""Scales of values that populations send, so that what reads them needs no rounding; and the bits of their messages.

A population that carries values has a scale A, integer steps of its sum for one unit of the float network, and sends
M = A / 2^shift steps. Weights are even, so a sum without bias is, and a shift of 1 loses nothing. What reads a value
with a weight of 1 (a sum of a residual stream) has the scale k * M with an even k: then its weight is k, exactly. So M
is at most half of what every reader's other weights leave room for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, floor, log2

import numpy as np

from i2e_deploy.chips.loihi2.lowering.quantise import Prepared, best_scale, room_of, rounding, scales
from i2e_deploy.chips.loihi2.lowering.values import VALUES
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, ConvSynapse
from i2e_deploy.chips.loihi2.relay import WHOLE, Relay
from i2e_deploy.text import counted, said

#: Currents of a leaky neuron: 24 bits, of which 6 are below a weight's step.
CURRENT = 2**17 - 1


class Scaling:
    """Scales of values, decided in network order: what reads a value needs to know what a message of it is worth.

    Args:
        plans: of all stages, in network order.
    """

    def __init__(self, plans: Sequence[Prepared | None]) -> None:
        self._readers = [(plan, room_of(plan)) for plan in plans if plan is not None]
        self._worth: dict[str, float] = {}

    def __repr__(self) -> str:
        return said(self, counted(len(self._worth), "decided value"))

    def prepared(self, plan: Prepared) -> Prepared:
        """A plan that knows what messages of its sources are worth; if it sends values, with its scale by range."""
        graded = _graded(plan, self._worth)
        if not isinstance(plan.stage.neurons, VALUES):
            return graded
        if any(graded.grades):
            return self.at(graded, best_scale(graded))
        whole = sorted({max(2.0, float(floor(scale + 1e-9))) for scale in scales(graded)}, reverse=True)
        fitting = [scale for scale in whole if scale <= 2 * self._most(graded)]
        return self.at(graded, min(fitting or whole, key=rounding(graded)))

    def at(self, plan: Prepared, scale: float) -> Prepared:
        """One that sends values, at a scale, with the shift that leaves its readers room."""
        return replace(plan, scale=scale, shift=max(1, ceil(log2(scale / self._most(plan)) - 1e-9)))

    def decide(self, plan: Prepared) -> None:
        """From here on its messages are worth what its scale and shift say."""
        assert plan.scale is not None
        self._worth[plan.stage.layer] = plan.scale / 2**plan.shift

    def _most(self, plan: Prepared) -> float:
        """Steps a unit that a message may have at the most, so that every reader's other weights keep their scale."""
        rooms = (
            room * float(np.abs(weights.weight).max()) / 2
            for reader, room in self._readers
            for edge, weights in zip(reader.stage.edges, reader.maps, strict=True)
            if edge.source == plan.stage.layer and weights.weight.any()
        )
        return max(1.0, min(rooms, default=float(CURRENT)))


def _graded(plan: Prepared, worth: Mapping[str, float]) -> Prepared:
    """With its maps for one step of a message, where values come."""
    grades = tuple(worth.get(edge.source, 0.0) for edge in plan.stage.edges)
    if not any(grades):
        return plan
    maps = (replace(m, weight=m.weight / g) if g else m for m, g in zip(plan.maps, grades, strict=True))
    return replace(plan, maps=tuple(maps), grades=grades)


def with_bits(network: BlockNetwork, peaks: Mapping[str, int] | None = None) -> BlockNetwork:
    """Messages as long as no reader's sum of them can leave its word; longer values are clipped and counted.

    Args:
        network: with messages of any length.
        peaks: the largest message of each population on calibration frames: then a message is as long as twice that
            needs, and no longer.
    """
    blocks = (_shortened(b, b.neuron, network, peaks) if isinstance(b.neuron, Relay) else b for b in network.blocks)
    return replace(network, blocks=tuple(blocks))


def _shortened(block: Block, relay: Relay, network: BlockNetwork, peaks: Mapping[str, int] | None) -> Block:
    most = min(_room_for(reader, block, network) for reader in network.blocks)
    if peaks is not None:
        most = min(most, 2.0 * peaks[block.name])
    bits = int(np.clip(floor(log2(max(1.0, most) + 1)) + 1, 2, 24))
    return replace(block, neuron=replace(relay, bits=bits), message_bits=bits)


def _room_for(reader: Block, sender: Block, network: BlockNetwork) -> float:
    """The largest message that `reader` can take of `sender` from all its synapses at once, whatever else comes."""
    values, spikes, most = 0.0, 0.0, float(WHOLE)
    senders = {block.name for block in network.blocks if isinstance(block.neuron, Relay)}
    for connection in reader.connections:
        if connection.synapse is None:
            continue
        reach = float(np.abs(connection.synapse.weight).reshape(len(connection.synapse.weight), -1).sum(1).max())
        if connection.source in senders:
            values += reach
        else:
            spikes += reach
        if connection.source == sender.name and isinstance(connection.synapse, ConvSynapse) and reach:
            most = min(most, WHOLE / reach)
    if all(c.source != sender.name for c in reader.connections):
        return float(WHOLE)
    word = WHOLE if isinstance(reader.neuron, Relay) else CURRENT
    return min(most, (word - min(spikes, word / 2)) / values) if values else most
