"""Compiled loops of the fast time-stepped engine.

A step of a layer has three parts. `sort_blocks` looks up which block of states each arriving spike reaches, and puts
it into the bucket of all blocks of that width. `add_buckets` adds the weights, bucket by bucket, so that the loops
over the runs of a block are of one length for a long time: a processor foretells them, which is worth more than the
sorting. `fire` looks at all states, lowers those that fire by a threshold, and lists them; few have more to give.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,var-annotated"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_run, count_bits, fire_64, lowest_bit

#: A word of the table of pixels, from the lowest bit: where the block lies in states, and in the weights of a channel,
#: its rows, its width in pixels. 0: nothing is reached.
STATE_BITS, WEIGHT_BITS, ROW_BITS, WIDTH_BITS = 24, 28, 6, 6
ROWS_AT = STATE_BITS + WEIGHT_BITS
WIDTH_AT = ROWS_AT + ROW_BITS


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def crowd(given, source, height, window):
    """The most spikes of one step that lie in `window` successive rows of their source.

    Args:
        given: address, n, offsets, see `StepSpikes`.
        source: lanes and width of the source; `height` is its rows.
    """
    address, n, offsets = given
    per_row, most = 1 / (source[0] * source[1]), 0
    rows = np.zeros((2, height), np.int64)  # of even and odd spikes: a sum is read again later than it is written
    for step in range(offsets.shape[0] - 1):
        rows[:] = 0
        for e in range(offsets[step], offsets[step + 1]):
            rows[e & 1, np.uint32((address[e] + 0.5) * per_row)] += n[e]
        near = 0
        for y in range(height):
            near += rows[0, y] + rows[1, y]
            if y >= window:
                near -= rows[0, y - window] + rows[1, y - window]
            most = max(most, near)
    return most


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", inline="always")
def sort_blocks(first, last, given, source, pixels, buckets, ends):
    """Put the blocks that spikes `first:last` of `given` reach into the buckets of their widths, once for each spike.

    Args:
        given: see `crowd`.
        source: lanes, feature shift, weights of a channel.
        pixels: int64 [pixel of the source], words as above.
        buckets: int64 [width + 1, room], written; bucket 0 takes what reaches nothing.
        ends: int64 [width + 1], written: how many blocks a bucket holds.
    """
    address, n, _ = given
    lanes, shift, weights = source
    per_lanes = 1 / lanes
    ends[:] = 0
    for e in range(first, last):
        pixel = np.int64((address[e] + 0.5) * per_lanes)  # exact, and faster than a division of integers
        word = pixels[np.uint64(pixel)] + ((address[e] - pixel * lanes + shift) * weights << STATE_BITS)
        width = np.uint64(word) >> np.uint64(WIDTH_AT)
        for _ in range(n[e]):
            end = ends[width]
            buckets[width, np.uint64(end)] = word
            ends[width] = end + 1


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", inline="always")
def add_bucket(v, w, blocks, core, length, lanes):
    """Add the weights of blocks whose runs are `length` long, a constant number of lanes at once; rows added."""
    total = 0
    for e in range(blocks.shape[0]):
        word = blocks[e]
        i, k = word & ((1 << STATE_BITS) - 1), (word >> STATE_BITS) & ((1 << WEIGHT_BITS) - 1)
        rows = (word >> ROWS_AT) & ((1 << ROW_BITS) - 1)
        total += rows
        for _ in range(rows):
            for done in range(0, length, lanes):
                add_run(v, i + done, w, k + done, lanes)
            i += core[0]
            k += core[1]
    return total


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def add_buckets(v, w, buckets, ends, core):
    """Add the weights of all blocks; pixels reached."""
    reached = 0
    for width in range(1, ends.shape[0]):
        blocks, length = buckets[width, : ends[width]], width * core[2]
        if length % 96 == 0:
            rows = add_bucket(v, w, blocks, core, length, 96)
        elif length % 64 == 0:
            rows = add_bucket(v, w, blocks, core, length, 64)
        elif length % 48 == 0:
            rows = add_bucket(v, w, blocks, core, length, 48)
        elif length % 32 == 0:
            rows = add_bucket(v, w, blocks, core, length, 32)
        elif length % 24 == 0:
            rows = add_bucket(v, w, blocks, core, length, 24)
        elif length % 16 == 0:
            rows = add_bucket(v, w, blocks, core, length, 16)
        else:
            rows = add_bucket(v, w, blocks, core, length, 8)
        reached += rows * width
    return reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def fire(v, core, address, fired, count):
    """Clamp, fire, reset all neurons of a layer; behind `count` spikes, which are returned with the largest number.

    Args:
        v, core: see `run_steps`.
        address, fired: see `out` of `run_steps`; 4 entries more than neurons are free.
    """
    threshold, low, most, to_zero = core[4:]
    first, largest, each = count, np.int64(0), v.dtype.type(threshold)
    taken = v.dtype.type(0 if to_zero else threshold)
    for i in range(0, v.shape[0], 64):
        mask = fire_64(v, i, v.dtype.type(low), each, taken)
        end = count + count_bits(mask)
        while count < end:  # four at a time, wanted or not: fewer branches to foretell
            for ahead in range(4):
                address[count + ahead] = i + lowest_bit(mask)
                mask &= mask - 1
            count += 4
        count = end
    once, per_threshold = 0 if to_zero else 1, 1 / threshold
    for j in range(first, count):
        fired[j], i = 1, address[j]
        if v[i] >= threshold:  # in float64: exact, and faster than a division of integers
            more = min(np.int64((v[i] + 0.5) * per_threshold), most - once)
            v[i] = 0 if to_zero else v[i] - more * threshold
            fired[j] = more + once
            largest = max(largest, more + once)
    return count, max(largest, np.int64(count > first))


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_steps(start, given, source, pixels, core, bins, states, w, bias, out, count, totals):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        given: address, n, offsets of what arrives, see `StepSpikes`.
        source, pixels: see `sort_blocks`; bins: buckets and ends there.
        core: int64: states from one row of a block to the next, weights from one to the next, lanes, neurons,
            threshold, low, most spikes, whether to reset to zero.
        states: int16 or int32 [sample, neurons], a row is a multiple of 64.
        w: int8, flat, see `geometry`; bias: as states [lanes], or empty.
        out: as `given`, written: int32 [room] of each neuron that fired, and how often; int64 [steps + 1].
        count: spikes written so far.
        totals: int64 [4], brought forward: pixels reached, states outside 16 bits, spikes, most of a neuron in a step.

    Returns:
        (next step, spikes written): stops early when `out` may be too small for another step.
    """
    (address, fired, out_offsets), offsets, (buckets, ends) = out, given[2], bins
    steps = (offsets.shape[0] - 1) // states.shape[0]
    for step in range(start, offsets.shape[0] - 1):
        v = states[step // steps]
        if address.shape[0] - count < v.shape[0] + 4:
            return step, count
        sort_blocks(offsets[step], offsets[step + 1], given, source, pixels, buckets, ends)
        totals[0] += add_buckets(v, w, buckets, ends, core)
        for i in range(0, core[3] if bias.shape[0] else 0, core[2]):
            for done in range(0, core[2], 8):
                add_run(v, i + done, bias, done, 8)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                totals[1] += v[i] < -32768 or v[i] > 32767
        first = count
        count, largest = fire(v, core, address, fired, count)
        for j in range(first, count):
            totals[2] += fired[j]
        totals[3] = max(totals[3], largest)
        out_offsets[step + 1] = count
    return offsets.shape[0] - 1, count


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
