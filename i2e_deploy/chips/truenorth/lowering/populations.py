"""Populations of neurons as the chip will have them: integers, and what each synapse asks of axons.

A neuron whose synapses need more axons than a core has is given its sum in parts, where that is asked for (`split`).
The neurons of a part fire in the tick itself and forget: number k of them where the part is k at least (all zero
potential, leak -k, threshold 0, below which the potential goes back to 0), as many again for what is below zero. The
sum of what they send is the part, as long as it is not beyond the last k: so it is exact where k reaches the largest
part that there can be, and else held at the last k.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.lowering.quantise import LEVELS, Ints, Quantised
from i2e_deploy.chips.truenorth.program import AXONS, SUBTRACT, TO_VALUE, TYPES

#: The lower bound of neurons without one: potentials stay there, far below.
DEEPEST = 2**18 - 1


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons that are put on cores together.

    Args:
        layer: number of its stage.
        rows, lines, digits: int64 [n]: neuron `rows[i]` has a synapse with an axon of type `digits[i]` that input
            `lines[i]` drives; sorted by row.
        sources: by number of a line's source (`line // 2^32`) the population, -1 the input, and its delay in steps.
        weight: int64 [N, 4].
        numbers: int64 [N] by field of `Cores`.
        order: int64 [N], the order in which neurons are put on cores.
        latency: ticks by which it is later than the float network.
    """

    layer: int
    rows: Ints
    lines: Ints
    digits: Ints
    sources: tuple[tuple[int, int], ...]
    weight: Ints
    numbers: dict[str, Ints]
    order: Ints
    latency: int = 0

    @property
    def size(self) -> int:
        """Neurons, without copies."""
        return len(self.weight)


@dataclass(frozen=True)
class Parts:
    """What is known of a layer whose sums are given in parts.

    Args:
        neurons: that get theirs so.
        parts: of a neuron, at most.
        reach: parts are held within -reach to reach, in units of the weights.
        largest: that a part can be.
    """

    neurons: int = 0
    parts: int = 0
    reach: int = 0
    largest: int = 0

    @property
    def exact(self) -> bool:
        """Whether no part can be beyond what is handed on."""
        return self.reach >= self.largest


@dataclass
class _Made:
    """Neurons of parts, as they are made."""

    rows: list[Ints] = field(default_factory=list)
    lines: list[Ints] = field(default_factory=list)
    units: list[Ints] = field(default_factory=list)
    leak: list[int] = field(default_factory=list)


def spread(units: Ints, levels: int) -> tuple[Ints, Ints]:
    """Digits of weights: index of the weight, and type of the axon, int64 [n] each, sorted by index."""
    count = LEVELS.index(levels) + 1
    low = np.where(units < 0, units + levels, units)
    bits = np.stack([(low >> k) & 1 for k in range(count)] + [units < 0], axis=1)
    index, digit = np.nonzero(bits)
    return index, digit


def digit_weights(levels: int) -> Ints:
    """What a type of axon adds, times a neuron's factor: int64 [4]."""
    count = LEVELS.index(levels) + 1
    return np.array([*(2**k for k in range(count)), -levels, *[0] * (TYPES - 1 - count)])


def axons_needed(found: Quantised, count: int) -> Ints:
    """Of each neuron alone, int64 [N]."""
    index, _ = spread(found.units, found.levels)
    return np.bincount(found.rows[index], minlength=count)


def whole(layer: int, found: Quantised, sources: tuple[tuple[int, int], ...], order: Ints, reset: str) -> Population:
    """The neurons of a stage, each with all its synapses."""
    index, digit = spread(found.units, found.levels)
    weight = found.factor[:, None] * digit_weights(found.levels)[None]
    none = found.floor < 0
    numbers = {
        "threshold": found.threshold, "leak": found.leak, "floor": np.where(none, DEEPEST, found.floor),
        "saturate": np.ones_like(found.leak), "start": found.start,
        "reset": np.full_like(found.leak, SUBTRACT if reset == "subtract" else TO_VALUE),
    }  # fmt: skip
    return Population(layer, found.rows[index], found.lines[index], digit, sources, weight, numbers, order)


