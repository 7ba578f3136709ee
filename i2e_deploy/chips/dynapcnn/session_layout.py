"""Tables for a session: which neurons a spike reaches, and weights in the order in which they are added.

States lie [y][x][feature]. The neurons of one row that a spike reaches are one run there, and so are their weights:
[c][ky][phase][tap][feature], where padded column `p` has phase `p % stride`, and taps lie by rising output column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, Source

Table = NDArray[np.int32]


def _taps(layer: CoreLayer) -> int:
    """Output columns that one padded column reaches at most."""
    return -(-layer.weight.shape[3] // layer.stride[1])


def axis_table(layer: CoreLayer, axis: int, size: int, pool: int) -> Table:
    """For each coordinate of a source along `axis` (0 rows, 1 columns), int32 [3, size].

    First and last output position o with 0 <= position - stride * o < kernel (last < first: none is reached, as in
    the rest that no pooling window covers), and where the weights of the first lie: for rows the ky, for columns the
    place in [phase][tap].
    """
    kernel, stride = layer.weight.shape[2 + axis], layer.stride[axis]
    coordinate = np.arange(size)
    position = coordinate // pool + layer.padding[axis]
    first = np.maximum(0, -((kernel - 1 - position) // stride))
    last = np.minimum(layer.output_shape[1 + axis] - 1, position // stride)
    last[size // pool * pool :] = -1
    if axis == 0:
        place = position - stride * first
    else:
        place = position % stride * _taps(layer) + first - (position // stride - _taps(layer) + 1)
    table: Table = np.stack([first, last, place]).astype(np.int32)
    return table


def weight_runs(layer: CoreLayer) -> NDArray[np.int32]:
    """Weights, flat [c][ky][phase][tap][feature]; taps that a phase lacks are zero and never reached."""
    features, channels, kh, kw = layer.weight.shape
    stride, taps = layer.stride[1], _taps(layer)
    runs = np.zeros((channels, kh, stride, taps, features), np.int32)
    for kx in range(kw):
        runs[:, :, kx % stride, taps - 1 - kx // stride] = layer.weight[:, :, :, kx].transpose(1, 2, 0)
    return runs.reshape(-1)


def edge_numbers(layer: CoreLayer, source: Source) -> NDArray[np.int64]:
    """int64 [7] for `add_counts`."""
    features, channels, kernel, _ = layer.weight.shape
    row = layer.stride[1] * _taps(layer) * features
    return np.array(
        [channels, kernel, row, source.feature_shift, layer.stride[0], layer.output_shape[2], features], np.int64
    )
