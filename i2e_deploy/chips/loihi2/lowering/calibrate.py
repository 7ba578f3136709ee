"""Scales that are chosen on frames: of a few, the one whose spikes come closest to the float layer's.

Layers are done in order, each on the spikes of the integers before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.frames import check_frames
from i2e_deploy.chips.loihi2.lowering.messages import Scaling
from i2e_deploy.chips.loihi2.lowering.quantise import MESSAGE_BITS, Prepared, block_at, fires_at_threshold
from i2e_deploy.chips.loihi2.lowering.stages import Stage
from i2e_deploy.chips.loihi2.program import Block, BlockNetwork, never_fires
from i2e_deploy.chips.loihi2.relay import message_step
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network.graph import Network
from i2e_deploy.network.op import Shape
from i2e_deploy.text import record_repr

#: Scales that are tried, as factors of the one by range: larger ones clip the largest weights.
FACTORS = (1.0, 1.15, 1.35, 1.6, 2.0)
#: The same of layers that do not fire: smaller ones leave room for what adds up.
ROOM = (1.0, 1.35, 0.5, 0.25, 0.125)


@dataclass(frozen=True, eq=False)
class Target:
    """What integers should come close to.

    Args:
        frames: integers [B, T, ...] in the shape of the program.
        spikes: of the float layers of all stages, [B, T, N], by the name of the stage.
    """

    frames: Integers
    spikes: dict[str, NDArray[np.floating[Any]]]

    __repr__ = record_repr

    @classmethod
    def of(cls, network: Network, stages: tuple[Stage, ...], frames: Integers) -> Target:
        """The float run on calibration frames, in float64.

        Raises:
            InputError: frames that are none of the network's.
        """
        check_frames(frames, network.input_shape)
        found = network.run(frames, dtype="float64", keep=[stage.layer for stage in stages])
        return cls(frames, {s.name: found.layers[s.layer].reshape(*frames.shape[:2], -1) for s in stages})

    def peaks(self, stages: tuple[Stage, ...]) -> dict[str, float]:
        """The largest magnitude that each float layer gives, by its name."""
        return {s.layer: float(np.abs(self.spikes[s.name]).max(initial=0)) for s in stages}

    def padded(self, latency: int) -> Integers:
        """The frames, flat, with so many empty steps after them."""
        flat = self.frames.reshape(*self.frames.shape[:2], -1).astype(np.int64)
        return np.pad(flat, ((0, 0), (0, latency), (0, 0)))


def choose(
    plan: Prepared, by_range: tuple[float, bool], before: BlockNetwork | None, shape: Shape, target: Target
) -> tuple[float, bool]:
    """Scale, and whether the threshold is one step lower (see `block_at`)."""
    scale, lowered = by_range
    lowers = (lowered, not lowered) if fires_at_threshold(plan) and plan.form.leaks else (lowered,)
    best: tuple[float, tuple[float, bool]] | None = None
    for factor in FACTORS if plan.form.threshold is not None else ROOM:
        tried = _near(plan, scale, factor)
        for low in lowers:
            distance = _distance(plan, block_at(plan, tried, low), tried, before, shape, target)
            if best is None or distance < best[0]:
                best = distance, (tried, low)
    assert best is not None
    return best[1]


def choose_value(
    plan: Prepared, scaling: Scaling, before: BlockNetwork | None, shape: Shape, target: Target
) -> Prepared:
    """Of a population that sends values: the scale at which its messages come closest to the float sums.

    A larger scale than the one by range clips the largest weights and rounds the others less.
    """
    plans = _tried(plan, scaling)
    distances = [_distance(each, _value_block(each), _scale(each), before, shape, target) for each in plans]
    return plans[int(np.argmin(distances))]


def value_like(plan: Prepared, scaling: Scaling, block: Block) -> Prepared:
    """At the scale that gives this block, of those that `choose_value` tries; by range where none does."""
    return next((each for each in _tried(plan, scaling) if same_values(_value_block(each), block)), plan)


def same_values(one: Block, other: Block) -> bool:
    """Whether two populations send the same values, up to the bits of their messages."""
    step = message_step(one.neuron)
    if step is None or type(one.neuron) is not type(other.neuron):
        return False
    weights = [[c.synapse.weight for c in block.connections if c.synapse is not None] for block in (one, other)]
    biases = [np.zeros(1, np.int64) if block.bias is None else block.bias for block in (one, other)]
    return (
        step == message_step(other.neuron)
        and len(weights[0]) == len(weights[1])
        and all(np.array_equal(*pair) for pair in (*zip(*weights, strict=True), biases))
    )


def _tried(plan: Prepared, scaling: Scaling) -> list[Prepared]:
    """By range first."""
    scales = {_near(plan, _scale(plan), factor): None for factor in FACTORS}
    return [plan, *(scaling.at(plan, scale) for scale in scales if scale != plan.scale)]


def _scale(plan: Prepared) -> float:
    assert plan.scale is not None
    return plan.scale


def _value_block(plan: Prepared) -> Block:
    return block_at(plan, _scale(plan))


def peaks_of(network: BlockNetwork, target: Target) -> dict[str, int]:
    """The largest message of each population that sends values, on calibration frames."""
    from i2e_deploy.chips.loihi2.engine.run import run  # numba, at first use

    trace = run(network, target.padded(max(block.latency for block in network.blocks)))
    senders = (block.name for block in network.blocks if message_step(block.neuron) is not None)
    return {name: int(np.abs(trace.spikes[name]).max(initial=0)) for name in senders}


def _near(plan: Prepared, scale: float, factor: float) -> float:
    """A scale times a factor; where values are read one at which their weights stay even."""
    if any(plan.grades):
        unit = max(float(np.abs(m.weight).max()) for m, g in zip(plan.maps, plan.grades, strict=True) if g)
        return max(2.0, 2 * round(scale * factor * unit / 2)) / unit
    whole = plan.form.threshold is not None or plan.scale is not None
    return float(round(scale * factor)) if whole else scale * factor


def _distance(
    plan: Prepared, block: Block, scale: float, before: BlockNetwork | None, shape: Shape, target: Target
) -> float:
    """Spikes that differ; squares of what values differ, or at the end the potential of a layer that sends none."""
    blocks = (*(() if before is None else before.blocks), block)
    from i2e_deploy.chips.loihi2.engine.run import run  # numba, at first use

    trace = run(BlockNetwork(shape, blocks, MESSAGE_BITS), target.padded(block.latency))
    wanted = target.spikes[block.name]
    if not never_fires(block):
        sent = trace.spikes[block.name].reshape(len(wanted), trace.output.shape[1], -1)[:, block.latency :]
        if (step := message_step(block.neuron)) is not None:
            return float(np.square(sent * (step / scale) - wanted).sum())
        return float(np.abs(sent - wanted).sum())
    ended = trace.states[block.name]["v"].reshape(len(wanted), -1) / (64 * scale)
    return float(np.square(ended + plan.form.origin - held_at_the_end(plan, wanted)).sum())


def held_at_the_end(plan: Prepared, given: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The potential at the end, [B, N], by what the float layer gave, [B, T, N]: of an accumulator the sum."""
    return given.sum(axis=1) if plan.stage.neurons is None else given[:, -1]
