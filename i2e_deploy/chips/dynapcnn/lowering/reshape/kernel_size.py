"""A smaller kernel: a square part of it, with the padding adapted so that every kept weight meets the same pixel.

So the layer computes what it did with the other weights at zero. With stride 1 only the middle of the kernel leaves
the output its size; a larger stride may leave a choice, then the part with the largest sum of absolute weights is
taken.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import edited, layer_of, weights_of
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Conv2d, Network
from i2e_deploy.network.op import Pair


def sides(network: Network, name: str) -> tuple[int, ...]:
    """Sides that a smaller, square kernel of the layer may have, ascending; none for a linear layer."""
    op = weights_of(network, name)
    if not isinstance(op, Conv2d) or op.dilation != (1, 1):
        return ()
    smallest, largest = min(op.weight.shape[2:]), max(op.weight.shape[2:])
    return tuple(k for k in range(1, smallest + 1) if k < largest and _starts(network, name, op, k))


def crop_kernel(network: Network, name: str, side: int) -> Network:
    """The network with a kernel of `side` x `side` in a convolution.

    Raises:
        UnsupportedError: no part of that size leaves the output its size.
    """
    op = weights_of(network, name)
    if side not in sides(network, name):
        raise UnsupportedError(
            f"layer {name!r} cannot have a {side}x{side} kernel: the padding cannot be adapted so that the output "
            f"keeps its size; possible: {', '.join(map(str, sides(network, name))) or 'none'}"
        )
    assert isinstance(op, Conv2d)
    norms = np.abs(op.weight.astype(np.float64)).sum(axis=(0, 1))
    top, left = max(_starts(network, name, op, side), key=lambda at: _part(norms, at, side).sum())
    padding = (op.padding[0] - top, op.padding[1] - left)
    weight = np.ascontiguousarray(op.weight[:, :, top : top + side, left : left + side])
    return edited(network, {name: replace(op, weight=weight, padding=padding)})


def _starts(network: Network, name: str, op: Conv2d, side: int) -> list[Pair]:
    """(top, left) of the parts that leave the output its size, the most central first."""
    _, *size = network.shapes()[layer_of(network, name).inputs[0]]

    def along(axis: int) -> list[int]:
        n, whole, pad, step = size[axis], op.weight.shape[2 + axis], op.padding[axis], op.stride[axis]
        middle, made = (whole - side) / 2, (n + 2 * pad - whole) // step
        possible = range(min(whole - side, pad) + 1)
        fit = [at for at in possible if (n + 2 * (pad - at) - side) // step == made]
        return sorted(fit, key=lambda at: abs(at - middle))

    return list(product(along(0), along(1)))


def _part(norms: NDArray[np.float64], at: Pair, side: int) -> NDArray[np.float64]:
    return norms[at[0] : at[0] + side, at[1] : at[1] + side]
