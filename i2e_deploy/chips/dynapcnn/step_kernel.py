"""Compiled loops of the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_8, add_16, clamp_fire_64, lowest_bit


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_steps(start, address, n, offsets, v, w, edge, rows, columns, core, out, fired, out_offsets, count, totals):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        address, n, offsets: what arrives, see `StepSpikes`.
        v, w: int16 or int32, flat, see `geometry`; v a multiple of 64; behind the weights stands the bias of a pixel.
        edge: int64: channels, weights of a channel, weights of a row, feature shift, lanes and width of the source.
        rows, columns: see `geometry.reach_tables`.
        core: int64: width, lanes, features, neurons and lanes of idle ones, threshold, low, most spikes, reset to
            zero, bias.
        out, fired: int32 [room]: address of each neuron that fired, and how often.
        out_offsets: int64 [T + 1].
        count: spikes written so far.
        totals: int64 [2], added to: synaptic operations, states outside 16 bits.

    Returns:
        (next step, spikes written): stops early when `out` may be too small for another step.
    """
    lanes, threshold, low = core[1], v.dtype.type(core[4]), v.dtype.type(core[5])
    for step in range(start, offsets.shape[0] - 1):
        if out.shape[0] - count < v.shape[0]:
            return step, count
        for e in range(offsets[step], offsets[step + 1]):
            totals[0] += core[2] * n[e] * scatter(address[e], n[e], v, w, edge, rows, columns, core[0], lanes)
        if core[8]:
            for i in range(0, core[3], lanes):
                for j in range(0, lanes, 8):
                    add_8(v, i + j, w, w.shape[0] - lanes + j)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                totals[1] += v[i] < -32768 or v[i] > 32767
        first = count
        for i in range(0, v.shape[0], 64):
            mask = clamp_fire_64(v, i, low, threshold)
            while mask:
                out[count] = i + lowest_bit(mask)
                mask &= mask - 1
                count += 1
        for j in range(first, count):
            i, spikes = out[j], 1
            if v[i] >= 2 * core[4]:
                spikes = min(v[i] // core[4], core[6])
            v[i] = 0 if core[7] else v[i] - spikes * core[4]
            fired[j] = spikes
        out_offsets[step + 1] = count
    return offsets.shape[0] - 1, count


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def scatter(address, times, v, w, edge, rows, columns, width, lanes):
    """Add the weights of one spike, `times` over, to all neurons it reaches; the number of pixels reached."""
    pixel = np.uint32(address) // np.uint32(edge[4])
    channel = np.int64(address - pixel * edge[4]) + edge[3]
    y = pixel // np.uint32(edge[5])
    x = pixel - y * np.uint32(edge[5])
    length = columns[x, 2] * lanes
    for _ in range(times):
        i = np.int64(rows[y, 0]) + columns[x, 0]
        k = channel * edge[1] + rows[y, 1] + columns[x, 1]
        for _ in range(rows[y, 2]):
            if lanes >= 16:
                for done in range(0, length, 16):
                    add_16(v, i + done, w, k + done)
            else:
                for done in range(0, length, 8):
                    add_8(v, i + done, w, k + done)
            i += width * lanes
            k += edge[2]
    return rows[y, 3] * columns[x, 3]


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