def in_parts(
    layer: int, found: Quantised, sources: tuple[tuple[int, int], ...], order: Ints, reset: str, number: int
) -> tuple[Population, Population, Parts]:
    """The neurons of the parts, those that add them up, and what that loses.

    Args:
        number: that the population of the parts will have.
    """
    count = len(found.factor)
    large = axons_needed(found, count) > AXONS
    made, lines, owners, signs = _Made(), [], [], []
    parts = reach = largest = 0
    small = ~large[found.rows]
    for neuron in np.flatnonzero(large):
        mine = found.rows == neuron
        groups = _groups(found.units[mine], found.levels)
        most = max(1, AXONS // (2 * len(groups)))
        for group in groups:
            units, own = found.units[mine][group], found.lines[mine][group]
            for sign in (1, -1):
                top = int((units * sign).clip(min=0).sum())
                last = min(top, most)
                reach, largest = (max(reach, last), max(largest, top))
                for k in range(1, last + 1):
                    lines.append(len(made.leak))
                    owners.append(int(neuron))
                    signs.append(sign)
                    made.rows.append(np.full(len(own), len(made.leak)))
                    made.lines.append(own)
                    made.units.append(units * sign)
                    made.leak.append(-k)
        parts = max(parts, len(groups))
    relays = _relays(layer, made, found.levels, sources)
    shift = len(sources) << 32
    index, digit = spread(found.units[small], found.levels)
    rest = _of_small(found, large)
    given = (
        np.concatenate([found.rows[small][index], np.array(owners, np.int64)]),
        np.concatenate([found.lines[small][index], np.array(lines, np.int64) + shift]),
        np.concatenate([digit, np.where(np.array(signs) > 0, 0, 1)]),
    )
    by_row = np.lexsort((given[1], given[0]))
    final = whole(layer, rest, (*sources, (number, 0)), order, reset)
    final = replace(final, rows=given[0][by_row], lines=given[1][by_row], digits=given[2][by_row])
    return relays, _two_signs(final, found, large), Parts(int(large.sum()), parts, reach, largest)


def _of_small(found: Quantised, large: NDArray[np.bool_]) -> Quantised:
    """Without the synapses of neurons that get their sums in parts."""
    kept = ~large[found.rows]
    return replace(found, rows=found.rows[kept], lines=found.lines[kept], units=found.units[kept])


def _two_signs(final: Population, found: Quantised, large: NDArray[np.bool_]) -> Population:
    """Neurons of parts add 1 and -1 of their unit; the types of the others stay."""
    weight = final.weight.copy()
    weight[large] = found.factor[large, None] * digit_weights(1)[None]
    return replace(final, weight=weight)


def _groups(units: Ints, levels: int) -> list[Ints]:
    """Synapses in parts of at most a core's axons, in order."""
    needed = np.bincount(spread(units, levels)[0], minlength=len(units))
    filled = np.cumsum(needed)
    groups, start, used = [], 0, 0
    for place in range(len(units)):
        if filled[place] - used > AXONS:
            groups.append(np.arange(start, place))
            start, used = place, int(filled[place - 1])
    return [*groups, np.arange(start, len(units))]


def _relays(layer: int, made: _Made, levels: int, sources: tuple[tuple[int, int], ...]) -> Population:
    units = np.concatenate(made.units)
    index, digit = spread(units, levels)
    rows, lines = np.concatenate(made.rows)[index], np.concatenate(made.lines)[index]
    count = len(made.leak)
    zero = np.zeros(count, np.int64)
    numbers = {
        "threshold": zero, "leak": np.array(made.leak), "floor": zero, "saturate": zero, "start": zero,
        "reset": np.full(count, TO_VALUE),
    }  # fmt: skip
    weight = np.repeat(digit_weights(levels)[None], count, axis=0)
    return Population(layer, rows, lines, digit, sources, weight, numbers, np.arange(count))
