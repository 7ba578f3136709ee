"""The integers of one stage at a given scale, and the scales to choose from.

A scale says how many integer steps one unit of the voltage has; where there are thresholds it is a whole number, which
makes the threshold exact. A weight is an even number in [-256, 254], which is 8 bits with a sign on the chip and
what netx and Lava keep as it is; decays have 12 bits, a bias 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.lowering.forms import Form, beyond_standard, form_of, standard
from i2e_deploy.chips.loihi2.lowering.graded import GRADED, VALUES, Carried, Integrating, Rectified
from i2e_deploy.chips.loihi2.lowering.maps import Floats, Map, scaled_rows
from i2e_deploy.chips.loihi2.lowering.schedule import LATENCY, steps_of
from i2e_deploy.chips.loihi2.lowering.stages import Edge, Stage
from i2e_deploy.chips.loihi2.neuron import Ints, Reset
from i2e_deploy.chips.loihi2.program import NEVER, Block, Connection, ConvSynapse, CubaLif, DenseSynapse
from i2e_deploy.chips.loihi2.programmable import LARGEST, UNBOUNDED, ProgrammableLif
from i2e_deploy.chips.loihi2.relay import WHOLE, Relay
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.op import Shape
from i2e_deploy.text import record_repr

WEIGHT_LOW, WEIGHT_HIGH, BIAS_HIGH = -256, 254, 4095
#: Longest delay of a synapse beyond its own step (profile, `delay`).
DELAY_HIGH = 62
#: Bits of a voltage below one step of a weight.
VOLTAGE_BITS = 6
#: A message of several spikes: so many bits, the sign included.
MESSAGE_BITS = 16
#: A reset this often is one reset, when the first input can arrive.
ONCE = 2**30
#: Weights that a scale is chosen on, at most.
SAMPLED = 2**16
#: Scales from the largest down to half of it: so many.
SCALES = 64


@dataclass(frozen=True, eq=False)
class Prepared:
    """A stage in units of its voltage, ready to be rounded.

    Args:
        stage: of the float network.
        form: of its neurons as they are lowered.
        maps: of its edges.
        steps: from a spike to its arrival, an edge.
        sources: names of the blocks that feed it, an edge.
        latency: steps that it is late.
        needs: what only a programmable neuron does, in words.
        forced: what was asked to be left out, for the standard neuron.
        start: step t = 1, 2, ... before which nothing may have moved its voltage; None: nothing could.
        grades: of its edges: steps of a message for one unit of the value that it carries, 0: spikes. The maps are for
            one step of a message; empty: all are spikes.
        scale, shift: of a population that sends values, see `messages`.
        most: the largest scale at which what it reads of values fits its words.
    """

    stage: Stage
    form: Form
    maps: tuple[Map, ...]
    steps: tuple[int, ...]
    sources: tuple[str, ...]
    latency: int
    needs: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    start: int | None = None
    grades: tuple[float, ...] = ()
    scale: float | None = None
    shift: int = 0
    most: float = float("inf")

    __repr__ = record_repr


def prepare(
    stage: Stage, late_by: dict[str, int], sources: tuple[str, ...], shapes: dict[str, Shape], only_standard: bool
) -> Prepared:
    """What `block_at` rounds.

    Args:
        stage: with neurons, or an accumulator.
        late_by: see `schedule`.
        sources: names of the blocks that its edges come from.
        shapes: of the float layers (and the input) that feed it.
        only_standard: no programmable neurons: the closest form.

    Raises:
        UnsupportedError: no neuron of the chip is like that, or a delay is too long; the message begins with what.
    """
    form = form_of(stage)
    if isinstance(stage.neurons, GRADED) and only_standard:
        raise UnsupportedError(
            "sends values, which no standard neuron does: allow programmable ones (leave out --standard), or train a "
            "network whose layers send spikes"
        )
    if isinstance(stage.neurons, Integrating):
        _check_integrator(stage, form)
    needs: list[str] = [*beyond_standard(form), *_by_place(form, stage)]
    needs += ["sends its potential"] if isinstance(stage.neurons, Integrating) else []
    forced: tuple[str, ...] = ()
    if only_standard and needs:
        form, forced = standard(form), tuple(needs)
        if left := [*beyond_standard(form), *_by_place(form, stage)]:
            raise UnsupportedError(f"needs a programmable neuron: {', '.join(left)}")
        needs = []
    maps = tuple(scaled_rows(e.map, form.gain, stage.shape, shapes[e.source]) for e in stage.edges if e.map is not None)
    steps = tuple(steps_of(stage, edge, late_by) for edge in stage.edges)
    for edge, taken in zip(stage.edges, steps, strict=True):
        longest = taken - LATENCY + sum(int(x.max()) for x in (edge.rows, edge.columns) if x is not None)
        if longest > DELAY_HIGH:
            raise UnsupportedError(
                f"waits {longest} steps for {edge.source!r}, at most {DELAY_HIGH}: shorten the delays, or the longer "
                "of the branches that meet here"
            )
    return Prepared(stage, form, maps, steps, sources, late_by[stage.layer], tuple(needs), forced)


def block_at(of: Prepared, scale: float, lower_threshold: bool = False) -> Block:
    """The integers at a scale; what does not fit its word is clipped.

    Args:
        of: the stage.
        scale: integer steps of one unit of the voltage.
        lower_threshold: the standard neuron fires above its threshold: one step less, for neurons that fire at it.
    """
    connections = tuple(
        Connection(source, _synapse(weights, scale, steps - LATENCY, edge, of.stage.shape))
        for source, weights, steps, edge in zip(of.sources, of.maps, of.steps, of.stage.edges, strict=True)
    )
    bias = np.rint(of.form.bias * scale).astype(np.int64).clip(-BIAS_HIGH, BIAS_HIGH)
    neuron: CubaLif | ProgrammableLif | Relay
    if isinstance(of.stage.neurons, VALUES):
        neuron, bits = _carrying(of), 24
        bias = bias + (1 << of.shift >> 1)  # the shift rounds down: to the nearest with half a step
    else:
        neuron = _programmable(of, scale) if of.needs else _standard(of, scale, lower_threshold)
        bits = MESSAGE_BITS if isinstance(neuron, ProgrammableLif) and neuron.sends_values else 0
        if isinstance(of.stage.neurons, Integrating) and isinstance(neuron, ProgrammableLif):
            neuron, bits = replace(neuron, sends="voltage", shift=VOLTAGE_BITS + of.shift), 24
    if of.start is not None and of.start > 1 and not isinstance(neuron, Relay):
        neuron = replace(neuron, reset=Reset(ONCE, of.start))
    return Block(
        of.stage.name, neuron, of.stage.shape, connections, compact(bias, of.stage.shape, 1) if bias.any() else None,
        bits, of.latency,
    )  # fmt: skip


def _check_integrator(stage: Stage, form: Form) -> None:
    """What a potential that goes on cannot be."""
    if np.any(form.origin):
        raise UnsupportedError(
            "sends potentials that start elsewhere than at 0: start it at 0, with a bias if it rests"
        )
    if any(edge.source == stage.layer for edge in stage.edges):
        raise UnsupportedError(
            "feeds its own potential back: only spikes go round; put the feedback into its decay, or let it fire"
        )


def fires_at_threshold(of: Prepared) -> bool:
    """Whether a standard neuron must fire at its threshold, and not only above it."""
    return of.form.threshold is not None and not of.form.strict and not of.needs


def scales(of: Prepared) -> list[float]:
    """Scales within which nothing is clipped, the largest first; whole ones where there are thresholds.

    Where values are read: those at which the largest weight of each of them is an even number.
    """
    if of.scale is not None:
        return [of.scale]
    if any(of.grades):
        most = min(room_of(of), of.most)
        units = [float(np.abs(m.weight).max()) for m, g in zip(of.maps, of.grades, strict=True) if g]
        steps = {k / unit for unit in units if unit for k in range(2, WEIGHT_HIGH + 1, 2)}
        return sorted((s for s in steps if s <= most * (1 + 1e-9)), reverse=True) or [min(steps)]
    form, weights = of.form, _spike_weights(of)
    most, largest = room_of(of), float(np.abs(weights).max(initial=0))
    found = [even / largest for even in range(256, 256 - 2 * SCALES - 1, -2)] if largest else [most]
    if form.threshold is not None:
        found = [float(round(scale)) for scale in found]
    found = [scale for scale in found if 0 < scale <= most * (1 + 1e-9)]
    if not found:
        found = [most] if form.threshold is None else [max(1.0, float(np.floor(most)))]
    return sorted(set(found), reverse=True)


def _spike_weights(of: Prepared) -> Floats:
    """Weights of the edges that bring spikes, flat."""
    grades = of.grades or (0.0,) * len(of.maps)
    return np.concatenate([np.zeros(0), *(m.weight.reshape(-1) for m, g in zip(of.maps, grades, strict=True) if not g)])


def room_of(of: Prepared) -> float:
    """The largest scale at which weights of spikes, bias and thresholds fit their words."""
    form, weights = of.form, _spike_weights(of)
    words: list[tuple[Floats | None, float]] = [
        (form.bias, BIAS_HIGH), (form.threshold, LARGEST), (form.value, LARGEST), (form.lowest, LARGEST),
        (form.adaptation_step, LARGEST), (weights.clip(0), WEIGHT_HIGH), ((-weights).clip(0), -WEIGHT_LOW),
    ]  # fmt: skip
    return min(
        (limit / float(np.abs(x).max()) for x, limit in words if x is not None and np.abs(x).any()), default=LARGEST
    )


def best_scale(of: Prepared) -> float:
    """The scale at which weights, bias and thresholds are rounded least; exact where one of `scales` is."""
    error, found = rounding(of), scales(of)
    if of.grades and all(of.grades):  # more steps than its messages have say nothing more, and fill its words
        found = found[::-1]
    return min(found, key=error)


def rounding(of: Prepared) -> Callable[[float], float]:
    """How much weights, bias and thresholds are rounded at a scale."""
    weights, worth = all_weights(of, SAMPLED)
    weights, worth = weights[weights != 0], worth[weights != 0]

    def error(scale: float) -> float:
        found = float(np.square((rounded(weights, scale) / scale - weights) * worth).mean()) if weights.size else 0.0
        for values in (of.form.bias, of.form.threshold):
            if values is not None:
                found += float(np.square(np.rint(values * scale) / scale - values).mean())
        return float(f"{found:.6g}") if found > 1e-24 else 0.0  # the last bits of float64 decide nothing

    return error


def all_weights(of: Prepared, most: int = 2**62) -> tuple[Floats, Floats]:
    """Weights (of each edge about `most`), flat; and of each how many steps of a message are one unit, of spikes 1."""
    grades = of.grades or (0.0,) * len(of.maps)
    parts = [m.weight.reshape(-1)[:: 1 + m.weight.size // most] for m in of.maps]
    worth = [np.full(part.size, grade or 1.0) for part, grade in zip(parts, grades, strict=True)]
    return np.concatenate(parts), np.concatenate(worth)


def rounded(weights: Floats, scale: float) -> Ints:
    """Even integers that fit a weight's word."""
    integers: Ints = (2 * np.rint(weights * (scale / 2))).clip(WEIGHT_LOW, WEIGHT_HIGH).astype(np.int64)
    return integers


