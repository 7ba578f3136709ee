"""Compiled inner loops that turn messages into currents. Arithmetic is modulo 2^16 or 2^32; `plan` proves that enough.

Arrays are [M, T, N] with images channel-last (N = H * W * C), passed whole: rows first, first + 1, ... of `sent` are
read, and what row `first + t` sends is added to row `t + lag` of `cur`.

A dense synapse is a convolution of one pixel. For one step the spikes of a layer become a list of rows of weights, and
each place along a row of the input that an output looks at becomes a range of that list. Each output then sums its
ranges in registers. Where a place holds few input neurons and many of them fire, the list holds rows of a table
instead, the sums for all patterns of a few neurons, so that its length no longer depends on activity.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.loihi2.engine import simd
from i2e_deploy.chips.loihi2.engine.event_lists import (
    ACROSS,
    BITS,
    CHUNKS,
    DILATION,
    H_OUT,
    KERNEL,
    LANES,
    PADDING,
    PART,
    PER_KY,
    ROW,
    RUNS,
    SEEN,
    STRIDE,
    H,
    list_events,
    list_patterns,
    list_ranges,
    list_values,
    pack,
)
from i2e_deploy.chips.loihi2.engine.simd import plus_rows, put

# numba's types are not mypy's.
nb: Any = numba
# Arrays of several dtypes pass through: numba specialises on them.
Array = Any


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def deliver(
    sent: Array, graded: Any, first: int, steps: int, cur: Array, lag: int, weight: Array, places: Array, table: Array,
    shape: Array, delay: Array, limit: int, fresh: bool, lo: int, hi: int,
) -> int:  # fmt: skip
    """Messages through a dense synapse or a convolution.

    Args:
        sent: messages uint8 or int32 [M, T, N and padding to 64].
        graded: 1 if messages multiply the weights, None if any counts as one spike.
        cur: int16 or int32 [M, rows, N_out].
        weight: int16, one-dimensional view of [groups, kH, kW, C_in / groups, LANES].
        places: int64 [4, ACROSS * RUNS]: first input neuron of a row that is seen from there, the last + 1, what to
            add to an entry of the list to find its weights, and how many neurons are cut off on the left.
        table: int16, one-dimensional view of [kH, CHUNKS, 2^BITS, LANES]: sums of weights; empty if there is none.
        shape: int64, see `event_lists`.
        delay: int64 [N_out], or [0] if there is none.
        limit: with larger messages the sums may leave 24 bits; then they wrap.
        fresh: currents are set, not added to.
        lo, hi: range of `(m * steps + t) * H_OUT + y` to work on.

    Returns:
        Synaptic operations of the steps whose first row of outputs is in the range.
    """
    height, high, size = shape[H], shape[H_OUT], shape[H] * shape[ROW]
    seen = height * places.shape[1]
    words, before = np.zeros(size // 64 + 2, np.uint64), np.zeros(size // 64 + 2, np.int64)
    entries, values = np.empty(max(size, seen * shape[CHUNKS]), np.int32), np.empty(size, np.int32)
    starts, ends, busy = np.empty(seen, np.int32), np.empty(seen, np.int32), np.zeros(height, np.int64)
    width = shape[ACROSS] * shape[PART]
    line = np.zeros(width + 64, cur.dtype)
    at, done, count, looked_up, wraps = -1, 0, 0, False, limit < 1
    for job in range(lo, hi):
        if job // high != at:
            at = job // high
            messages = sent[at // steps, first + at % steps]
            count = pack(messages, words, before)
            looked_up = graded is None and len(table) > 0 and table_pays(count, shape)
            if looked_up:
                list_patterns(words, places, shape, entries, starts, ends, busy)
            elif count:
                list_events(words, shape[LANES], entries)
                if graded is not None:
                    wraps = list_values(words, messages, values) > limit
                list_ranges(words, before, places, shape, starts, ends, busy)
            if count and job % high == 0:
                done += _reached(busy, shape)
        y, rows = job % high, cur[at // steps, at % steps + lag :, job % high * width : (job % high + 1) * width]
        if count == 0 or not _any(busy, y, shape):
            if fresh:
                _clear(rows[0])
            continue
        if graded is None:
            _line(table if looked_up else weight, entries, None, starts, ends, places, looked_up, y, shape, line)
        else:
            _line(weight, entries, values, starts, ends, places, False, y, shape, line)
        _store(line, rows, delay[y * width :] if len(delay) else delay, wraps, fresh)
    return done


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def table_pays(count: int, shape: Array) -> Any:
    """Measured on AMD Zen 3: a range of unknown length costs as much as about 20 additions."""
    seen = count * shape[SEEN] / (shape[H] * shape[ROW])
    return min(seen, 1.0) * 20 + seen * shape[LANES] / 16 > 2 + shape[CHUNKS] * shape[LANES] / 16


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _reached(busy: Array, shape: Array) -> Any:
    """Synaptic operations of one step."""
    total = 0
    for y in range(shape[H_OUT]):
        for ky in range(shape[KERNEL]):
            row = y * shape[STRIDE] - shape[PADDING] + ky * shape[DILATION]
            if 0 <= row < shape[H]:
                total += busy[row]
    return total * shape[PART]


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _clear(row: Array) -> None:
    for k in range(len(row)):
        row[k] = 0


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _store(line: Array, rows: Array, delay: Array, wraps: bool, fresh: bool) -> None:
    """Sums of a row of outputs to the currents [steps, outputs] from this step on: wrapped to 24 bits, delayed."""
    width = rows.shape[1]
    if len(delay) or wraps:
        if fresh:
            _clear(rows[0])
        for k in range(width):
            value = np.int32(line[k])
            if wraps:
                value = np.int32(np.int32(value << np.int32(8)) >> np.int32(8))
            rows[delay[k] if len(delay) else 0, k] += value
        return
    out = rows[0]
    for k in range(width if fresh else 0):
        out[k] = line[k]
    for k in range(0 if fresh else width):
        out[k] += line[k]


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _any(busy: Array, y: int, shape: Array) -> bool:
    for ky in range(shape[KERNEL]):
        row = y * shape[STRIDE] - shape[PADDING] + ky * shape[DILATION]
        if 0 <= row < shape[H] and busy[row] > 0:
            return True
    return False


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _line(
    weight: Array, entries: Array, values: Any, starts: Array, ends: Array, places: Array, looked_up: bool, y: int,
    shape: Array, line: Array,
) -> None:  # fmt: skip
    """One row of outputs, 64 channels at a time; the last ones first, since they write beyond the part."""
    tile = (shape[LANES] - 1) // 64 * 64
    while tile >= 0:
        rest = shape[LANES] - tile
        arguments = (weight, entries, values, starts, ends, places, looked_up, y, shape, line, tile)
        if rest >= 64:
            _sum(simd.zeros_4(line), *arguments)
        elif rest == 48:
            _sum(simd.zeros_3(line), *arguments)
        else:
            _sum(simd.zeros_2(line), *arguments)
        tile -= 64


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _sum(
    zeros: Any, weight: Array, entries: Array, values: Any, starts: Array, ends: Array, places: Array, looked_up: bool,
    y: int, shape: Array, line: Array, tile: int,
) -> None:  # fmt: skip
    across, runs, part, kernel = places.shape[1], shape[RUNS], shape[PART], shape[KERNEL]
    per_ky, row_step, dilation = shape[PER_KY], shape[ROW] * shape[LANES], shape[DILATION]
    if looked_up:
        per_ky, row_step = (shape[CHUNKS] << shape[BITS]) * shape[LANES], 0
    top = y * shape[STRIDE] - shape[PADDING]
    low, high = max(0, -(top // dilation)), min(kernel, (shape[H] - 1 - top) // dilation + 1)
    base, at, per_row = (
        tile + low * per_ky - (top + low * dilation) * row_step,
        (top + low * dilation) * across,
        dilation * across,
    )
    per_ky -= dilation * row_step
    for place in range(shape[ACROSS]):
        sums = zeros
        for run in range(runs):
            q = np.uint64(place * runs + run)
            start, rows = base if looked_up else base + places[2, q], np.uint64(at) + q
            for _ in range(low, high):
                first, last = np.uint64(starts[rows]), np.uint64(ends[rows])
                if first < last:
                    sums = plus_rows(sums, weight, start, entries, first, last, values)
                start += per_ky
                rows += np.uint64(per_row)
        put(line, place * part + tile, sums)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def deliver_delayed(sent: Array, first: int, steps: int, cur: Array, lag: int, weight: Array, delay: Array) -> int:
    """A dense synapse with a delay of its own for each weight; weight, delay [N_in, N_out]."""
    synops = 0
    for m in range(sent.shape[0]):
        for t in range(steps):
            for i in range(weight.shape[0]):
                s = sent[m, first + t, i]
                if s == 0:
                    continue
                synops += weight.shape[1]
                for k in range(weight.shape[1]):
                    cur[m, t + lag + delay[i, k], k] += s * weight[i, k]
    return synops


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def largest(sent: Array, first: int, steps: int) -> Any:
    """The largest magnitude in rows first, first + 1, ... of messages [M, T, N]."""
    high, low = nb.int64(0), nb.int64(0)
    for m in range(sent.shape[0]):
        for row in range(first, first + steps):
            values = sent[m, row]
            for i in range(len(values)):
                high, low = max(high, nb.int64(values[i])), min(low, nb.int64(values[i]))
    return max(high, -low)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def to_channel_last(frames: Array, out: Array, channels: int) -> None:
    """Frames [M, T, C * P] into out [M, T, P * C and padding]; uint8 keeps only whether a value is not 0."""
    for m in range(frames.shape[0]):
        for t in range(frames.shape[1]):
            row, target = frames[m, t], out[m, t]
            if channels == 1:
                _interleave(row, target, 1)
            elif channels == 2:
                _interleave(row, target, 2)
            elif channels == 3:
                _interleave(row, target, 3)
            else:
                _interleave(row, target, channels)


@nb.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _interleave(row: Array, target: Array, channels: Any) -> None:
    """With a known number of channels LLVM makes vectors of it."""
    pixels = len(row) // channels
    for p in range(np.uint64(pixels)):
        for c in range(np.uint64(channels)):
            value = row[c * np.uint64(pixels) + p]
            target[p * np.uint64(channels) + c] = value if target.itemsize > 1 else value != 0
