"""Pooling of a netx `.net` file as a convolution of one group a channel, as SLAYER computes it."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.op import Pair


def pooling(weight: Ints, given: tuple[int, int, int], stride: Pair, padding: Pair, dilation: Pair) -> b.ConvSynapse:
    """The synapses of a pooling layer.

    SLAYER (slayer/synapse/layer.py, Pool.forward) adds `size % kernel` rows and columns of zeros below and to the
    right, then stacks all channels on top of each other and pools the stack. That is pooling channel by channel only
    where each channel holds a whole number of windows, one below the other.

    Args:
        weight: [kH, kW].
        given: (C, H, W) of the input.
        stride, padding, dilation: (vertical, horizontal).

    Raises:
        UnsupportedError: windows that SLAYER lays across two channels, or that no symmetric padding expresses.
    """
    channels, height, width = given
    more = (height % weight.shape[0], width % weight.shape[1])
    reach = dilation[0] * (weight.shape[0] - 1) + 1
    if channels > 1 and (padding[0] or (height + more[0]) % stride[0] or reach > stride[0]):
        raise UnsupportedError(
            f"pooling {height} rows by {weight.shape[0]} with stride {stride[0]}, padding {padding[0]} and dilation "
            f"{dilation[0]}: SLAYER stacks the channels, so that windows cover the end of one and the start of the "
            "next; choose a kernel that divides the rows, stride = kernel, no padding; or a convolution in groups"
        )
    if any(more) and (padding != (0, 0) or dilation != (1, 1)):
        raise UnsupportedError(
            f"pooling {height}x{width} by {weight.shape[0]}x{weight.shape[1]} with padding or dilation: SLAYER pads "
            "the lower and right edge alone, which no convolution here does; choose a kernel that divides the sizes"
        )
    # Zeros on one side: padding on both, and as many taps of zero ahead of the window, which leave the upper edge out.
    kernel = np.pad(weight, ((more[0], 0), (more[1], 0)))
    sides = (padding[0] + more[0], padding[1] + more[1])
    return b.ConvSynapse(np.repeat(kernel[None, None], channels, axis=0), stride, sides, dilation, channels)
