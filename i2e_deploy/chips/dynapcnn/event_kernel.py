"""The compiled core of the event engine: one core works through its events."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import (
    add_fire_8,
    add_fire_16,
    add_fire_16bit_8,
    count_bits,
    lowest_bit,
    ready_8,
)


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def number_stimuli(stimuli, spikes):
    """Stimuli as spikes, their index as cause."""
    for i in range(stimuli.shape[0]):
        spikes[i].t, spikes[i].cause = stimuli[i].t, i
        spikes[i].c, spikes[i].y, spikes[i].x = stimuli[i].c, stimuli[i].y, stimuli[i].x


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_core(start, arrivals, v, w, edge, rows, columns, core, flags, out, event_of, totals):
    """Work through events `start`, `start + 1`, ... until all are done or the list of spikes is full.

    Args:
        start: first event.
        arrivals: SPIKE array; c < 0 is a tick.
        v, w: int16, flat, see `geometry`; behind the weights stands the bias of each lane.
        edge: int64: channels, weights of a channel, weights of a row, feature shift.
        rows, columns: see `geometry.reach_tables`.
        core: int64: width, lanes, features, threshold, low.
        flags: bool: reset to zero, safe (see `event_engine.is_safe`), saturate, skip zero weights, leak fires.
        out, event_of: the spikes, and the event that caused each.
        totals: int64 [2], added to: synaptic operations, overflows.

    Returns:
        (next event, spikes written).
    """
    width, lanes, threshold, low = core[0], core[1], v.dtype.type(core[3]), v.dtype.type(core[4])
    to_zero, safe, saturate, skip_zero, leak_fires = flags[0], flags[1], flags[2], flags[3], flags[4]
    most, wide = rows[:, 2].max() * columns[:, 2].max() * lanes, lanes >= 16
    event, count, room, reached, over = start, 0, out.shape[0], 0, 0
    while event < arrivals.shape[0]:
        tick = arrivals[event].c < 0
        if room - count < (v.shape[0] if tick else most):
            break
        may_fire = leak_fires or not tick
        if tick:  # every pixel, and the bias for weights
            size, length, i, k, state_step, weight_step = v.shape[0] // lanes, lanes, 0, w.shape[0] - lanes, lanes, 0
        else:
            y, x = np.uint64(arrivals[event].y), np.uint64(arrivals[event].x)
            channel = arrivals[event].c + edge[3]
            size, length = np.int64(rows[y, 2]), columns[x, 2] * lanes
            i, k = np.int64(rows[y, 0]) + columns[x, 0], channel * edge[1] + rows[y, 1] + columns[x, 1]
            state_step, weight_step = width * lanes, edge[2]
            if channel < edge[0]:
                reached += rows[y, 3] * columns[x, 3]
            else:
                size = 0
        for _ in range(size):
            fired = np.int32(0)
            if safe and wide:
                for done in range(0, length, 16):
                    fired |= add_fire_16(v, i + done, w, k + done, low, threshold)
            elif safe:
                for done in range(0, length, 8):
                    fired |= add_fire_8(v, i + done, w, k + done, low, threshold)
            else:
                for done in range(0, length, 8):
                    mask = add_fire_16bit_8(v, i + done, w, k + done, low, threshold, saturate, skip_zero)
                    over += count_bits(mask >> 16)
                    fired |= mask & 0xFFFF
            if fired and may_fire:
                for done in range(0, length, 8):
                    mask = ready_8(v, i + done, w, k + done, threshold, skip_zero)
                    while mask:
                        lane = i + done + lowest_bit(mask)
                        mask &= mask - 1
                        v[lane] = 0 if to_zero else v[lane] - threshold
                        pixel = np.uint32(lane) // np.uint32(lanes)
                        row = pixel // np.uint32(width)
                        event_of[count] = event
                        out[count].t, out[count].cause = arrivals[event].t, arrivals[event].cause
                        out[count].c, out[count].y, out[count].x = lane - pixel * lanes, row, pixel - row * width
                        count += 1
            i += state_step
            k += weight_step
        event += 1
    totals[0] += reached * core[2]
    totals[1] += over
    return event, count
