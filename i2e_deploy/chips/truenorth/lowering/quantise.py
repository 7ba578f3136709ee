"""Float weights as small integers, each neuron in a unit of its own, and what that loses.

A neuron has four weights, one a type of axon, and each axon one type. So an input line takes an axon for each digit of
its weight: with n positive digits 1, 2, 4, ... and one of -(2^n - 1), a neuron has all weights from -(2^n - 1) to
2^n - 1. One digit is trinary weights. All digits of a neuron are multiplied by a factor of its own, as far as 9 bits
go, so that its threshold and leak are whole numbers, or nearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.lowering.stages import Floats, Stage
from i2e_deploy.text import record_repr

#: Largest weights that 1, 2 and 3 positive digits make, and how many axons an input takes at most.
LEVELS = (1, 3, 7)
#: Widths of the chip's words.
WEIGHT, LEAK, THRESHOLD = 255, 255, 2**18 - 1
#: What float32 rounds: a number that is so near a whole one is one.
NEAR = 2e-6
#: Bits of a unit beside a power of two, so that sums of thousands are exact in float32 (24 bits).
SMALL_BITS = 10
#: Shares of the largest weight that the largest level may stand for, where weights are rounded.
CLIPS = np.linspace(1.0, 0.4, 13)

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Loss:
    """What a layer lost.

    Args:
        levels: its weights are whole numbers from -levels to levels.
        exact: neurons whose weights, threshold, bias and bounds are whole numbers of a unit, which float32 adds up
            without rounding: nothing is lost.
        near: others that are so up to float32's rounding: the float network's own sums are rounded.
        neurons: all.
        weight_error: root mean square of what rounding moved, in % of the weights' own.
        threshold_error, bias_error: largest, in % of the threshold.
    """

    levels: int
    exact: int
    near: int
    neurons: int
    weight_error: float
    threshold_error: float
    bias_error: float

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Quantised:
    """Neurons in integers: all int64 [N], but what is said of each.

    Args:
        rows, lines, units: int64 [n], synapses: neuron, number of the input, weight from -levels to levels.
        factor: of the digits.
        threshold, leak, floor, start: as the chip has them; `floor` -1: none.
        levels: see `LEVELS`.
        loss: what it cost.
    """

    rows: Ints
    lines: Ints
    units: Ints
    factor: Ints
    threshold: Ints
    leak: Ints
    floor: Ints
    start: Ints
    levels: int
    loss: Loss


def quantise(stage: Stage, rows: Ints, lines: Ints, values: Floats, count: int) -> Quantised:
    """Integers of a stage's neurons.

    Args:
        rows, lines, values: its synapses, sorted by row.
        count: of neurons.
    """
    spans = np.searchsorted(rows, np.arange(count + 1))
    unit, whole = _units(values, spans)
    empty = spans[:-1] == spans[1:]
    unit[empty] = stage.neurons.threshold
    units = np.rint(values / unit[rows]).astype(np.int64)
    if not (whole | empty).all():
        unit, units = _rounded(values, rows, spans, unit, units, whole | empty)
    levels = next(level for level in LEVELS if np.abs(units).max(initial=0) <= level)
    factor, exact = _factors(stage, unit, levels, count)
    scale = factor / unit
    threshold, floor, start = _numbers(stage, scale, count)
    leak = np.rint(stage.values.constant * scale).astype(np.int64)
    plain = stage.neurons.reset == "zero" and not stage.values.constant.any() and stage.neurons.start is None
    plain = plain and stage.neurons.min_v is None
    if plain:  # all sums are whole: what is below the next whole number is below it
        exact = np.ones(count, bool)
        threshold = np.ceil(stage.neurons.threshold * scale * (1 - NEAR)).astype(np.int64)
    kept, near = units != 0, exact & (whole | empty)
    small = unit / factor
    exact = near & _adds_exactly(small)
    exact[rows[units * factor[rows] * small[rows] != values]] = False
    exact &= (leak * small == stage.values.constant) & (start * small == _start(stage, count))
    if not plain:
        exact &= threshold * small == stage.neurons.threshold
    loss = _loss(stage, values, units * unit[rows], (threshold, leak, scale), (exact, near), levels)
    return Quantised(rows[kept], lines[kept], units[kept], factor, threshold, leak, floor, start, levels, loss)


def _units(values: Floats, spans: Ints) -> tuple[Floats, NDArray[np.bool_]]:
    """For each neuron the largest unit of which all its weights are a few whole numbers; whether there is one."""
    count = len(spans) - 1
    filled = np.flatnonzero(spans[:-1] < spans[1:])
    unit, found = np.ones(count), np.zeros(count, bool)
    if not len(filled):
        return unit, found
    size, starts = np.abs(values), spans[:-1][filled]
    low, high = np.minimum.reduceat(size, starts), np.maximum.reduceat(size, starts)
    each = np.repeat(np.arange(len(filled)), np.diff(np.append(starts, len(values))))
    for parts in range(1, LEVELS[-1] + 1):
        tried = low / parts
        ratio = size / tried[each]
        off = np.maximum.reduceat(np.abs(ratio - np.rint(ratio)), starts)
        fits = (off <= NEAR * LEVELS[-1]) & (np.rint(high / tried) <= LEVELS[-1]) & ~found[filled]
        unit[filled[fits]], found[filled[fits]] = tried[fits], True
    return unit, found


def _rounded(
    values: Floats, rows: Ints, spans: Ints, unit: Floats, units: Ints, done: NDArray[np.bool_]
) -> tuple[Floats, Ints]:
    """Of the other neurons the unit with the smallest squared error, the largest weights clipped."""
    filled = np.flatnonzero(spans[:-1] < spans[1:])
    starts, top = spans[:-1][filled], LEVELS[-1]
    high, best = np.ones(len(done)), np.full(len(done), np.inf)
    high[filled] = np.maximum.reduceat(np.abs(values), starts)
    for clip in CLIPS:
        tried = high * clip / top
        whole = np.clip(np.rint(values / tried[rows]), -top, top).astype(np.int64)
        error = np.full(len(done), np.inf)
        error[filled] = np.add.reduceat((whole * tried[rows] - values) ** 2, starts)
        better = (error < best) & ~done
        unit, best = np.where(better, tried, unit), np.where(better, error, best)
        units = np.where(better[rows], whole, units)
    return unit, units


def _factors(stage: Stage, unit: Floats, levels: int, count: int) -> tuple[Ints, NDArray[np.bool_]]:
    """For each neuron the smallest factor that makes its numbers whole, else the largest; and whether they are."""
    wanted = [np.full(count, float(stage.neurons.threshold)), stage.values.constant, _start(stage, count)]
    wanted += [] if stage.neurons.min_v is None else [np.full(count, -float(stage.neurons.min_v))]
    numbers = np.stack(wanted) / unit
    with np.errstate(divide="ignore"):
        room = np.minimum(THRESHOLD / numbers[[0, *range(3, len(numbers))]].max(axis=0), LEAK / np.abs(numbers[1]))
    most = np.clip(np.floor(room), 1, WEIGHT // levels).astype(np.int64)
    factor, exact = most.copy(), np.zeros(count, bool)
    for tried in range(1, int(most.max(initial=1)) + 1):
        scaled = numbers * tried
        near = np.abs(scaled - np.rint(scaled)) <= NEAR * np.maximum(1, np.abs(scaled))
        fits = near.all(axis=0) & (tried <= most) & ~exact
        factor[fits], exact[fits] = tried, True
    return factor, exact


def _adds_exactly(unit: Floats) -> NDArray[np.bool_]:
    """Whether float32 holds thousands of a unit: it is a small whole number times a power of two."""
    mantissa = np.ldexp(np.frexp(unit)[0], 53).astype(np.int64)
    return np.asarray(mantissa // (mantissa & -mantissa) <= 2**SMALL_BITS)


def _start(stage: Stage, count: int) -> Floats:
    start = stage.neurons.start
    return np.zeros(count) if start is None else np.broadcast_to(start, stage.shape).reshape(-1).astype(np.float64)


def _numbers(stage: Stage, scale: Floats, count: int) -> tuple[Ints, Ints, Ints]:
    """Threshold, lower bound (-1: none) and start."""
    low = stage.neurons.min_v
    floor = np.full(count, -1) if low is None else np.rint(-low * scale).astype(np.int64)
    threshold = np.maximum(np.rint(stage.neurons.threshold * scale), 1).astype(np.int64)
    return threshold, floor, np.rint(_start(stage, count) * scale).astype(np.int64)


def _loss(
    stage: Stage, values: Floats, kept: Floats, numbers: tuple[Ints, Ints, Floats],
    whole: tuple[NDArray[np.bool_], NDArray[np.bool_]], levels: int,
) -> Loss:  # fmt: skip
    threshold, leak, scale = numbers
    bound = stage.neurons.threshold
    power = float(np.square(values).sum())
    exact, near = whole
    off = np.where(near, 0.0, np.abs(threshold / scale - bound) / bound)
    return Loss(
        levels=levels, exact=int(exact.sum()), near=int((near & ~exact).sum()), neurons=len(exact),
        weight_error=100 * float(np.sqrt(np.square(kept - values).sum() / power)) if power else 0.0,
        threshold_error=100 * float(off.max(initial=0)),
        bias_error=100 * float((np.abs(leak / scale - stage.values.constant) / bound).max(initial=0)),
    )  # fmt: skip
