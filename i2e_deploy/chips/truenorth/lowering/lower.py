"""A float network as a program of cores, with what each layer took and lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.truenorth.lowering.partition import z_order
from i2e_deploy.chips.truenorth.lowering.populations import DEEPEST, Parts, Population, axons_needed, in_parts, whole
from i2e_deploy.chips.truenorth.lowering.quantise import LEAK, THRESHOLD, Loss, Quantised, quantise
from i2e_deploy.chips.truenorth.lowering.stages import Stage, arrange
from i2e_deploy.chips.truenorth.lowering.wire import build, delay_of, place_all
from i2e_deploy.chips.truenorth.program import AXONS, HIGH, MAX_DELAY, CoreNetwork
from i2e_deploy.network.graph import INPUT, Network


@dataclass(frozen=True, eq=False)
class Made:
    """What was made of one layer.

    Args:
        name: of the layer.
        loss: on the way to integers.
        axons: that its neuron with most synapses needs.
        parts: of its sums.
        numbers: the largest threshold, leak and lower bound, and delay of a spike to it.
        warm_up: ticks before its first step, and neurons that would not come through them unchanged.
    """

    name: str
    loss: Loss
    axons: int
    parts: Parts
    numbers: dict[str, int]
    warm_up: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network on its way to cores.

    Args:
        problems: (layer, text) of what has no counterpart; then there is nothing else.
        made: of every layer.
        network: the program; None where a layer does not fit.
        several: layers whose neurons send several spikes in a step in the float network.
    """

    problems: tuple[tuple[str, str], ...]
    made: tuple[Made, ...] = ()
    network: CoreNetwork | None = None
    several: tuple[str, ...] = ()


def lower(network: Network, split: bool = False, closest: bool = False) -> Lowered:
    """The program where the network fits, and what to say of it.

    Args:
        split: sums that need more axons than a core has are given in parts.
        closest: see `stages.arrange`.
    """
    stages, problems = arrange(network, closest)
    if problems:
        return Lowered(problems)
    populations: list[Population] = []
    standing: dict[str, int] = {INPUT: -1}
    made = []
    for number, stage in enumerate(stages):
        made.append(_add(stage, number, populations, standing, split))
    if any(item.axons > AXONS and not item.parts.neurons for item in made) or _beyond(made):
        return Lowered((), tuple(made), several=_several(network, stages))
    wiring = place_all(populations)
    layers = [(stage.name, stage.shape) for stage in stages]
    deciding = Deciding(lag=populations[-1].latency)
    program = build(populations, wiring, layers, network.input_shape, deciding)
    return Lowered((), tuple(made), program, _several(network, stages))


def _add(stage: Stage, number: int, populations: list[Population], standing: dict[str, int], split: bool) -> Made:
    """Make the populations of a stage."""
    count = int(np.prod(stage.shape))
    keys = list(stage.values.maps)
    sources = tuple((standing[name], late) for name, late in keys)
    maps = [stage.values.maps[key] for key in keys]
    rows = np.concatenate([m.rows for m in maps])
    lines = np.concatenate([m.columns + (i << 32) for i, m in enumerate(maps)])
    values = np.concatenate([m.values for m in maps])
    by_row = np.lexsort((lines, rows))
    found = quantise(stage, rows[by_row], lines[by_row], values[by_row], count)
    axons = int(axons_needed(found, count).max(initial=0))
    order, reset, parts = z_order(stage.shape, stage.groups), stage.neurons.reset, Parts()
    if axons > AXONS and split:
        relays, own, parts = in_parts(number, found, sources, order, reset, len(populations))
        relays = replace(relays, latency=_latency(populations, sources))
        populations.append(relays)
        small = _latency(populations, sources)
        own = replace(own, latency=max(relays.latency + 1, small))
    else:
        own = whole(number, found, sources, order, reset)
        own = replace(own, latency=_latency(populations, sources))
    started, broken = _warmed(own, found)
    populations.append(started)
    standing[stage.layer] = len(populations) - 1
    delays = [delay_of(populations, own, source, late) for source, late in own.sources]
    numbers = {
        "threshold": int(found.threshold.max()), "leak": int(np.abs(found.leak).max()),
        "floor": int(found.floor.max()), "delay": max(delays),
    }  # fmt: skip
    return Made(stage.name, found.loss, axons, parts, numbers, (own.latency, broken))


def _latency(populations: list[Population], sources: tuple[tuple[int, int], ...]) -> int:
    """The first tick in which all that it needs has arrived."""
    return max(0, *(populations[s].latency + 1 - late if s >= 0 else -late for s, late in sources))


def _warmed(population: Population, found: Quantised) -> tuple[Population, int]:
    """Potentials that the leak has brought to their start when the first step comes; and how many neurons do not come
    there: they would fire or meet their lower bound on the way."""
    late, leak, start = population.latency, found.leak, found.start
    before = start - late * leak
    floor = np.where(found.floor < 0, DEEPEST, found.floor)
    ways = np.stack([before + leak, start]) if late else np.stack([start, start])
    broken = (ways >= np.maximum(found.threshold, 1)).any(axis=0) | (ways < -floor).any(axis=0)
    broken = (broken & (late > 0)) | (np.abs(before) > HIGH)
    return replace(population, numbers=population.numbers | {"start": before}), int(broken.sum())


def _beyond(made: list[Made]) -> bool:
    """Whether a number does not fit its word."""
    return any(
        item.numbers["threshold"] > THRESHOLD or item.numbers["leak"] > LEAK or item.numbers["floor"] > DEEPEST
        or item.numbers["delay"] > MAX_DELAY or item.warm_up[1]
        for item in made
    )  # fmt: skip


def _several(network: Network, stages: tuple[Stage, ...]) -> tuple[str, ...]:
    ops = {layer.name: layer.op for layer in network.layers}
    return tuple(stage.name for stage in stages if getattr(ops[stage.layer], "max_spikes", 1) != 1)
