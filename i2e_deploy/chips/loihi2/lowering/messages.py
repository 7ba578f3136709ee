"""Scales of values that populations send, so that what reads them needs no rounding; and the bits of their messages.

A population that carries values has a scale A, integer steps of its sum for one unit of the float network, and sends
M = A / 2^shift steps. Weights are even, so a sum without bias is, and a shift of 1 loses nothing. A leaky integrator's
voltage has 6 bits below a step of A: its shift goes down to -6. What reads a value with a weight of 1 (a sum of a
residual stream) has the scale k * M with an even k: then its weight is k, exactly. So M is at most half of what every
reader's other weights leave room for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, floor, log2

import numpy as np

from i2e_deploy.chips.loihi2.lowering.graded import GRADED, VALUES, Integrating
from i2e_deploy.chips.loihi2.lowering.maps import Floats, Map
from i2e_deploy.chips.loihi2.lowering.quantise import (
    VOLTAGE_BITS,
    WEIGHT_HIGH,
    Prepared,
    best_scale,
    room_of,
    rounding,
    scales,
)
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, ConvSynapse
from i2e_deploy.chips.loihi2.relay import WHOLE, Relay, message_step
from i2e_deploy.text import counted, said

#: Currents of a leaky neuron: 24 bits, of which 6 are below a weight's step.
CURRENT = 2**17 - 1
#: Without frames: share of inputs that spike in a step, and steps that an integrator without leak adds up.
ASSUMED, LONG = 0.25, 16.0
#: Messages of integrators have room for so many times the largest value, of frames or assumed.
MARGIN = 2.0
#: Values of unlike steps that meet: weights of so many steps bring them to one, to half a step.
UNLIKE = 64


class Scaling:
    """Scales of values, decided in network order: what reads a value needs to know what a message of it is worth.

    Args:
        plans: of all stages, in network order.
        peaks: the largest value of each float layer on frames; those that are not in it are assumed by range.
    """

    def __init__(self, plans: Sequence[Prepared | None], peaks: Mapping[str, float]) -> None:
        self._readers = [(plan, room_of(plan)) for plan in plans if plan is not None]
        self._senders = {p.stage.layer: p for p, _ in self._readers if isinstance(p.stage.neurons, GRADED)}
        values = set(self._senders)
        self._rooms = [room_of(_beside(plan, values)) for plan, _ in self._readers]
        self._worth: dict[str, float] = {}
        self._peaks = dict(peaks)
        for layer, plan in self._senders.items():
            self._peaks.setdefault(layer, _expected(plan, self._peaks))
        self._integrates = any(isinstance(plan.stage.neurons, Integrating) for plan, _ in self._readers)

    def __repr__(self) -> str:
        return said(self, counted(len(self._worth), "decided value"))

    def prepared(self, plan: Prepared) -> Prepared:
        """A plan that knows what messages of its sources are worth; if it sends values, with its scale by range."""
        graded = _graded(plan, self._worth)
        if not isinstance(plan.stage.neurons, GRADED):
            return replace(graded, most=self._held(plan)) if self._integrates and any(graded.grades) else graded
        if any(graded.grades):
            return self.at(graded, best_scale(graded))
        whole = sorted({max(2.0, float(floor(scale + 1e-9))) for scale in scales(graded)}, reverse=True)
        most = 2 * self._most(graded)
        if isinstance(plan.stage.neurons, Integrating):  # its messages may be coarser, and its voltage must fit
            most = CURRENT / (MARGIN * max(self._peaks[plan.stage.layer], 1e-9))
            if self._meets(plan.stage.layer):
                whole = sorted({2.0 ** floor(log2(scale)) for scale in whole}, reverse=True)
        fitting = [scale for scale in whole if scale <= most]
        return self.at(graded, min(fitting or whole, key=rounding(graded)))

    def at(self, plan: Prepared, scale: float) -> Prepared:
        """One that sends values, at a scale, with the shift that leaves its readers room."""
        least = -VOLTAGE_BITS if isinstance(plan.stage.neurons, Integrating) else 1
        return replace(plan, scale=scale, shift=max(least, ceil(log2(scale / self._most(plan)) - 1e-9)))

    def decide(self, plan: Prepared) -> None:
        """From here on its messages are worth what its scale and shift say."""
        assert plan.scale is not None
        self._worth[plan.stage.layer] = plan.scale / 2**plan.shift

    def _most(self, plan: Prepared) -> float:
        """Steps a unit that a message may have at the most, so that every reader's other weights keep their scale."""
        if isinstance(plan.stage.neurons, Integrating):
            return self._most_read(plan.stage.layer)
        rooms = (
            room * float(np.abs(weights.weight).max()) / 2
            for reader, room in self._readers
            for edge, weights in zip(reader.stage.edges, reader.maps, strict=True)
            if edge.source == plan.stage.layer and weights.weight.any()
        )
        return max(1.0, min(rooms, default=float(CURRENT)))

    def _held(self, plan: Prepared) -> float:
        """The scale at which the current, or what adds up, holds the values that are read."""
        ways = zip(plan.stage.edges, plan.maps, strict=True)
        value = sum(_reach(weights) * self._peaks.get(edge.source, 0.0) for edge, weights in ways)
        value *= _length(plan.form.kept) if plan.form.threshold is None else 1.0
        return CURRENT / (MARGIN * max(value, 1e-9))

    def _most_read(self, layer: str) -> float:
        """The same of potentials: each reader's weights keep their bits, and its sum of all values its word."""
        most = float(CURRENT)
        for (reader, _), room in zip(self._readers, self._rooms, strict=True):
            ways = [(e.source, m) for e, m in zip(reader.stage.edges, reader.maps, strict=True) if m.weight.any()]
            ways = [(source, weights) for source, weights in ways if source in self._senders]
            if all(source != layer for source, _ in ways):
                continue
            size = np.concatenate([np.abs(weights.weight).reshape(-1) for _, weights in ways])
            largest = float(size.max())
            alike = bool((size[size > 0] == largest).all())
            steps = WEIGHT_HIGH if not alike else 2 if all(self._binary(source) for source, _ in ways) else UNLIKE
            word = WHOLE if isinstance(reader.stage.neurons, VALUES) else CURRENT
            value = MARGIN * sum(max(self._peaks[source], 1e-9) * _reach(weights) for source, weights in ways) / largest
            most = min(most, room * largest / steps, word / (steps * value))
        return max(2.0**-VOLTAGE_BITS, most)

    def _meets(self, layer: str) -> bool:
        """Whether a neuron reads it beside other values: then their steps should be alike."""
        read = ([e.source for e in plan.stage.edges if e.source in self._senders] for plan, _ in self._readers)
        return any(layer in sources and len(sources) > 1 for sources in read)

    def _binary(self, layer: str) -> bool:
        """Whether a step of its messages is a power of 2, or it is alone with its reader."""
        plan = self._senders[layer]
        spikes = all(edge.source not in self._senders for edge in plan.stage.edges)
        return not self._meets(layer) or (isinstance(plan.stage.neurons, Integrating) and spikes)


