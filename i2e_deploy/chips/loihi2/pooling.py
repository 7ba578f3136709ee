"""Max pooling of spikes as a population of standard neurons.

Synapses add up, so the largest of several values cannot be read off their sum. For spikes without a value the largest
is 1 if any came, and a neuron without memory that fires above 0 says so: an exact maximum, one step later.
"""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2.program import Block, Connection, ConvSynapse, CubaLif, conv_shape
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.op import Pair, Shape


def max_pool_block(
    name: str, source: str, shape: Shape, bits: int, kernel: Pair, stride: Pair, padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Block:  # fmt: skip
    """A block that fires where a spike came from its window in the step before.

    Args:
        name: of the block.
        source, shape, bits: what is pooled, its shape (C, H, W), and its message bits (`BlockNetwork.bits`).
        kernel, stride, padding, dilation: (vertical, horizontal). Windows that begin beyond the edge are left out.

    Raises:
        UnsupportedError: messages carry values.
        InputError: no image, or no window fits.
    """
    if bits:
        raise UnsupportedError(
            f"layer {name!r} pools the maximum of {source!r}, whose messages carry values ({bits} bits): synapses add "
            "up, so the largest is lost. Let it send one spike a step without a value, or use average pooling"
        )
    if len(shape) != 3:
        raise InputError(f"layer {name!r} pools {source!r} of shape {shape}: pooling takes (C, H, W)")
    channels, always = shape[0], np.array([4096])
    synapse = ConvSynapse(np.ones((channels, 1, *kernel), np.int64), stride, padding, dilation, channels)
    pooled = conv_shape(synapse, shape)
    if min(pooled) < 1:
        raise InputError(f"layer {name!r}: no window of {kernel} fits on {shape} with padding {padding}")
    return Block(name, CubaLif(always, always, 0), pooled, (Connection(source, synapse),))
