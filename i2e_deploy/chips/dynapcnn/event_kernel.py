"""The compiled core of the event engine: one core works through its events."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import add_fire_8, add_fire_16, add_fire_16bit_8, lowest_bit


@numba.njit(cache=True, nogil=True, boundscheck=False)
def fire_lanes(mask, base, v, threshold, to_zero, lanes, width, event, count, out):
    """Reset the lanes in `mask` and write down their spikes; the new count."""
    events, features, rows, columns = out
    while mask:
        i = base + np.int64(lowest_bit(np.int32(mask)))
        mask &= mask - 1
        v[i] = 0 if to_zero else v[i] - threshold
        pixel = np.uint32(i) // np.uint32(lanes)
        row = pixel // np.uint32(width)
        events[count] = event
        features[count] = i - pixel * lanes
        rows[count] = row
        columns[count] = pixel - row * width
        count += 1
    return count


@numba.njit(cache=True, nogil=True, boundscheck=False)
def add_run(v, i, w, k, length, low, threshold, to_zero, lanes, width, event, count, out):
    """One contiguous run of neurons, where no sum leaves 16 bits and nothing stays above threshold."""
    done = 0
    while done + 16 <= length:
        mask = add_fire_16(v, i + done, w, k + done, low, threshold)
        if mask:
            count = fire_lanes(mask, i + done, v, threshold, to_zero, lanes, width, event, count, out)
        done += 16
    if done < length:
        mask = add_fire_8(v, i + done, w, k + done, low, threshold)
        if mask:
            count = fire_lanes(mask, i + done, v, threshold, to_zero, lanes, width, event, count, out)
    return count


@numba.njit(cache=True, nogil=True, boundscheck=False)
def add_run_16bit(
    v, i, w, k, length, low, threshold, to_zero, lanes, width, event, count, out, saturate, skip_zero, may_fire, over
):
    """The same where states may overflow or stay above threshold; also counts overflows."""
    for done in range(0, length, 8):
        mask = add_fire_16bit_8(v, i + done, w, k + done, low, threshold, saturate, skip_zero)
        high = mask >> 16
        while high:
            over += high & 1
            high >>= 1
        if may_fire and mask & 0xFF:
            count = fire_lanes(mask & 0xFF, i + done, v, threshold, to_zero, lanes, width, event, count, out)
    return count, over


@numba.njit(cache=True, nogil=True, boundscheck=False)
def run_core(
    start, c, y, x, v, w, bias, edge, rows, columns, core, options, out, totals,
):  # fmt: skip
    """Work through events `start`, `start + 1`, ... until all are done or the spike lists are full.

    Args:
        start: first event.
        c, y, x: int16 [N]; c < 0 is a tick.
        v, w, bias: int16, flat, see `geometry`.
        edge: int64: channels, kernel rows, weights per kernel row, feature shift.
        rows, columns: int32 [3, size]: first, last, tap.
        core: int64: width, lanes, features, threshold, low, reset to zero.
        options: bool: safe (see `event_engine.is_safe`), saturate, skip zero weights, leak fires.
        out: of each spike: event index int32, feature, row, column int16.
        totals: int64 [2], added to: synaptic operations, overflows.

    Returns:
        (next event, spikes written).
    """
    channels, kernel, row_weights, shift = edge[0], edge[1], edge[2], edge[3]
    width, lanes, features = core[0], core[1], core[2]
    threshold, low, to_zero = v.dtype.type(core[3]), v.dtype.type(core[4]), core[5] == 1
    safe, saturate, skip_zero, leak_fires = options[0], options[1], options[2], options[3]
    count, room, most = 0, out[0].shape[0], kernel * row_weights
    for event in range(start, c.shape[0]):
        if room - count < (v.shape[0] if c[event] < 0 else most):
            return event, count
        if c[event] < 0:
            for pixel in range(0, v.shape[0], lanes):
                count, totals[1] = add_run_16bit(
                    v, pixel, bias, 0, lanes, low, threshold, to_zero, lanes, width, event, count, out,
                    saturate, skip_zero, leak_fires, totals[1],
                )  # fmt: skip
            continue
        channel, ey, ex = c[event] + shift, y[event], x[event]
        if channel >= channels or columns[1, ex] < columns[0, ex]:
            continue
        length = (columns[1, ex] - columns[0, ex] + 1) * lanes
        for oy in range(rows[0, ey], rows[1, ey] + 1):
            ky = rows[2, ey] - (oy - rows[0, ey]) * edge[4]
            i = (oy * width + columns[0, ex]) * lanes
            k = (channel * kernel + ky) * row_weights + columns[2, ex] * lanes
            if safe:
                count = add_run(v, i, w, k, length, low, threshold, to_zero, lanes, width, event, count, out)
            else:
                count, totals[1] = add_run_16bit(
                    v, i, w, k, length, low, threshold, to_zero, lanes, width, event, count, out,
                    saturate, skip_zero, True, totals[1],
                )  # fmt: skip
            totals[0] += length // lanes * features
    return c.shape[0], count