def lost_of(kept: Floats) -> Ints:
    """Of 4096 parts, how many a state loses in a step."""
    lost: Ints = np.rint((1 - kept) * 4096).astype(np.int64)
    return lost


def compact(values: NDArray[Any], shape: Shape, least: int = 0) -> NDArray[Any]:
    """[N] as [1], [C] or [N], what says it all; `least` 1: not as [1]."""
    if not least and (values == values[0]).all():
        return np.ascontiguousarray(values[:1])
    each = values.reshape(shape[0], -1)
    return np.ascontiguousarray(each[:, 0] if (each == each[:, :1]).all() else values)


def _by_place(form: Form, stage: Stage) -> list[str]:
    """Decays that differ within a channel."""
    sizes = [compact(lost_of(kept), stage.shape).size for kept in (form.kept, form.current_kept)]
    return ["decays of single neurons of an image"] if max(sizes) > stage.shape[0] else []


def _synapse(weights: Map, scale: float, wait: int, edge: Edge, shape: Shape) -> DenseSynapse | ConvSynapse:
    integers = rounded(weights.weight, scale)
    rows = np.zeros(int(np.prod(shape)), np.int64) if edge.rows is None else edge.rows
    if weights.dense:
        delay = np.broadcast_to(wait + rows[:, None], integers.shape).copy()
        delay = delay if edge.columns is None else delay + edge.columns[None, :]
        return DenseSynapse(integers, delay if delay.any() else None)
    each = (wait + rows).reshape(shape[0], -1)[:, 0]
    delays = each if each.any() else None
    return ConvSynapse(integers, weights.stride, weights.padding, weights.dilation, weights.groups, delays)


