"""Compiled loops of the fast time-stepped engine.

A step of a layer has three parts. `sort_blocks` looks up which block of states each arriving spike reaches, and puts
it into a bucket of blocks of that width. `add_buckets` adds the weights, bucket by bucket, so that the loops over the
runs of a block are of one length for a long time: a processor predicts them, which gains more than the sorting costs.
`fire` looks at all states, lowers those that fire by a threshold, and lists them; few have more to give.

Indices are made unsigned where every spike passes: numba then leaves out the test for negative ones.
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,call-overload,var-annotated"

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.engine.simd import add_run, fire_64
from i2e_deploy.chips.dynapcnn.engine.timestep.loops import BUCKET_AT, STATE_BITS, add_blocks, list_bits

U = np.uint64


class Core(NamedTuple):
    """Numbers of a layer, see `geometry`.

    Args:
        row_states, row_weights: states, and weights, from one row of a block to the next.
        lanes: of a pixel.
        rows: of a whole block.
        neurons: lanes of all pixels.
        threshold, low, most: at it a neuron fires; lower bound of states; most spikes of one in a step.
        to_zero: whether a spike resets to zero.
    """

    row_states: int
    row_weights: int
    lanes: int
    rows: int
    neurons: int
    threshold: int
    low: int
    most: int
    to_zero: bool


def divisor(number: int) -> tuple[int, int]:
    """What to multiply with, and by how much to shift then, to divide integers from 0 to 2^31 - 1 by a number.

    The factor is 2^shift / number, rounded up; 2^shift is at least 2^31 * number, so that the rounding adds less than
    1 / number to a quotient.
    """
    shift = 31 + (number - 1).bit_length()
    return -(-(1 << shift) // number), shift


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def crowd(given, row, even, odd, window):
    """The most spikes of one step that lie in `window` successive rows of their source.

    Args:
        given: address, n, offsets, see `StepSpikes`.
        row: `divisor` of the addresses of a row.
        even, odd: int64 [rows], zeros; two, because a sum is read again later than it is written.
    """
    (address, n, offsets), (factor, shift), height, most = given, row, even.shape[0], 0
    for step in range(offsets.shape[0] - 1):
        for e in range(offsets[step], offsets[step + 1]):
            rows = odd if e & 1 else even
            rows[U((address[U(e)] * factor) >> shift)] += n[U(e)]
        near = 0
        for y in range(height + window):
            near += even[y] + odd[y] if y < height else 0
            most = near if near > most else most
            if y >= window:
                near -= even[y - window] + odd[y - window]
                even[y - window] = odd[y - window] = 0
    return most


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", inline="always")
def sort_blocks(first, last, given, source, pixels, bins):
    """Put the blocks that spikes `first:last` of `given` reach into buckets, once for each spike.

    Args:
        given: see `crowd`.
        source: `divisor` of its lanes, and the weights of a channel.
        pixels: int64 [pixel of the source], words as above, so that address * weights << STATE_BITS is to be added.
        bins: buckets, int64 [(widths + 2) * room], written, each `room` long; where each ends, int64 [widths + 2],
            written; room.
    """
    (address, n, _), (factor, shift, weights), (buckets, ends, room) = given, source, bins
    for k in range(ends.shape[0]):
        ends[k] = k * room
    for e in range(first, last):
        at, times = np.int64(address[U(e)]), n[U(e)]
        word = pixels[U((at * factor) >> shift)] + (at * weights << STATE_BITS)
        bucket = U(word) >> U(BUCKET_AT)
        end = ends[bucket]
        buckets[U(end)] = word
        for _ in range(times - 1):
            end += 1
            buckets[U(end)] = word
        ends[bucket] = end + 1


@numba.njit(nogil=True, boundscheck=False, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def add_buckets(v, w, bins, core):
    """Add the weights of all blocks; pixels reached."""
    buckets, ends, room = bins
    reached, widths = 0, ends.shape[0] - 2
    for bucket in range(1, widths + 2):
        width, whole = (bucket, False) if bucket <= widths else (widths, core.rows == 3)
        rows = add_blocks(
            v, w, buckets, bucket * room, ends[bucket], core.row_states, core.row_weights, width * core.lanes, whole
        )
        reached += rows * width
    return reached


@numba.njit(nogil=True, boundscheck=False, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def fire(v, core, address, fired, count):
    """Clamp, fire, reset all neurons of a layer.

    Args:
        v, core: see `run_steps`.
        address, fired: see `out` of `run_steps`; after `count` entries 4 more than neurons are free.

    Returns:
        (entries written, spikes, most of a neuron).
    """
    threshold, to_zero = core.threshold, core.to_zero
    first, further, largest, each = count, 0, 0, v.dtype.type(threshold)
    taken = v.dtype.type(0 if to_zero else threshold)
    for i in range(0, v.shape[0], 64):
        count = list_bits(fire_64(v, i, v.dtype.type(core.low), each, taken), i, address, count)
    once, per_threshold = 0 if to_zero else 1, 1 / threshold
    for j in range(first, count):
        at = U(address[U(j)])
        fired[U(j)] = 1
        if v[at] >= threshold:  # in float64: exact, and faster than a division of integers
            more = min(np.int64((v[at] + 0.5) * per_threshold), core.most - once)
            v[at] = 0 if to_zero else v[at] - more * threshold
            fired[U(j)] = more + once
            further += more + once - 1
            largest = more + once if more + once > largest else largest
    return count, count - first + further, 1 if count > first and not largest else largest


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_steps(start, given, source, pixels, core, bins, states, w, bias, out, count, totals):
    """Steps `start`, `start + 1`, ... of one layer: scatter the spikes that arrive, then fire.

    Args:
        given: address, n, offsets of what arrives, see `StepSpikes`.
        source, pixels, bins: see `sort_blocks`.
        core: see `Core`.
        states: int16 or int32 [sample, neurons], a row is a multiple of 64.
        w: int8, flat, see `geometry`; bias: as states [lanes], or empty.
        out: as `given`, written: int32 [room] of each neuron that fired, and how often; int64 [steps + 1].
        count: spikes written so far.
        totals: int64 [4], brought forward: pixels reached, states outside 16 bits, spikes, most of a neuron in a step.

    Returns:
        (next step, spikes written): stops early when `out` may be too small for another step.
    """
    (address, fired, out_offsets), offsets = out, given[2]
    steps, lanes, neurons = (offsets.shape[0] - 1) // states.shape[0], core.lanes, core.neurons
    for step in range(start, offsets.shape[0] - 1):
        v = states[step // steps]
        if address.shape[0] - count < v.shape[0] + 4:
            return step, count
        sort_blocks(offsets[step], offsets[step + 1], given, source, pixels, bins)
        totals[0] += add_buckets(v, w, bins, core)
        for i in range(0, neurons if bias.shape[0] else 0, lanes):
            for done in range(0, lanes, 8):
                add_run(v, i + done, bias, done, 8)
        if v.itemsize > 2:
            for i in range(v.shape[0]):
                totals[1] += v[i] < -32768 or v[i] > 32767
        count, spikes, largest = fire(v, core, address, fired, count)
        totals[2] += spikes
        totals[3] = largest if largest > totals[3] else totals[3]
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
