"""Put the neurons of a population on cores, each as often as it has axons to drive.

A core has 256 axons and 256 neurons. Neurons are taken in an order in which neighbours share inputs (of images a Z
curve over the places, all channels of a group at each), and a core is filled until the next one does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i2e_deploy.chips.truenorth.lowering.populations import Population
from i2e_deploy.chips.truenorth.lowering.quantise import Ints
from i2e_deploy.chips.truenorth.program import AXONS, NEURONS, TYPES
from i2e_deploy.network.op import Shape


@dataclass(frozen=True, eq=False)
class CorePart:
    """One core.

    Args:
        neurons: int64 [n], of the population, copies as often as they are there.
        keys: int64 [m], of its axons: line * 4 + type.
    """

    neurons: Ints
    keys: Ints


def z_order(shape: Shape, groups: int) -> Ints:
    """Numbers of the values of an image (C, H, W) group by group, place by place; of other shapes as they are."""
    size = int(np.prod(shape))
    if len(shape) != 3:
        return np.arange(size)
    channels, height, width = shape
    channel, y, x = np.unravel_index(np.arange(size), shape)
    z = np.zeros(size, np.int64)
    for bit in range(max(height, width).bit_length()):
        z |= ((x >> bit) & 1) << (2 * bit) | ((y >> bit) & 1) << (2 * bit + 1)
    return np.asarray(np.lexsort((channel, z, channel // max(1, channels // groups))))


def partition(population: Population, copies: Ints) -> list[CorePart]:
    """Its cores.

    Args:
        copies: int64 [N], >= 1: of each neuron.
    """
    keys = population.lines * TYPES + population.digits
    spans = np.searchsorted(population.rows, np.arange(population.size + 1))
    made: list[CorePart] = []
    held: list[int] = []
    axons: dict[int, None] = {}
    for neuron in population.order:
        mine = keys[spans[neuron] : spans[neuron + 1]].tolist()
        left = int(copies[neuron])
        while left:
            new = [key for key in mine if key not in axons]
            free = NEURONS - len(held)
            if held and (not free or len(axons) + len(new) > AXONS):
                made.append(_part(held, axons))
                held, axons = [], {}
                continue
            axons |= dict.fromkeys(new)
            taken = min(left, free)
            held += [int(neuron)] * taken
            left -= taken
    return [*made, _part(held, axons)] if held else made


def _part(held: list[int], axons: dict[int, None]) -> CorePart:
    return CorePart(np.array(held), np.array(sorted(axons), np.int64))
