"""The threshold of a picture, floor(S_th0 * (max V - min V)), by standard neurons and no multiplication.

It is a whole number of grey levels, and it grows by one at known spreads: with S_th0 = p / q it is the number of k = 1,
2, ... with spread >= ceil(k q / p). One neuron for each k fires from its spread on; how many fire is the threshold. So
it is exact for every ratio of `conversion.as_ratio`, and no word is wider than 11 bits.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from i2e_deploy.chips.loihi2.eye.extremes import Extremes
from i2e_deploy.chips.loihi2.eye.relay import LEVEL_BITS, LEVELS, UNIT, detector, relay
from i2e_deploy.chips.loihi2.program import Block, Connection, DenseSynapse
from i2e_deploy.conversion.threshold import grey_threshold


def spreads_of(ratio: Fraction) -> list[int]:
    """The spreads, 1 to 255, at which the threshold grows by one, in order."""
    largest = grey_threshold(ratio, LEVELS - 1)
    return [-(-k * ratio.denominator // ratio.numerator) for k in range(1, largest + 1)]


def threshold_blocks(of: Extremes, ratio: Fraction, steps: int) -> list[Block]:
    """The neurons that count, and one that sends the threshold in each of `steps` steps; none where it is always 0.

    Args:
        of: the extremes of the whole picture, shape (C, 1, 1).
    """
    spreads = np.array(spreads_of(ratio), np.int64)
    if not len(spreads):
        return []
    spread = np.tile(UNIT * (of.high - of.low), (len(spreads), 1))
    latency = of.latency + 1
    counting = Block(
        "eye spread", detector(), (len(spreads),), (Connection(of.source, DenseSynapse(spread)),),
        bias=1 - UNIT * spreads, latency=latency,
    )  # fmt: skip
    ones = np.full((1, len(spreads)), UNIT, np.int64)
    again = tuple(
        Connection(counting.name, DenseSynapse(ones, np.full_like(ones, t) if t else None)) for t in range(steps)
    )
    sum_of_them = Block("eye threshold", relay(), (1,), again, message_bits=LEVEL_BITS, latency=latency + 1)
    return [counting, sum_of_them]
