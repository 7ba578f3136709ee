"""Compiled loops of a session: one sample, one step, counts of any size, everything in place."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, boundscheck=False)
def add_counts(counts, edge, rows, columns, v, w):
    """Add the weights of all spikes of a source to the states that they reach; the number of synaptic operations.

    Args:
        counts: int32 [H, W, C], spikes of the source.
        edge: int64: channels of the core, kernel rows, weights per kernel row, feature shift, vertical stride, width
            and features of the core.
        rows, columns: int32 [3, H], [3, W], see `session_layout.axis_table`.
        v: int32, flat [y][x][feature].
        w: int32, see `session_layout.weight_runs`.
    """
    kernel, row_weights, shift, stride, width, features = edge[1], edge[2], edge[3], edge[4], edge[5], edge[6]
    reached = 0
    for y in range(counts.shape[0]):
        if rows[1, y] < rows[0, y]:
            continue
        for x in range(counts.shape[1]):
            length = (columns[1, x] - columns[0, x] + 1) * features
            if length <= 0:
                continue
            for c in range(min(counts.shape[2], edge[0] - shift)):
                n = counts[y, x, c]
                if n == 0:
                    continue
                ky = rows[2, y]
                for oy in range(rows[0, y], rows[1, y] + 1):
                    i = (oy * width + columns[0, x]) * features
                    k = ((c + shift) * kernel + ky) * row_weights + columns[2, x] * features
                    ky -= stride
                    to, weights = v[i : i + length], w[k : k + length]
                    for j in range(length):
                        to[j] += n * weights[j]
                reached += np.int64(n) * (rows[1, y] - rows[0, y] + 1) * (length // features)
    return reached * features


@numba.njit(cache=True, nogil=True, boundscheck=False)
def fire_counts(v, bias, threshold, low, most, to_zero, counts):
    """All neurons once: bias, fire, reset, clamp.

    Args:
        v, counts: int32 [pixel, feature]; `counts` gets the spikes.
        bias: int32 [feature].
        threshold, low, most, to_zero: of the core; `most` spikes of a neuron in a step.

    Returns:
        (spikes, states outside 16 bits before the reset, most spikes of one neuron, largest |state| after it).
    """
    spikes, over, peak, largest = 0, 0, 0, 0
    for i in range(v.shape[0]):
        for j in range(v.shape[1]):
            total = v[i, j] + bias[j]
            over += total < -32768 or total > 32767
            n = 0
            if total >= threshold:
                n = min(total // threshold, most)
                total = 0 if to_zero else total - n * threshold
                spikes += n
                peak = max(peak, n)
            total = max(total, low)
            largest = max(largest, abs(total))
            counts[i, j] = n
            v[i, j] = total
    return spikes, over, peak, largest
