"""Cores with their crossbars, and every spike's way: the integers of a program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.truenorth.lowering.partition import CorePart, partition
from i2e_deploy.chips.truenorth.lowering.populations import Population
from i2e_deploy.chips.truenorth.lowering.quantise import Ints
from i2e_deploy.chips.truenorth.program import (
    AXONS,
    NEURONS,
    TYPES,
    CoreNetwork,
    Cores,
    Layer,
    empty_cores,
)
from i2e_deploy.network.op import Shape

_LINE = (1 << 32) - 1


@dataclass(frozen=True, eq=False)
class Wiring:
    """All populations on cores.

    Args:
        parts: of every population, its cores.
        copies: of every population, int64 [N].
        first: of every population, the number of its first core.
    """

    parts: tuple[list[CorePart], ...]
    copies: tuple[Ints, ...]
    first: tuple[int, ...]

    @property
    def cores(self) -> int:
        """All cores."""
        return sum(map(len, self.parts))


def place_all(populations: list[Population]) -> Wiring:
    """Cores of all populations, the last one first: what a neuron drives says how often it is needed."""
    needed = [np.zeros(population.size, np.int64) for population in populations]
    parts: list[list[CorePart]] = [[] for _ in populations]
    for number in range(len(populations) - 1, -1, -1):
        population = populations[number]
        parts[number] = partition(population, np.maximum(needed[number], 1))
        for part in parts[number]:
            for source, _, line in _drivers(population, part.keys):
                if source >= 0:
                    needed[source][line] += 1
    first = np.concatenate([[0], np.cumsum([len(part) for part in parts])[:-1]]).astype(int).tolist()
    return Wiring(tuple(parts), tuple(np.maximum(count, 1) for count in needed), tuple(first))


def _drivers(population: Population, keys: Ints) -> list[tuple[int, int, int]]:
    """Of each axon: population that drives it (-1: the input), delay in steps, and number of its neuron."""
    lines = keys // TYPES
    return [(*population.sources[line >> 32], line & _LINE) for line in lines.tolist()]


def delay_of(populations: list[Population], population: Population, source: int, late: int) -> int:
    """Ticks of a spike from a source, so that what belongs together arrives together."""
    return population.latency + late - (populations[source].latency if source >= 0 else 0)


def build(populations: list[Population], wiring: Wiring, layers: list[tuple[str, Shape]], input_shape: Shape,
          deciding: Deciding) -> CoreNetwork:  # fmt: skip
    """The program; `layers` are name and shape of every layer, the last population of each stands for it."""
    cores = empty_cores(wiring.cores)
    places: list[list[list[int]]] = []
    for population, parts, first in zip(populations, wiring.parts, wiring.first, strict=True):
        places.append(_fill(cores, population, parts, first))
    taken = [np.zeros(population.size, np.int64) for population in populations]
    given: list[tuple[int, int, int]] = []
    for population, parts, first in zip(populations, wiring.parts, wiring.first, strict=True):
        for core, part in enumerate(parts, first):
            for axon, (source, late, line) in enumerate(_drivers(population, part.keys)):
                delay = delay_of(populations, population, source, late)
                if source < 0:
                    given.append((line, core * AXONS + axon, delay))
                    continue
                place = places[source][line][taken[source][line]]
                taken[source][line] += 1
                cores.target[place // NEURONS, place % NEURONS] = core * AXONS + axon
                cores.delay[place // NEURONS, place % NEURONS] = delay
    lines = np.array(sorted(given), np.int64).reshape(-1, 3)
    return CoreNetwork(
        input_shape=input_shape,
        cores=cores,
        layers=_layers(populations, wiring, places, layers),
        input_line=lines[:, 0].astype(np.int32),
        input_axon=lines[:, 1].astype(np.int32),
        input_delay=lines[:, 2].astype(np.uint8),
        deciding=deciding,
    )


def _fill(cores: Cores, population: Population, parts: list[CorePart], first: int) -> list[list[int]]:
    """Write a population's neurons; the places of each, core * 256 + neuron."""
    keys = population.lines * TYPES + population.digits
    spans = np.searchsorted(population.rows, np.arange(population.size + 1))
    places: list[list[int]] = [[] for _ in range(population.size)]
    for core, part in enumerate(parts, first):
        count = len(part.neurons)
        cores.sizes[core] = count
        cores.axon_type[core, : len(part.keys)] = part.keys % TYPES
        bits = np.zeros((AXONS, NEURONS), bool)
        for slot, neuron in enumerate(part.neurons.tolist()):
            bits[np.searchsorted(part.keys, keys[spans[neuron] : spans[neuron + 1]]), slot] = True
            places[neuron].append(core * NEURONS + slot)
        cores.crossbar[core] = np.packbits(bits, axis=1, bitorder="little")
        cores.weight[core, :count] = population.weight[part.neurons]
        for name, values in population.numbers.items():
            getattr(cores, name)[core, :count] = values[part.neurons]
    return places


def _layers(
    populations: list[Population], wiring: Wiring, places: list[list[list[int]]], layers: list[tuple[str, Shape]]
) -> tuple[Layer, ...]:
    found = []
    for number, (name, shape) in enumerate(layers):
        own = [i for i, population in enumerate(populations) if population.layer == number]
        last = own[-1]
        neurons = np.array([place[0] for place in places[last]], np.int32)
        end = wiring.first[last] + len(wiring.parts[last])
        found.append(Layer(name, shape, wiring.first[own[0]], end, neurons, populations[last].latency))
    return tuple(found)
