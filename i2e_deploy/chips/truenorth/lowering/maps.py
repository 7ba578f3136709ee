"""Linear maps between populations, as lists of what is not zero: a crossbar has synapses, not kernels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.layers import Linear, Scale
from i2e_deploy.network.op import Shape
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.text import record_repr

#: Layers that are a linear map (and perhaps a constant).
Weights = Conv1d | Conv2d | Linear | Pool2d | Scale
#: Synapses of a map, at most: a chip has 268,435,456, and each input of a neuron takes one at least.
MOST_ENTRIES = 2**26


@dataclass(frozen=True, eq=False)
class Map:
    """Output `rows[i]` gets `values[i]` times input `columns[i]`; each pair once, sorted by row, then by column.

    Args:
        rows, columns: int64 [n].
        values: float64 [n], not 0.
        shape: (outputs, inputs).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]
    shape: tuple[int, int]

    __repr__ = record_repr


def make_map(rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64],
             shape: tuple[int, int]) -> Map:  # fmt: skip
    """Of entries in any order; those of one pair are added up."""
    keys, place = np.unique(rows * shape[1] + columns, return_inverse=True)
    total = np.bincount(place.reshape(-1), weights=values, minlength=len(keys))
    keys, total = keys[total != 0], total[total != 0]
    return Map(keys // shape[1], keys % shape[1], total, shape)


def identity(size: int) -> Map:
    """Each value to its own place."""
    each = np.arange(size)
    return Map(each, each, np.ones(size), (size, size))


def summed(one: Map, other: Map) -> Map:
    """The sum of two maps of one shape."""
    parts = [np.concatenate(pair) for pair in zip(_entries(one), _entries(other), strict=True)]
    return make_map(parts[0], parts[1], parts[2], one.shape)


def moved(given: Map, first: int, outputs: int) -> Map:
    """Its outputs as numbers `first` on of so many."""
    return Map(given.rows + first, given.columns, given.values, (outputs, given.shape[1]))


def after(outer: Map, inner: Map) -> Map:
    """`outer` of what `inner` gives.

    Raises:
        UnsupportedError: too many synapses.
    """
    starts = np.searchsorted(inner.rows, np.arange(inner.shape[0] + 1))
    lengths = np.diff(starts)[outer.columns]
    _refuse_many(int(lengths.sum()))
    rows = np.repeat(outer.rows, lengths)
    offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(starts[outer.columns], lengths) + offsets
    values = np.repeat(outer.values, lengths) * inner.values[places]
    return make_map(rows, inner.columns[places], values, (outer.shape[0], inner.shape[1]))


def map_of(op: Weights, given: Shape, made: Shape) -> Map:
    """The map of a layer without its bias.

    Raises:
        UnsupportedError: too many synapses.
    """
    shape = (prod(made), prod(given))
    if isinstance(op, Linear):
        _refuse_many(np.count_nonzero(op.weight))
        rows, columns = np.nonzero(op.weight)
        return make_map(rows, columns, op.weight[rows, columns].astype(np.float64), shape)
    if isinstance(op, Scale):
        each = np.arange(shape[1])
        return make_map(each, each, np.broadcast_to(op.weight, given).reshape(-1).astype(np.float64), shape)
    if isinstance(op, Pool2d):
        size = prod(op.kernel)
        weight = np.full((given[0], 1, *op.kernel), 1.0 if op.kind == "sum" else 1 / size)
        return _convolution(weight, given[0], given, made, op.kernel, (0, 0), (1, 1))
    if isinstance(op, Conv1d):
        line = (given[0], 1, given[1]), (made[0], 1, made[1])
        weight = op.weight[:, :, None].astype(np.float64)
        return _convolution(weight, op.groups, *line, (1, op.stride), (0, op.padding), (1, op.dilation))
    return _convolution(op.weight.astype(np.float64), op.groups, given, made, op.stride, op.padding, op.dilation)


def _convolution(
    weight: NDArray[np.float64], groups: int, given: Shape, made: Shape, stride: tuple[int, int],
    padding: tuple[int, int], dilation: tuple[int, int],
) -> Map:  # fmt: skip
    """Weights [C_out, C_in / groups, kH, kW] on (C, H, W)."""
    out, inside, *kernel = np.nonzero(weight)
    _refuse_many(len(out) * made[1] * made[2])
    inside = inside + (out // (weight.shape[0] // groups)) * weight.shape[1]
    places = []
    for axis in (0, 1):
        position = np.arange(made[axis + 1])[None] * stride[axis] - padding[axis]
        places.append(position + kernel[axis][:, None] * dilation[axis])  # [n, h] and [n, w]
    y, x = np.broadcast_arrays(places[0][:, :, None], places[1][:, None, :])
    there = (y >= 0) & (y < given[1]) & (x >= 0) & (x < given[2])
    entry, row, column = np.nonzero(there)
    rows = (out[entry] * made[1] + row) * made[2] + column
    columns = (inside[entry] * given[1] + y[there]) * given[2] + x[there]
    return make_map(rows, columns, weight[np.nonzero(weight)][entry], (prod(made), prod(given)))


def _entries(given: Map) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    return given.rows, given.columns, given.values


def _refuse_many(count: int) -> None:
    if count > MOST_ENTRIES:
        raise UnsupportedError(
            f"has {count:,} synapses, at most {MOST_ENTRIES:,}: use fewer channels or larger strides"
        )
