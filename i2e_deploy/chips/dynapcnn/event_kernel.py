"""The compiled core of the event engine: one core works through its events."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,assignment"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.simd import (
    add_fire_8,
    add_fire_16,
    add_fire_16bit_8,
    count_bits,
    lowest_bit,
)


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def number_stimuli(stimuli, spikes, height, width):
    """Stimuli as spikes, their index as cause; how many of them lie outside the plane."""
    outside = 0
    for i in range(stimuli.shape[0]):
        spikes[i].t, spikes[i].cause = stimuli[i].t, i
        spikes[i].c, spikes[i].y, spikes[i].x = stimuli[i].c, stimuli[i].y, stimuli[i].x
        outside += stimuli[i].y < 0 or stimuli[i].y >= height or stimuli[i].x < 0 or stimuli[i].x >= width
    return outside


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def locate(arrivals, edge, rows, columns, lanes, blocks):
    """Which block of states each event reaches, and by which weights.

    Args:
        arrivals: SPIKE array; c < 0 is a tick.
        edge: channels, weights of a channel, feature shift.
        rows, columns: see `geometry.reach_tables`.
        lanes: of one pixel of the core.
        blocks: written, int32 [N, 5]: offsets in states (-1: a tick) and weights, rows, length of a row in lanes,
            pixels that are reached.
    """
    channels, channel_weights, shift = edge
    for event in range(arrivals.shape[0]):
        block, channel = blocks[event], np.int64(arrivals[event].c)
        if channel < 0:
            block[0], block[4] = -1, 0
            continue
        y, x, channel = np.uint64(arrivals[event].y), np.uint64(arrivals[event].x), channel + shift
        block[0], block[1] = rows[y, 0] + columns[x, 0], channel * channel_weights + rows[y, 1] + columns[x, 1]
        block[2], block[3] = rows[y, 2] if channel < channels else 0, columns[x, 2] * lanes
        block[4] = rows[y, 3] * columns[x, 3] if channel < channels else 0


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_core(blocks, v, w, core, flags, event_of, lane_of, totals):
    """Work through events until all are done or the list of spikes is full.

    Args:
        blocks: see `locate`.
        v, w: int16, flat, see `geometry`; behind the weights stands the bias of a pixel.
        core: states from one row to the next, weights from one to the next, lanes, most neurons that an event
            reaches, threshold, low.
        flags: reset to zero, safe (see `event_engine.is_safe`), saturate, skip zero weights, leak fires.
        event_of, lane_of: int32 [room], written: of each spike, the event that caused it and the index of its neuron.
        totals: int64 [2], added to: pixels reached, overflows.

    Returns:
        (events done, spikes written).
    """
    row_states, row_weights, lanes, most, threshold, low = core
    to_zero, safe, saturate, skip_zero, leak_fires = flags
    threshold, low = v.dtype.type(threshold), v.dtype.type(low)
    count = reached = over = 0
    event = 0
    while event < blocks.shape[0]:
        i, k, rows, length = np.int64(blocks[event, 0]), np.int64(blocks[event, 1]), blocks[event, 2], blocks[event, 3]
        state_step, weight_step, reaches, may_fire = row_states, row_weights, most, True
        if i < 0:  # a tick: every pixel, with the bias for weights
            i, k, rows, length = 0, w.shape[0] - lanes, v.shape[0] // lanes, lanes
            state_step, weight_step, reaches, may_fire = lanes, 0, v.shape[0], leak_fires
        if event_of.shape[0] - count < reaches:
            break
        reached += blocks[event, 4]
        for _ in range(rows):
            for first in range(0, length, 64):
                fired, lane, last = np.int64(0), first, min(first + 64, length)
                if safe:
                    while lane + 16 <= last:
                        fired |= np.int64(add_fire_16(v, i + lane, w, k + lane, low, threshold)) << (lane - first)
                        lane += 16
                    if lane < last:
                        fired |= np.int64(add_fire_8(v, i + lane, w, k + lane, low, threshold)) << (lane - first)
                else:
                    while lane < last:
                        mask = np.int64(add_fire_16bit_8(v, i + lane, w, k + lane, low, threshold, saturate, skip_zero))
                        over += count_bits(mask >> 16)
                        fired |= (mask & 0xFF) << (lane - first)
                        lane += 8
                while fired and may_fire:
                    lane = i + first + lowest_bit(fired)
                    fired &= fired - 1
                    v[lane] = 0 if to_zero else v[lane] - threshold
                    event_of[count], lane_of[count] = event, lane
                    count += 1
            i += state_step
            k += weight_step
        event += 1
    totals[0] += reached
    totals[1] += over
    return event, count


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def write_spikes(arrivals, event_of, lane_of, lanes, width, spikes):
    """Spikes as records: time and cause of the event behind them, their neuron's feature, row, column."""
    for j in range(event_of.shape[0]):
        pixel = np.int64((lane_of[j] + 0.5) * (1 / lanes))  # exact: half a lane away from the next pixel
        row = np.int64((pixel + 0.5) * (1 / width))
        spikes[j].t, spikes[j].cause = arrivals[event_of[j]].t, arrivals[event_of[j]].cause
        spikes[j].c, spikes[j].y, spikes[j].x = lane_of[j] - pixel * lanes, row, pixel - row * width
