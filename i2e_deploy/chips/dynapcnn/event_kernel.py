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
def locate(arrivals, edge, rows, columns, lanes, blocks):
    """Which block of states each event reaches, and by which weights.

    Args:
        arrivals: SPIKE array; c < 0 is a tick.
        edge: channels, weights of a channel, feature shift.
        rows, columns: see `geometry.reach_tables`.
        lanes: of one pixel of the core.
        blocks: written, int32 [N, 4]: offsets in states (-1: a tick) and weights, rows, length of a row in lanes.

    Returns:
        How many pixels were reached.
    """
    channels, channel_weights, shift = edge
    reached = 0
    for event in range(arrivals.shape[0]):
        block, channel = blocks[event], np.int64(arrivals[event].c)
        if channel < 0:
            block[0] = -1
            continue
        y, x, channel = np.uint64(arrivals[event].y), np.uint64(arrivals[event].x), channel + shift
        block[0], block[1] = rows[y, 0] + columns[x, 0], channel * channel_weights + rows[y, 1] + columns[x, 1]
        block[2], block[3] = rows[y, 2], columns[x, 2] * lanes
        if channel < channels:
            reached += rows[y, 3] * columns[x, 3]
        else:
            block[2] = 0
    return reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_core(start, blocks, v, w, core, flags, event_of, lane_of):
    """Work through events `start`, `start + 1`, ... until all are done or the list of spikes is full.

    Args:
        start: first event.
        blocks: see `locate`.
        v, w: int16, flat, see `geometry`; behind the weights stands the bias of a pixel.
        core: states from one row to the next, weights from one to the next, lanes, most neurons that an event
            reaches, threshold, low.
        flags: reset to zero, safe (see `event_engine.is_safe`), saturate, skip zero weights, leak fires.
        event_of, lane_of: int32 [room], written: of each spike, the event that caused it and the index of its neuron.

    Returns:
        (next event, spikes written, overflows).
    """
    row_states, row_weights, lanes, most, threshold, low = core
    to_zero, safe, saturate, skip_zero, leak_fires = flags
    threshold, low = v.dtype.type(threshold), v.dtype.type(low)
    count = over = 0
    for event in range(start, blocks.shape[0]):
        i, k, rows, length = np.int64(blocks[event, 0]), np.int64(blocks[event, 1]), blocks[event, 2], blocks[event, 3]
        state_step, weight_step, reaches, may_fire = row_states, row_weights, most, True
        if i < 0:  # a tick: every pixel, with the bias for weights
            i, k, rows, length = 0, w.shape[0] - lanes, v.shape[0] // lanes, lanes
            state_step, weight_step, reaches, may_fire = lanes, 0, v.shape[0], leak_fires
        if event_of.shape[0] - count < reaches:
            return event, count, over
        for _ in range(rows):
            fired, done = 0, 0
            if safe:
                while done + 16 <= length:
                    fired |= add_fire_16(v, i + done, w, k + done, low, threshold)
                    done += 16
                if done < length:
                    fired |= add_fire_8(v, i + done, w, k + done, low, threshold)
            else:
                while done < length:
                    mask = add_fire_16bit_8(v, i + done, w, k + done, low, threshold, saturate, skip_zero)
                    over += count_bits(mask >> 16)
                    fired |= mask & 0xFFFF
                    done += 8
            if fired and may_fire:
                done = 0
                while done < length:
                    mask = ready_8(v, i + done, w, k + done, threshold, skip_zero)
                    while mask:
                        lane = i + done + lowest_bit(mask)
                        mask &= mask - 1
                        v[lane] = 0 if to_zero else v[lane] - threshold
                        event_of[count], lane_of[count] = event, lane
                        count += 1
                    done += 8
            i += state_step
            k += weight_step
    return blocks.shape[0], count, over


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def write_spikes(arrivals, event_of, lane_of, lanes, width, spikes):
    """Spikes as records: time and cause of the event behind them, their neuron's feature, row, column."""
    for j in range(event_of.shape[0]):
        pixel = np.uint32(lane_of[j]) // np.uint32(lanes)
        row = pixel // np.uint32(width)
        spikes[j].t, spikes[j].cause = arrivals[event_of[j]].t, arrivals[event_of[j]].cause
        spikes[j].c, spikes[j].y, spikes[j].x = lane_of[j] - pixel * lanes, row, pixel - row * width
