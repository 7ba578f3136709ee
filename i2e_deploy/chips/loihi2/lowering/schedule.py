"""The steps of the pipeline: when each block does what its float layer does, and which delays its synapses need.

In the float network a layer sees in a step what the layer before gave in that step; on the chip every synapse takes a
step. So a block is some steps late, as many as there are synapses on the longest way to it, and on shorter ways the
synapses wait. Delays of the float network, and the current that a neuron integrates a step later, are taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from i2e_deploy.chips.loihi2.lowering.stages import ALWAYS, Edge, Stage
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.neurons import LeakyIntegrateAndFire
from i2e_deploy.network.op import Shape
from i2e_deploy.text import counted

#: Steps that a synapse takes.
LATENCY = 1


def late(stage: Stage) -> int:
    """Steps by which its neurons see what arrives later than they say: 1 where they integrate the current before."""
    neurons = stage.neurons
    return int(isinstance(neurons, LeakyIntegrateAndFire) and neurons.current_decay is not None and neurons.old_current)


def schedule(stages: Sequence[Stage]) -> dict[str, int]:
    """By float layer and `"input"`: how many steps later than the float network its block works, the least possible.

    Raises:
        UnsupportedError: a loop has fewer steps of delay than synapses, or goes through a block after this one.
    """
    found = {INPUT: 0, ALWAYS: 0}
    for stage in stages:
        for edge in stage.edges:
            if edge.source not in found and edge.source != stage.layer:
                raise UnsupportedError(
                    f"layer {stage.name!r} is fed back from {edge.source!r}, which comes after it: a block takes "
                    "feedback from itself alone; feed the layer back to itself, or train without this loop"
                )
        ways = [edge for edge in stage.edges if edge.source not in (stage.layer, ALWAYS)]
        found[stage.layer] = max([0, *(found[e.source] + LATENCY - e.delay - late(stage) for e in ways)])
    for stage in stages:
        for edge in stage.edges:
            if steps_of(stage, edge, found) < LATENCY:
                raise UnsupportedError(
                    f"layer {stage.name!r} feeds itself within a step: its loop needs a delay of one step"
                )
    return found


def steps_of(stage: Stage, edge: Edge, late_by: Mapping[str, int]) -> int:
    """Steps from a spike to its arrival, on this edge."""
    if edge.source == ALWAYS:
        return LATENCY
    return late_by[stage.layer] - late_by[edge.source] + edge.delay + late(stage)


def waiting(stages: Sequence[Stage], late_by: Mapping[str, int], given: Shape) -> str:
    """How branches that meet are brought into step, in a sentence, and what the other way would cost; "": none wait.

    Args:
        stages, late_by: see `schedule`.
        given: shape of the input.
    """
    sizes = {INPUT: prod(given), **{stage.layer: prod(stage.shape) for stage in stages}}
    waits: dict[str, int] = {}  # of each source the longest: one chain of relays would serve all its readers
    layers = set()
    for stage in stages:
        for edge in stage.edges:
            wait = steps_of(stage, edge, late_by) - LATENCY - edge.delay
            if wait > 0 and edge.source in sizes and edge.source != stage.layer:
                waits[edge.source] = max(wait, waits.get(edge.source, 0))
                layers.add(stage.layer)
    if not waits:
        return ""
    longest, chains = counted(max(waits.values()), "step"), counted(sum(waits.values()), "population")
    neurons = sum(steps * sizes[source] for source, steps in waits.items())
    return (
        f"shorter branches wait for longer ones by delays of their synapses, up to {longest} in "
        f"{counted(len(layers), 'layer')}; relays in their place would be {chains} of {neurons:,} neurons in all"
    )
