"""How events reach neurons, as tables, and weights laid out so that an event adds contiguous runs.

States are stored [y][x][lane]: 8 lanes a pixel, or a multiple of 16. An event reaches a block of output pixels; each
row of it is one contiguous run of states, and weights are stored so that theirs is too:
[c][vertical phase][vertical slot][horizontal phase][horizontal slot][lane], where an event at padded position `p` has
phase `p % stride`, and slots lie by rising output position. Before and after the kernel's own slots are slots of
zeros. They let a block at the border keep its size: it is moved inwards, and its weights with it. So every event of
a layer runs the same loops, which a processor predicts; that gains more than the additions of zero cost. Time steps
do without (`spare=False`): there, many events can be sorted by the size of what they reach.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, Pair

Table = NDArray[np.int32]
#: Columns of a table, by coordinate of the source.
STATE, WEIGHT, SIZE, REACHED = range(4)


def padded_features(layer: CoreLayer) -> int:
    """Lanes of one pixel."""
    features = layer.output_shape[0]
    return 8 if features <= 8 else -(-features // 16) * 16


def reach_tables(
    layer: CoreLayer, shape: Pair, pool: Pair, keep_outside: bool, exact: bool, spare: bool = True
) -> tuple[Table, Table]:
    """Rows and columns of a source of that (height, width), pooled on the way: what an event there reaches.

    Args:
        layer: the core.
        shape: height and width of the source.
        pool: of the way from there.
        keep_outside: whether the rest that pooling windows do not cover reaches neurons.
        exact: blocks hold reached pixels only.
        spare: the weights have slots of zeros, which only exact blocks can do without.

    Returns:
        int32 [coordinate, 4] each: offset of the block in the states, and in the weights of a channel; its size in
        pixels; how many of them are reached (0: none, and the size is 0).
    """
    lanes, (_, _, width) = padded_features(layer), layer.output_shape
    rows = _axis_table(layer, 0, shape[0], pool[0], keep_outside, exact, spare)
    columns = _axis_table(layer, 1, shape[1], pool[1], keep_outside, exact, spare)
    rows[:, STATE] *= width * lanes
    rows[:, WEIGHT] *= row_slots(layer, spare) * lanes
    columns[:, [STATE, WEIGHT]] *= lanes
    return rows, columns


def row_slots(layer: CoreLayer, spare: bool = True) -> int:
    """Horizontal slots of one row of weights."""
    return layer.stride[1] * _slots(layer, 1, spare)


def _taps(layer: CoreLayer, axis: int) -> int:
    """Most output positions that one input position reaches, borders aside."""
    return int(-(-layer.weight.shape[2 + axis] // layer.stride[axis]))


def _block(layer: CoreLayer, axis: int) -> int:
    """Pixels of a block of constant size."""
    return min(_taps(layer, axis), layer.output_shape[1 + axis])


def _before(layer: CoreLayer, axis: int, spare: bool) -> int:
    """Slots of zeros before the kernel's own, and as many after them."""
    return _block(layer, axis) - 1 if spare else 0


def _slots(layer: CoreLayer, axis: int, spare: bool) -> int:
    """Slots of one phase."""
    return _taps(layer, axis) + 2 * _before(layer, axis, spare)


def _axis_table(
    layer: CoreLayer, axis: int, size: int, pool: int, keep_outside: bool, exact: bool, spare: bool
) -> Table:
    """Table of one axis, offsets in pixels and slots: output o is reached where 0 <= position - stride * o < kernel."""
    kernel, stride, out = layer.weight.shape[2 + axis], layer.stride[axis], layer.output_shape[1 + axis]
    coordinate, taps, block = np.arange(size), _taps(layer, axis), _block(layer, axis)
    position = coordinate // pool + layer.padding[axis]
    first = np.maximum(0, -((kernel - 1 - position) // stride))
    last = np.minimum(out - 1, position // stride)
    if not keep_outside:
        last[size // pool * pool :] = -1
    reached = np.maximum(0, last - first + 1)
    origin = position // stride - taps + 1  # output position of the first tap, wherever that lies
    start = first if exact else np.clip(origin, 0, out - block)
    slot = position % stride * _slots(layer, axis, spare) + _before(layer, axis, spare) + start - origin
    sizes = reached if exact else np.where(reached > 0, block, 0)
    return np.asarray(np.stack([start, slot, sizes, reached], axis=1), np.int32)


def lay_out_weights(layer: CoreLayer, dtype: Any, spare: bool = True) -> NDArray[Any]:
    """Flat [c][vertical phase][vertical slot][horizontal phase][horizontal slot][lane]."""
    features, channels, kh, kw = layer.weight.shape
    (sy, sx), (taps_y, taps_x) = layer.stride, (_taps(layer, 0), _taps(layer, 1))
    before_y, before_x = _before(layer, 0, spare), _before(layer, 1, spare)
    slots_y, slots_x = _slots(layer, 0, spare), _slots(layer, 1, spare)
    laid = np.zeros((channels, sy, slots_y, sx, slots_x, padded_features(layer)), dtype)
    for ky in range(kh):
        for kx in range(kw):
            slot_y, slot_x = before_y + taps_y - 1 - ky // sy, before_x + taps_x - 1 - kx // sx
            laid[:, ky % sy, slot_y, kx % sx, slot_x, :features] = layer.weight[:, :, ky, kx].T
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
