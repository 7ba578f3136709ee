"""I2E as blocks of Loihi 2: pictures in as graded spikes, event frames out; exact, see `conversion.i2e_reference`.

The picture comes in one step. V is the largest of red, green and blue by two rectified differences, sent once. What a
move of the eye is, the difference of two neighbours, are two weights; the synapses of the moves have delays one step
apart, so that one population of two neurons a pixel gives the events of all moves, one move a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.loihi2.eye.extremes import extremes_of
from i2e_deploy.chips.loihi2.eye.relay import LEVEL_BITS, UNIT, detector, levels, pointwise, waits
from i2e_deploy.chips.loihi2.eye.threshold import spreads_of, threshold_blocks
from i2e_deploy.chips.loihi2.program import SOURCE, Block, BlockNetwork, Connection, ConvSynapse, DenseSynapse
from i2e_deploy.conversion.reference import OFF, ON
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.op import Shape

EVENTS = "eye events"
#: Longest delay of a synapse beyond its own step (profile, `delay`).
LONGEST = 62


@dataclass(frozen=True)
class Seeing:
    """The blocks of an eye; the last one gives the events, the first of them `first` steps after the picture."""

    input_shape: Shape
    blocks: tuple[Block, ...]
    first: int


def eye_blocks(eye: Eye) -> Seeing:
    """The eye as blocks.

    Raises:
        UnsupportedError: more steps than the delays of synapses can tell apart.
    """
    channels, height, width = eye.shape
    given = (channels, height + 2, width + 2)
    blocks, value, shown = _value(given)
    first = shown + 1
    threshold: list[Block] = []
    if spreads_of(eye.ratio) and height * width > 1:  # else the threshold is 0 for every picture
        tree, extremes = extremes_of(value, (1, *given[1:]), shown)
        threshold = threshold_blocks(extremes, eye.ratio, eye.steps)
        blocks += [*tree, *threshold]
        first = threshold[-1].latency + 1
    longest = first + eye.steps - 1 - shown - 1
    if longest > LONGEST:
        raise UnsupportedError(
            f"the eye makes {eye.steps} steps of a picture of {height} x {width}, whose last waits {longest} steps in "
            f"a synapse, at most {LONGEST}: make {eye.steps - longest + LONGEST} steps, or fewer"
        )
    moves = [
        Connection(value, _move(int(minus), int(plus), first + t - shown - 1))
        for t, (minus, plus) in enumerate(eye.kernels)
    ]
    if threshold:
        moves.append(Connection(threshold[-1].name, DenseSynapse(np.full((2 * height * width, 1), -UNIT, np.int64))))
    blocks.append(Block(EVENTS, detector(), (2, height, width), tuple(moves), latency=first))
    return Seeing(given, tuple(blocks), first)


def eye_network(eye: Eye) -> BlockNetwork:
    """The eye alone: its output are the events."""
    seeing = eye_blocks(eye)
    return BlockNetwork(
        seeing.input_shape, seeing.blocks, LEVEL_BITS, deciding=Deciding("count", lag=seeing.first), eye=eye
    )


def _value(shape: Shape) -> tuple[list[Block], str, int]:
    """Blocks that make V, the name of what sends it, and how many steps after the picture."""
    if shape[0] == 1:
        return [], SOURCE, 0
    plane = (1, *shape[1:])
    red = levels("eye red over green", plane, [pointwise(SOURCE, [1, -1, 0])], 1)
    both = [pointwise(red.name, [1]), pointwise(SOURCE, [0, 1, -1], 1)]
    over = levels("eye red or green over blue", plane, both, 2)
    value = levels("eye value", plane, [pointwise(over.name, [1]), pointwise(SOURCE, [0, 0, 1], 2)], 3)
    return [red, over, value], value.name, 3


def _move(minus: int, plus: int, delay: int) -> ConvSynapse:
    """A move of the eye: for ON the level at cell `plus` minus that at cell `minus`, for OFF the opposite."""
    weight = np.zeros((2, 1, 9), np.int64)
    weight[ON, 0, plus] += UNIT
    weight[ON, 0, minus] -= UNIT
    weight[OFF] = -weight[ON]
    return ConvSynapse(weight.reshape(2, 1, 3, 3), delay=waits(delay, 2))
