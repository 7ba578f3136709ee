"""Linear maps between populations: the layers without neurons on a way, composed into one synapse's weights.

A map is built backwards, from the neurons that it feeds to what feeds it. It stays a convolution where the layers allow
it (pooling and scales fold into the kernel), else it is written out as a matrix. All in float64.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.layers import Flatten, Linear, Reshape, Scale
from i2e_deploy.network.op import Op, Pair, Shape
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.text import record_repr

Floats = NDArray[np.float64]
#: Weights of a convolution written out as a matrix, at most.
MOST_WEIGHTS = 2**24


@dataclass(frozen=True, eq=False)
class Map:
    """A linear map.

    Args:
        weight: [out, in], or of a convolution [C_out, C_in / groups, kH, kW].
        stride, padding, dilation, groups: of a convolution.
    """

    weight: Floats
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    __repr__ = record_repr

    @property
    def dense(self) -> bool:
        """Whether it is written out as a matrix."""
        return self.weight.ndim == 2


def block_shape(shape: Shape) -> Shape:
    """Shape of a population: images (C, H, W), rows (C, L) as images of height 1, all else flat."""
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return shape if len(shape) in (1, 3) else (prod(shape),)


def identity(shape: Shape) -> Map:
    """Each value to its own place; of an image one kernel of 1x1 a channel."""
    if len(block_shape(shape)) == 3:
        return Map(np.ones((shape[0], 1, 1, 1)), groups=shape[0])
    return Map(np.eye(_checked(prod(shape), prod(shape))))


def before(outer: Map | None, op: Op, given: Shape, made: Shape) -> Map | None:
    """`outer` after `op`; None is the identity.

    Args:
        given, made: shapes of what `op` takes and gives.

    Raises:
        UnsupportedError: written out it has too many weights; the message begins with what it does.
    """
    if isinstance(op, Flatten | Reshape):
        same = block_shape(given) == block_shape(made)
        return outer if outer is None or outer.dense or same else as_matrix(outer, made)
    if outer is None:
        return _alone(op, given)
    if not outer.dense:
        folded = _folded(outer, op, given)
        if folded is not None:
            return folded
        outer = as_matrix(outer, made)
    if isinstance(op, Linear):
        return Map(outer.weight @ op.weight.astype(np.float64))
    if isinstance(op, Scale):
        return Map(outer.weight * np.broadcast_to(op.weight.astype(np.float64), given).reshape(-1))
    inner = _alone(op, given)
    assert inner is not None
    _checked(len(outer.weight), prod(given))
    return Map(_transposed(outer.weight.reshape(-1, *block_shape(made)), inner, block_shape(given)))


def as_matrix(of: Map, given: Shape) -> Map:
    """Written out as [out, in]; `given`: shape of what it takes."""
    if of.dense:
        return of
    taken = block_shape(given)
    out = image_out(of, taken)
    rows = _checked(prod(out), prod(taken))
    return Map(_transposed(np.eye(rows).reshape(rows, *out), of, taken))


def image_out(of: Map, given: Shape) -> Shape:
    """Shape (C, H, W) that a convolution makes of (C, H, W)."""
    window = zip(given[1:], of.weight.shape[2:], of.stride, of.padding, of.dilation, strict=True)
    return (of.weight.shape[0], *((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in window))


def split(of: Map, shapes: list[Shape]) -> list[Map]:
    """The parts of a map that takes inputs side by side along the first axis, a part an input."""
    if of.dense:
        edges = np.cumsum([prod(shape) for shape in shapes])[:-1]
        return [Map(part) for part in np.split(of.weight, edges, axis=1)]
    edges = np.cumsum([shape[0] for shape in shapes])[:-1]
    whole = _one_group(of)
    return [replace(whole, weight=part) for part in np.split(whole.weight, edges, axis=1)]


def scaled_rows(of: Map, factors: Floats, made: Shape, given: Shape) -> Map:
    """Each output times its factor: [N], C outermost; a convolution stays one where channels have one factor."""
    each = factors.reshape(made[0], -1)
    if not of.dense and (each == each[:, :1]).all():
        return replace(of, weight=of.weight * each[:, :1, None, None])
    return Map(as_matrix(of, given).weight * factors[:, None])


def _alone(op: Op, given: Shape) -> Map | None:
    """One layer as a map."""
    if isinstance(op, Linear):
        return Map(op.weight.astype(np.float64))
    if isinstance(op, Conv2d):
        return Map(op.weight.astype(np.float64), op.stride, op.padding, op.dilation, op.groups)
    if isinstance(op, Conv1d):
        weight = op.weight.astype(np.float64)[:, :, None]
        return Map(weight, (1, op.stride), (0, op.padding), (1, op.dilation), op.groups)
    if isinstance(op, Pool2d):
        weight = np.full((given[0], 1, *op.kernel), 1.0 if op.kind == "sum" else 1 / prod(op.kernel))
        return Map(weight, op.kernel, groups=given[0])
    assert isinstance(op, Scale)
    factors = np.broadcast_to(op.weight.astype(np.float64), given).reshape(-1)
    return scaled_rows(identity(given), factors, block_shape(given), given)


def _folded(outer: Map, op: Op, given: Shape) -> Map | None:
    """A convolution after pooling or a scale as one convolution; None where it is none."""
    if isinstance(op, Scale):
        each = np.broadcast_to(op.weight.astype(np.float64), given).reshape(given[0], -1)
        if not (each == each[:, :1]).all():
            return None
        per_group = outer.weight.shape[1]
        channels = each[:, 0].reshape(outer.groups, per_group)
        factors = np.repeat(channels, outer.weight.shape[0] // outer.groups, axis=0)
        return replace(outer, weight=outer.weight * factors[:, :, None, None])
    if not isinstance(op, Pool2d):
        return None
    (py, px), whole = op.kernel, not any(n % k for n, k in zip(given[1:], op.kernel, strict=True))
    if outer.dilation != (1, 1) or not (whole or outer.padding == (0, 0)):
        return None  # the padding would lie on the rest that pooling drops
    factor = 1.0 if op.kind == "sum" else 1 / (py * px)
    return Map(
        np.kron(outer.weight, np.ones((py, px))) * factor, (outer.stride[0] * py, outer.stride[1] * px),
        (outer.padding[0] * py, outer.padding[1] * px), groups=outer.groups,
    )  # fmt: skip


def _one_group(of: Map) -> Map:
    """The same convolution in one group, with zeros where there were groups."""
    if of.groups == 1:
        return of
    out, inside, *kernel = of.weight.shape
    weight = np.zeros((out, inside * of.groups, *kernel))
    for group in range(of.groups):
        rows = slice(group * out // of.groups, (group + 1) * out // of.groups)
        weight[rows, group * inside : (group + 1) * inside] = of.weight[rows]
    return replace(of, weight=weight, groups=1)


def _transposed(rows: Floats, of: Map, given: Shape) -> Floats:
    """Rows of a matrix on what a convolution makes, [out, C, H, W], as rows on what it takes: [out, N]."""
    import torch
    from torch.nn.functional import conv_transpose2d

    with torch.no_grad():
        back = conv_transpose2d(
            torch.from_numpy(np.ascontiguousarray(rows)), torch.from_numpy(of.weight), None, of.stride, 0, 0,
            of.groups, of.dilation,
        ).numpy()  # fmt: skip
    (top, left), (height, width) = of.padding, given[1:]
    short = (max(0, top + height - back.shape[2]), max(0, left + width - back.shape[3]))  # pixels that nothing reads
    full = np.pad(back, ((0, 0), (0, 0), (0, short[0]), (0, short[1])))
    return np.asarray(full[:, :, top : top + height, left : left + width].reshape(len(rows), -1))


def _checked(out: int, inside: int) -> int:
    if out * inside > MOST_WEIGHTS:
        raise UnsupportedError(
            f"becomes a matrix of {out} x {inside} weights, at most {MOST_WEIGHTS}: put neurons between these layers"
        )
    return out
