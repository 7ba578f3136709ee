"""Compiled loops of a session: one sample, one step, counts of any size, everything in place."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.engine.geometry import REACHED, SIZE, STATE, WEIGHT


@numba.njit(cache=True, nogil=True, boundscheck=False)
def add_counts(counts, edge, rows, columns, v, w):
    """Add the weights of all spikes of a source to the states that they reach; pixels reached.

    Args:
        counts: int32 [H, W, lanes], spikes of the source.
        edge: channels of the source that reach the core, feature shift, weights of a channel, states from one row to
            the next, weights from one to the next, lanes of the core.
        rows, columns: see `geometry.reach_tables`.
        v, w: int32, flat, see `geometry`.
    """
    channels, shift, channel_weights, row_states, row_weights, lanes = edge
    reached = 0
    for y in range(counts.shape[0]):
        if rows[y, SIZE] == 0:
            continue
        for x in range(counts.shape[1]):
            length = columns[x, SIZE] * lanes
            if length == 0:
                continue
            for c in range(channels):
                n = counts[y, x, c]
                if n == 0:
                    continue
                i = rows[y, STATE] + columns[x, STATE]
                k = (c + shift) * channel_weights + rows[y, WEIGHT] + columns[x, WEIGHT]
                for _ in range(rows[y, SIZE]):
                    to, weights = v[i : i + length], w[k : k + length]
                    for j in range(length):
                        to[j] += n * weights[j]
                    i += row_states
                    k += row_weights
                reached += np.int64(n) * rows[y, REACHED] * columns[x, REACHED]
    return reached


@numba.njit(cache=True, nogil=True, boundscheck=False)
def fire_counts(v, bias, threshold, low, most, to_zero, counts):
    """All neurons once: bias, fire, reset, clamp.

    Args:
        v, counts: int32 [pixel, lane]; `counts` gets the spikes. Lanes behind the features are left alone.
        bias: int32 [feature].
        threshold, low, most, to_zero: of the core; `most` spikes of a neuron in a step.

    Returns:
        (spikes, states outside 16 bits before the reset, most spikes of one neuron, largest |state| after it).
    """
    spikes, over, peak, largest = 0, 0, 0, 0
    for i in range(v.shape[0]):
        for j in range(bias.shape[0]):
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
