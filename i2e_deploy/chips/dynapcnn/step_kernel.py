"""Compiled loops of the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,var-annotated"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_8, add_16, clamp_fire_64, count_bits, lowest_bit

#: The low half of 64 bits.
LOW = 2**32 - 1


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def crowd(given, source, height, window):
    """The most spikes of one step that lie in `window` successive rows of their source.

    Args:
        given: address, n, offsets, see `StepSpikes`.
        source: lanes and width of the source; `height` is its rows.
    """
    address, n, offsets = given
    row, most = np.uint32(source[0] * source[1]), 0
    rows = np.zeros(height, np.int64)
    for step in range(offsets.shape[0] - 1):
        rows[:] = 0
        for e in range(offsets[step], offsets[step + 1]):
            rows[np.uint32(address[e]) // row] += n[e]
        near = 0
        for y in range(height):
            near += rows[y] - (rows[y - window] if y >= window else 0)
            most = max(most, near)
    return most


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", inline="always")
def locate(first, last, given, source, edge, tables, blocks):
    """Which block of states each of these spikes reaches, and by which weights.

    Args:
        first, last: which spikes of `given`.
        given, source: see `crowd`.
        edge: weights of a channel, feature shift.
        tables: rows and columns, int64 [coordinate, 3]: where in states (low 32 bits) and weights (high), size, how
            many are reached; where and size of a row and of a column are added up.
        blocks: written: where, and the length (low 32 bits) and number (high) of runs, int64 [room, 2], one more
            than arrive. A spike that stands for several is written as often, one that reaches nothing not at all.

    Returns:
        How many blocks; how many pixels they reach.
    """
    (address, n, _), (rows, columns) = given, tables
    lanes, width, count, reached = source[0], source[1], 0, 0
    per_lanes, per_width, weights = 1 / lanes, 1 / width, edge[0] << 32
    for e in range(first, last):
        pixel = np.uint32((address[e] + 0.5) * per_lanes)  # exact, and faster than a division of integers
        y = np.uint32((pixel + 0.5) * per_width)
        x, channel, times = np.uint32(pixel - y * width), address[e] - pixel * lanes + edge[1], n[e]
        reaches = rows[y, 2] * columns[x, 2]
        reached += times * reaches
        where, size = rows[y, 0] + columns[x, 0] + channel * weights, rows[y, 1] + columns[x, 1]
        blocks[count, 0], blocks[count, 1] = where, size
        if times == 1:  # foretold better than a loop
            count += reaches > 0
        else:
            for _ in range(times if reaches else 0):
                blocks[count, 0], blocks[count, 1] = where, size
                count += 1
    return count, reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_steps(start, given, source, edge, tables, blocks, states, w, core, out, count, totals):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        given: address, n, offsets of what arrives, see `StepSpikes`.
        source, edge, tables, blocks: see `locate`.
        states, w: int16 or int32, [sample, neurons] and flat, see `geometry`; a row is a multiple of 64; behind the
            weights stands the bias of a pixel.
        core: int64: states from one row of a block to the next, weights from one to the next, neurons, lanes, whether
            there is a bias, threshold, low, most spikes, whether to reset to zero.
        out: as `given`, written: int32 [room] of each neuron that fired, and how often; int64 [steps + 1].
        count: spikes written so far.
        totals: int64 [4], brought forward: pixels reached, states outside 16 bits, spikes, most of a neuron in a step.

    Returns:
        (next step, spikes written): stops early when `out` may be too small for another step.
    """
    state_step, weight_step, neurons, lanes, bias, threshold, low, most, to_zero = core
    (address, fired, out_offsets), offsets = out, given[2]
    steps, total, largest, per_threshold = (offsets.shape[0] - 1) // states.shape[0], 0, totals[3], 1 / threshold
    for step in range(start, offsets.shape[0] - 1):
        v = states[step // steps]
        if address.shape[0] - count < v.shape[0] + 4:
            return step, count
        arrived, reached = locate(offsets[step], offsets[step + 1], given, source, edge, tables, blocks)
        totals[0] += reached
        for e in range(arrived):
            where, size = blocks[e, 0], blocks[e, 1]
            add_block(v, where & LOW, w, where >> 32, size >> 32, size & LOW, state_step, weight_step)
        if bias:
            add_block(v, 0, w, w.shape[0] - lanes, neurons // lanes, lanes, lanes, 0)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                totals[1] += v[i] < -32768 or v[i] > 32767
        first = count
        for i in range(0, v.shape[0], 64):
            mask = clamp_fire_64(v, i, v.dtype.type(low), v.dtype.type(threshold))
            bits = count_bits(mask)
            for j in range(count, count + bits, 4):  # four at a time, wanted or not: fewer branches to foretell
                for ahead in range(4):
                    address[j + ahead] = i + lowest_bit(mask)
                    mask &= mask - 1
            count += bits
        for j in range(first, count):
            i = address[j]
            spikes = min(
                np.int64((v[i] + 0.5) * per_threshold), most
            )  # in float64: exact, and faster than an integer's division
            v[i] = 0 if to_zero else v[i] - spikes * threshold
            fired[j] = spikes
            total += spikes
            largest = max(largest, spikes)
        totals[2], totals[3], total = totals[2] + total, largest, 0
        out_offsets[step + 1] = count
    return offsets.shape[0] - 1, count


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