def _graded(plan: Prepared, worth: Mapping[str, float]) -> Prepared:
    """With its maps for one step of a message, where values come."""
    grades = tuple(worth.get(edge.source, 0.0) for edge in plan.stage.edges)
    if not any(grades):
        return plan
    maps = (replace(m, weight=m.weight / g) if g else m for m, g in zip(plan.maps, grades, strict=True))
    return replace(plan, maps=tuple(maps), grades=grades)


def _reach(weights: Map) -> float:
    """The largest sum of a neuron's weights, signs left out."""
    return float(np.abs(weights.weight).reshape(len(weights.weight), -1).sum(axis=1).max())


def _expected(plan: Prepared, peaks: Mapping[str, float]) -> float:
    """The largest value of a population that sends values, by range: inputs of the worst signs, ASSUMED of spikes."""
    total = float(np.abs(plan.form.bias).max())
    for edge, weights in zip(plan.stage.edges, plan.maps, strict=True):
        total += _reach(weights) * peaks.get(edge.source, ASSUMED)
    return total * _length(plan.form.kept) * _length(plan.form.current_kept)


def _length(kept: Floats) -> float:
    """Steps of input that a state holds, LONG at the most."""
    return min(LONG, 1 / max(1e-9, 1 - float(kept.max())))


def _beside(plan: Prepared, values: set[str]) -> Prepared:
    """What is left of it without the weights that read values."""
    return replace(plan, grades=tuple(float(edge.source in values) for edge in plan.stage.edges))


def with_bits(network: BlockNetwork, peaks: Mapping[str, int] | None = None) -> BlockNetwork:
    """Messages as long as no reader's sum of them can leave its word; longer values are clipped and counted.

    Args:
        network: with messages of any length.
        peaks: the largest message of each population on calibration frames: then a message is as long as twice that
            needs, and no longer.
    """
    blocks = (b if message_step(b.neuron) is None else _shortened(b, network, peaks) for b in network.blocks)
    return replace(network, blocks=tuple(blocks))


def _shortened(block: Block, network: BlockNetwork, peaks: Mapping[str, int] | None) -> Block:
    most = min(_room_for(reader, block, network) for reader in network.blocks)
    if peaks is not None:
        most = min(most, 2.0 * peaks[block.name])
    bits = int(np.clip(floor(log2(max(1.0, most) + 1)) + 1, 2, 24))
    return replace(block, neuron=replace(block.neuron, bits=bits), message_bits=bits)  # type: ignore[type-var]


def _room_for(reader: Block, sender: Block, network: BlockNetwork) -> float:
    """The largest message that `reader` can take of `sender` from all its synapses at once, whatever else comes."""
    values, spikes, most = 0.0, 0.0, float(WHOLE)
    senders = {block.name for block in network.blocks if message_step(block.neuron) is not None}
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
