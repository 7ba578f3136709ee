"""Compiled loops of the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_8, add_16, clamp_fire_64, count_bits, lowest_bit


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def locate(address, n, offsets, source, edge, rows, columns, blocks, block_offsets):
    """Which block of states each spike reaches, and by which weights.

    Args:
        address, n, offsets: see `StepSpikes`.
        source: lanes and width of the source.
        edge: channels, weights of a channel, weights of a row, feature shift, rows of the source that reach a neuron.
        rows, columns: see `geometry.reach_tables`.
        blocks, block_offsets: written: offsets in states and weights, int32 [sum(n), 2]; int64 [T + 1]. A spike
            that stands for several is written as often, one that reaches nothing not at all.

    Returns:
        How many pixels were reached; how many spikes at most can reach one neuron in one step.
    """
    lanes, width = np.uint32(source[0]), np.uint32(source[1])
    _, channel_weights, _, shift, window = edge
    crowd = np.zeros(rows.shape[0], np.int64)
    count = reached = most = 0
    for step in range(offsets.shape[0] - 1):
        crowd[:] = 0
        for e in range(offsets[step], offsets[step + 1]):
            pixel = np.uint32(address[e]) // lanes
            y = pixel // width
            x, channel, times = pixel - y * width, np.int64(address[e]) - pixel * lanes + shift, np.int64(n[e])
            reaches = rows[y, 3] * columns[x, 3]
            reached += times * reaches
            crowd[y] += times
            state, weight = rows[y, 0] + columns[x, 0], channel * channel_weights + rows[y, 1] + columns[x, 1]
            for _ in range(times if reaches else 0):
                blocks[count, 0], blocks[count, 1] = state, weight
                count += 1
        block_offsets[step + 1] = count
        near = 0
        for y in range(rows.shape[0]):
            near += crowd[y] - (crowd[y - window] if y >= window else 0)
            most = max(most, near)
    return reached, most


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_steps(start, blocks, offsets, v, w, core, out, fired, out_offsets, count):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        blocks, offsets: what arrives, see `locate`.
        v, w: int16 or int32, flat, see `geometry`; v a multiple of 64; behind the weights stands the bias of a pixel.
        core: int64: rows of a block, length of each, states from one to the next, weights from one to the next,
            neurons, lanes, whether there is a bias, threshold, low, most spikes, whether to reset to zero.
        out, fired: int32 [room]: address of each neuron that fired, and how often.
        out_offsets: int64 [T + 1].
        count: spikes written so far.

    Returns:
        (next step, spikes written, states outside 16 bits): stops early when `out` may be too small for another step.
    """
    rows, length, state_step, weight_step, neurons, lanes, bias, threshold, low, most, to_zero = core
    over = 0
    for step in range(start, offsets.shape[0] - 1):
        if out.shape[0] - count < v.shape[0] + 4:
            return step, count, over
        for e in range(offsets[step], offsets[step + 1]):
            add_block(v, np.int64(blocks[e, 0]), w, np.int64(blocks[e, 1]), rows, length, state_step, weight_step)
        if bias:
            add_block(v, 0, w, w.shape[0] - lanes, neurons // lanes, lanes, lanes, 0)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                over += v[i] < -32768 or v[i] > 32767
        first = count
        for i in range(0, v.shape[0], 64):
            mask = clamp_fire_64(v, i, v.dtype.type(low), v.dtype.type(threshold))
            bits = count_bits(mask)
            for j in range(count, count + bits, 4):  # four at a time, wanted or not: fewer branches to foretell
                for ahead in range(4):
                    out[j + ahead] = i + lowest_bit(mask)
                    mask &= mask - 1
            count += bits
        for j in range(first, count):
            i = out[j]
            spikes = min(np.int64(v[i] / threshold), most)  # in float64: exact, and faster than an integer's division
            v[i] = 0 if to_zero else v[i] - spikes * threshold
            fired[j] = spikes
        out_offsets[step + 1] = count
    return offsets.shape[0] - 1, count, over


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", inline="always")
def add_block(v, i, w, k, rows, length, state_step, weight_step):
    """Add weights to a block of states."""
    for _ in range(rows):
        done = 0
        while done + 16 <= length:
            add_16(v, i + done, w, k + done)
            done += 16
        if done < length:
            add_8(v, i + done, w, k + done)
        i += state_step
        k += weight_step


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
