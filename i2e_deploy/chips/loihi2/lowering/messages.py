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

#: Currents of a leaky neuron: 24 bits, of which 6 are below a weight's step.
CURRENT = 2**17 - 1


def with_scales(plans: Sequence[Prepared | None]) -> list[Prepared | None]:
    """Plans that know what a message of each of their sources is worth; those that send values have their scale."""
    rooms = [None if plan is None else room_of(plan) for plan in plans]
    worth: dict[str, float] = {}
    found: list[Prepared | None] = []
    for unscaled in plans:
        plan = None if unscaled is None else _graded(unscaled, worth)
        if plan is not None and isinstance(plan.stage.neurons, VALUES):
            most = min(
                (room * float(np.abs(weights.weight).max()) / 2
                 for reader, room in zip(plans, rooms, strict=True) if reader is not None and room is not None
                 for edge, weights in zip(reader.stage.edges, reader.maps, strict=True)
                 if edge.source == plan.stage.layer and weights.weight.any()),
                default=float(CURRENT),
            )  # fmt: skip
            plan = _scaled(plan, max(1.0, most))
            assert plan.scale is not None
            worth[plan.stage.layer] = plan.scale / 2**plan.shift
        found.append(plan)
    return found


def _graded(plan: Prepared, worth: Mapping[str, float]) -> Prepared:
    """With its maps for one step of a message, where values come."""
    grades = tuple(worth.get(edge.source, 0.0) for edge in plan.stage.edges)
    if not any(grades):
        return plan
    maps = (replace(m, weight=m.weight / g) if g else m for m, g in zip(plan.maps, grades, strict=True))
    return replace(plan, maps=tuple(maps), grades=grades)


def _scaled(plan: Prepared, most: float) -> Prepared:
    """With the scale of its sum, and the shift that brings its messages to `most` steps a unit at the most."""
    if any(plan.grades):
        scale = best_scale(plan)
        return replace(plan, scale=scale, shift=max(1, ceil(log2(scale / most) - 1e-9)))
    whole = sorted({max(2.0, float(floor(scale + 1e-9))) for scale in scales(plan)}, reverse=True)
    scale = min([s for s in whole if s <= 2 * most] or whole, key=rounding(plan))
    return replace(plan, scale=scale, shift=max(1, ceil(log2(scale / most) - 1e-9)))


def with_bits(network: BlockNetwork) -> BlockNetwork:
    """Messages as long as no reader's sum of them can leave its word; longer values are clipped and counted."""
    blocks = (_shortened(b, b.neuron, network) if isinstance(b.neuron, Relay) else b for b in network.blocks)
    return replace(network, blocks=tuple(blocks))


def _shortened(block: Block, relay: Relay, network: BlockNetwork) -> Block:
    most = min(_room_for(reader, block, network) for reader in network.blocks)
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
