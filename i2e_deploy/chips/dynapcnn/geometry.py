"""How events reach neurons, as tables, and weights laid out so that an event adds contiguous runs.

States are stored [y][x][lane], features padded to a multiple of 8 lanes. The neurons of one row that an event
reaches are one contiguous run there; weights are stored so that theirs is too: [c][ky][phase][tap][lane], where an
event whose padded column is `xx` has phase `xx % stride`, and its taps lie by rising output column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, Pair

#: Features are padded to a multiple of this.
LANES = 8
Table = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Axis:
    """For each coordinate of a source: first and last output position (last < first: none), and the kernel index.

    `tap` is ky for rows; for columns it is the position in the weights' [phase][tap] of the first output column.
    """

    first: Table
    last: Table
    tap: Table


@dataclass(frozen=True, eq=False)
class Geometry:
    """Tables of one edge (source to core)."""

    rows: Axis
    columns: Axis
    taps: int
    feature_shift: int


def padded_features(layer: CoreLayer) -> int:
    """Lanes of one pixel."""
    return -(-layer.output_shape[0] // LANES) * LANES


def row_axis(layer: CoreLayer, size: int, pool: int, keep_outside: bool) -> Axis:
    """Rows of a source of height `size`, pooled by `pool` on the way."""
    position, first, last = _reach(layer, 0, size, pool, keep_outside)
    return Axis(first, last, (position - layer.stride[0] * first).astype(np.int32))


def column_axis(layer: CoreLayer, size: int, pool: int, keep_outside: bool) -> Axis:
    """Columns of a source of width `size`."""
    position, first, last = _reach(layer, 1, size, pool, keep_outside)
    stride, taps = layer.stride[1], row_taps(layer)
    tap = position % stride * taps + first - (position // stride - taps + 1)
    return Axis(first, last, tap.astype(np.int32))


def row_taps(layer: CoreLayer) -> int:
    """Taps of one phase: ceil(kernel width / stride)."""
    return -(-layer.weight.shape[3] // layer.stride[1])


def _reach(layer: CoreLayer, axis: int, size: int, pool: int, keep_outside: bool) -> tuple[Table, Table, Table]:
    """Padded position, first and last output index for every source coordinate: o with 0 <= pos - stride * o < k."""
    kernel, stride = layer.weight.shape[2 + axis], layer.stride[axis]
    coordinate = np.arange(size, dtype=np.int32)
    position = (coordinate // pool + layer.padding[axis]).astype(np.int32)
    first = np.maximum(0, -((kernel - 1 - position) // stride)).astype(np.int32)
    last = np.minimum(layer.output_shape[1 + axis] - 1, position // stride).astype(np.int32)
    if not keep_outside:
        last[size // pool * pool :] = -1
    return position, first, last


def lay_out_weights(layer: CoreLayer, dtype: Any) -> NDArray[Any]:
    """Flat [c][ky][phase][tap][lane]; taps that a phase lacks are zero and never reached."""
    features, channels, kh, kw = layer.weight.shape
    stride, taps = layer.stride[1], row_taps(layer)
    laid = np.zeros((channels, kh, stride, taps, padded_features(layer)), dtype)
    for kx in range(kw):
        laid[:, :, kx % stride, taps - 1 - kx // stride, :features] = layer.weight[:, :, :, kx].transpose(1, 2, 0)
    return laid.reshape(-1)


def lay_out_state(layer: CoreLayer, v_mem: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """(C, H, W) to flat [y][x][lane]."""
    features, height, width = layer.output_shape
    laid = np.zeros((height, width, padded_features(layer)), dtype)
    laid[..., :features] = v_mem.transpose(1, 2, 0)
    return laid.reshape(-1)


def read_state(layer: CoreLayer, laid: NDArray[Any]) -> NDArray[Any]:
    """The inverse of `lay_out_state`."""
    features, height, width = layer.output_shape
    shaped = laid.reshape(height, width, padded_features(layer))[..., :features]
    return np.ascontiguousarray(shaped.transpose(2, 0, 1))


def lay_out_bias(layer: CoreLayer, dtype: Any) -> NDArray[Any]:
    """Bias by lane, zeros when there is none."""
    laid = np.zeros(padded_features(layer), dtype)
    if layer.bias is not None:
        laid[: len(layer.bias)] = layer.bias
    return laid


def geometry(layer: CoreLayer, shape: tuple[int, int, int], pool: Pair, shift: int, keep_outside: bool) -> Geometry:
    """Tables of the edge from a source of that shape."""
    return Geometry(
        row_axis(layer, shape[1], pool[0], keep_outside),
        column_axis(layer, shape[2], pool[1], keep_outside),
        row_taps(layer),
        shift,
    )
