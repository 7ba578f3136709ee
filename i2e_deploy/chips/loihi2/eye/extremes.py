"""The largest and the smallest grey level of a picture, by a tree of rectified differences.

Synapses add up, so a maximum cannot be read off a sum. But max(a, b) = b + max(0, a - b) and min(a, b) = b - max(0, b -
a): one population holds the rectified difference and b, and the synapses of the next add them. Each level of the tree
halves the picture and takes one step.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from i2e_deploy.chips.loihi2.eye.relay import UNIT, levels
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import Block, Connection, ConvSynapse, conv_shape
from i2e_deploy.network.op import Shape


class Extremes(NamedTuple):
    """A population that holds extremes of parts of the picture, and how its channels make them.

    Args:
        source: its name.
        shape: its shape.
        high, low: int64 [C]: the largest level is `high @ channels`, the smallest `low @ channels`.
        latency: steps from the picture to what it sends.
    """

    source: str
    shape: Shape
    high: Ints
    low: Ints
    latency: int


class _Pairs(NamedTuple):
    """Windows along one axis whose two places cover all of it: both places, the kernel's size, stride and dilation."""

    places: tuple[int, int]
    size: int
    stride: int
    dilation: int


def _pairs(length: int, padded: bool) -> _Pairs:
    """Half as many windows as places, rounded up.

    A padded axis has one place more at either end, which repeats its neighbour: windows begin at the first of the
    picture, and the last may hold the repeated one. Of an odd length the middle is in two windows.
    """
    if padded:
        return _Pairs((1, 2), 3, 2, 1)
    return _Pairs((0, 1), 2, 2, 1) if length % 2 == 0 else _Pairs((0, 1), 2, 1, length // 2)


def extremes_of(source: str, shape: Shape, latency: int) -> tuple[list[Block], Extremes]:
    """The tree over a picture of grey levels.

    Args:
        source: what sends the levels.
        shape: (1, H + 2, W + 2): the picture with its border repeated once.
        latency: steps from the picture to what `source` sends.
    """
    blocks: list[Block] = []
    one = np.ones(1, np.int64)
    found = Extremes(source, shape, one, one, latency)
    for axis in (2, 1):
        padded = True
        while padded or found.shape[axis] > 1:
            block, found = _halved(f"eye extremes {len(blocks) + 1}", found, axis, padded)
            blocks.append(block)
            padded = False
    return blocks, found


def _halved(name: str, of: Extremes, axis: int, padded: bool) -> tuple[Block, Extremes]:
    """One level of the tree: high a - high b, high b, low b - low a, low b; the last only where it is another."""
    pairs, same = _pairs(of.shape[axis], padded), np.array_equal(of.high, of.low)
    nothing = np.zeros_like(of.high)
    first = [of.high, nothing, -of.low, nothing][: 3 if same else 4]
    second = [-of.high, of.high, of.low, of.low][: 3 if same else 4]
    taps = np.zeros((len(first), len(of.high), pairs.size), np.int64)
    taps[:, :, pairs.places[0]], taps[:, :, pairs.places[1]] = first, second
    across = axis == 2
    synapse = ConvSynapse(
        UNIT * (taps[:, :, None, :] if across else taps[..., None]),
        stride=(1, pairs.stride) if across else (pairs.stride, 1),
        dilation=(1, pairs.dilation) if across else (pairs.dilation, 1),
    )
    shape, latency = conv_shape(synapse, of.shape), of.latency + 1
    block = levels(name, shape, [Connection(of.source, synapse)], latency)
    high = np.array([1, 1, 0, 0][: len(first)])
    low = np.array([0, 1, -1] if same else [0, 0, -1, 1])
    return block, Extremes(name, shape, high, low, latency)
