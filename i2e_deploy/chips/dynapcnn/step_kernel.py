"""Compiled loops of the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_8, add_16, clamp_fire_8, clamp_fire_16, lowest_bit


@numba.njit(cache=True, nogil=True, boundscheck=False)
def run_steps(
    start, c, y, x, n, offsets, v, w, bias, edge, rows, columns, core, out, fired, out_offsets, count, totals
):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        c, y, x, n, offsets: what arrives, see `StepSpikes`.
        v, w, bias: int16 or int32, flat, see `geometry`; `bias` is empty when there is none.
        edge: int64: channels, kernel rows, weights per kernel row, feature shift, vertical stride.
        rows, columns: int32 [3, size]: first, last, tap.
        core: int64: width, lanes, features, threshold, low, reset to zero, most spikes.
        out: int16 [3, room]: feature, row, column of each neuron that fired; fired: int32 [room], how often.
        out_offsets: int64 [T + 1].
        count: spikes written so far.
        totals: int64 [2], added to: synaptic operations, states outside 16 bits.

    Returns:
        (next step, spikes written): stops early when `out` may be too small for another step.
    """
    lanes = core[1]
    for step in range(start, offsets.shape[0] - 1):
        if out.shape[1] - count < v.shape[0]:
            return step, count
        for e in range(offsets[step], offsets[step + 1]):
            totals[0] += scatter(c[e] + edge[3], y[e], x[e], n[e], v, w, edge, rows, columns, core)
        if bias.shape[0]:
            for i in range(0, v.shape[0], lanes):
                for j in range(0, lanes, 8):
                    add_8(v, i + j, bias, j)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                totals[1] += v[i] < -32768 or v[i] > 32767
        count = fire(v, core, out, fired, count)
        out_offsets[step + 1] = count
    return offsets.shape[0] - 1, count


@numba.njit(cache=True, nogil=True, boundscheck=False)
def scatter(channel, y, x, times, v, w, edge, rows, columns, core):
    """Add the weights of one spike, `times` over, to all neurons it reaches; the number of synaptic operations."""
    kernel, row_weights, width, lanes = edge[1], edge[2], core[0], core[1]
    if channel >= edge[0] or columns[1, x] < columns[0, x]:
        return 0
    length = (columns[1, x] - columns[0, x] + 1) * lanes
    ky, synops = rows[2, y], 0
    for oy in range(rows[0, y], rows[1, y] + 1):
        i = (oy * width + columns[0, x]) * lanes
        k = (channel * kernel + ky) * row_weights + columns[2, x] * lanes
        ky -= edge[4]
        for _ in range(times):
            done = 0
            while done + 16 <= length:
                add_16(v, i + done, w, k + done)
                done += 16
            if done < length:
                add_8(v, i + done, w, k + done)
        synops += times * (length // lanes) * core[2]
    return synops


@numba.njit(cache=True, nogil=True, boundscheck=False)
def fire(v, core, out, fired, count):
    """All neurons once: clamp, fire, reset; the number of entries written so far."""
    kind, width, lanes, threshold = v.dtype.type, core[0], core[1], core[3]
    low, high, to_zero, most = kind(core[4]), kind(core[3]), core[5] == 1, core[6]
    for i in range(0, v.shape[0], 16):
        mask = clamp_fire_16(v, i, low, high) if i + 16 <= v.shape[0] else clamp_fire_8(v, i, low, high)
        if mask:
            pixel = i // lanes
            feature, row = i - pixel * lanes, pixel // width
            column = pixel - row * width
        while mask:
            bit = np.int64(lowest_bit(np.int32(mask)))
            mask &= mask - 1
            spikes = min(np.int64(v[i + bit]) // threshold, most)
            v[i + bit] = 0 if to_zero else v[i + bit] - kind(spikes * threshold)
            next_pixel = feature + bit >= lanes  # 16 lanes cover two pixels at most
            wraps = next_pixel and column + 1 == width
            out[0, count] = feature + bit - (lanes if next_pixel else 0)
            out[1, count] = row + (1 if wraps else 0)
            out[2, count] = 0 if wraps else column + (1 if next_pixel else 0)
            fired[count] = spikes
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def fire_dense(current, v, threshold, low, most, to_zero, out, out_offsets, step, count):
    """One step on sums already made: current float [N], v int64 [N]; (spikes written, states outside 16 bits)."""
    over = 0
    for i in range(current.shape[0]):
        total = v[i] + np.int64(current[i])
        over += total < -32768 or total > 32767
        if total >= threshold:
            spikes = min(total // threshold, most)
            total = 0 if to_zero else total - spikes * threshold
            out[0, count] = i
            out[1, count] = spikes
            count += 1
        v[i] = max(total, low)
    out_offsets[step + 1] = count
    return count, over