def _carrying(of: Prepared) -> Relay:
    if isinstance(of.stage.neurons, Carried):
        return Relay(of.shift)
    assert isinstance(of.stage.neurons, Rectified)
    highest = np.where(of.stage.neurons.open.reshape(-1) > 0, WHOLE, 0)
    return Relay(of.shift, lowest=np.zeros(1, np.int64), highest=compact(highest, of.stage.shape))


def _standard(of: Prepared, scale: float, lower: bool) -> CubaLif:
    form = of.form
    threshold = NEVER if form.threshold is None else max(0, round(float(form.threshold[0]) * scale) - int(lower))
    return CubaLif(
        compact(lost_of(form.current_kept), of.stage.shape), compact(lost_of(form.kept), of.stage.shape), threshold
    )


def _programmable(of: Prepared, scale: float) -> ProgrammableLif:
    form, shape = of.form, of.stage.shape

    def word(values: Floats | None) -> Ints:
        found = np.zeros(1) if values is None else values
        integers: Ints = np.rint(found * scale).clip(-LARGEST, LARGEST).astype(np.int64)
        return compact(integers, shape) if integers.size > 1 else integers

    threshold = np.array([NEVER]) if form.threshold is None else word(form.threshold)
    adapts = np.zeros(1, np.int64) if form.adaptation_kept is None else compact(lost_of(form.adaptation_kept), shape)
    return ProgrammableLif(
        current_decay=compact(lost_of(form.current_kept), shape), voltage_decay=compact(lost_of(form.kept), shape),
        threshold=np.maximum(threshold, 1),
        after_spike="set" if form.after in ("zero", "value") else form.after,  # type: ignore[arg-type]
        reset_value=word(form.value if form.after in ("value", "amount") else None),
        reset_step="next" if form.late_reset else "same",
        max_spikes="any" if form.max_spikes is None else form.max_spikes, fires=">" if form.strict else ">=",
        lowest=np.full(1, UNBOUNDED) if form.lowest is None else word(form.lowest),
        adaptation_decay=adapts, adaptation_step=word(form.adaptation_step),
    )  # fmt: skip
