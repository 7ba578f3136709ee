"""Compiled parts of the event engine beside its inner loops: the general core, checks, list of spikes, event filter."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,assignment,var-annotated"

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.engine.event.blocks import ONE, TWO
from i2e_deploy.chips.dynapcnn.engine.simd import add_fire_16bit_8
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK
from i2e_deploy.llvm_vectors import count_bits, lowest_bit

#: The feature of a tick as a word of 16 bits without a sign.
TICK_WORD = 2**16 - 1


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def count_outside(words, size, height, width):
    """How many events lie outside the plane; for `words`, `size` see `event.blocks`."""
    outside, at = 0, np.uint64(size - 1)
    for _ in range(words.shape[0] // size):
        outside += (words[at - ONE] >= height) | (words[at] >= width)
        at += np.uint64(size)
    return outside


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def run_core(words, size, tables, edge, v, w, block, levels, flags, event_of, neuron_of, totals):
    """Work through events and ticks, whatever the states, until all are done or the list of spikes is full.

    Args:
        words, size, edge, v, levels: see `event.blocks`.
        tables: rows and columns, see `geometry.reach_tables`.
        w: as there; after the weights comes the bias of a pixel.
        block: states from one row to the next, weights from one to the next, lanes of a pixel, most neurons that an
            event reaches.
        flags: saturate, skip zero weights, ticks add the bias, ticks make neurons fire.
        event_of, neuron_of: int32 [room], written: of each spike, the event that caused it and where its neuron stands.
        totals: int64 [2], added to: pixels reached, overflows.

    Returns:
        (events done, spikes written).
    """
    (rows, columns), (channels, channel_weights, shift), (low, below, most) = tables, edge, levels[:3]
    row_states, row_weights, lanes, most_reached = block
    saturate, skip_zero, ticks_add, ticks_fire = flags
    count = event = 0
    while event < words.shape[0] // size:
        at = np.uint64(event * size + size - 1)
        y, x, channel = np.uint64(words[at - ONE]), np.uint64(words[at]), words[at - TWO] + shift
        i, k = rows[y, 0] + columns[x, 0], channel * channel_weights + rows[y, 1] + columns[x, 1]
        height, length = rows[y, 2] if channel < channels else 0, columns[x, 2] * lanes
        state_step, weight_step, reaches, due, pixels = row_states, row_weights, most_reached, most, 0
        if words[at - TWO] != TICK_WORD:
            pixels = rows[y, 3] * columns[x, 3] if channel < channels else 0
        elif ticks_add:  # every pixel, with the bias for weights
            i, k, height, length = 0, w.shape[0] - lanes, v.shape[0] // lanes, lanes
            state_step, weight_step, reaches, due = lanes, 0, v.shape[0], most if ticks_fire else most * 0
        if event_of.shape[0] - count < reaches:
            break  # before anything of this event is counted: it comes again
        totals[0] += pixels
        for _ in range(height):
            for lane in range(0, length, 8):
                mask = add_fire_16bit_8(v, i + lane, w, k + lane, low, below, due, saturate, skip_zero)
                totals[1] += count_bits(mask >> 16)
                mask &= 0xFF if due else 0
                while mask:
                    event_of[count], neuron_of[count] = event, i + lane + lowest_bit(mask)
                    mask &= mask - 1
                    count += 1
            i += state_step
            k += weight_step
        event += 1
    return event, count


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def write_spikes(words, size, first, event_of, neuron_of, lanes, spikes):
    """Spikes as SPIKE words: time and cause of the event that caused them, their neuron's feature, row, column.

    Args:
        words, size: see `event.blocks`.
        first: number of events before these, the cause of the first one if it is a STIMULUS.
        event_of, neuron_of: see `run_core`.
        lanes: of a pixel, their `reciprocal`, pixels of a row, their `reciprocal`.
        spikes: uint16, flat, written.
    """
    features, per_features, width, per_width = lanes
    to = np.uint64(0)
    for j in range(event_of.shape[0]):
        at = np.uint64(event_of[j]) * np.uint64(size)
        for word in range(np.uint64(4)):
            spikes[to + word] = words[at + word]
        cause = first + event_of[j]
        if size == 9:
            cause = words[at + np.uint64(4)] | np.int64(words[at + np.uint64(5)]) << 16
        pixel = neuron_of[j] * per_features >> 40
        row = pixel * per_width >> 40
        spikes[to + np.uint64(4)], spikes[to + np.uint64(5)] = cause, cause >> 16
        spikes[to + np.uint64(6)] = neuron_of[j] - pixel * features
        spikes[to + np.uint64(7)], spikes[to + np.uint64(8)] = row, pixel - row * width
        to += np.uint64(9)


class FilterSettings(NamedTuple):
    """Of an `EventFilter`: half its window, its threshold, and what its mode makes of a pixel's own last event."""

    down: int
    across: int
    threshold: int
    counts_own: bool
    blocks_own: bool
    low_pass: bool


@numba.njit(cache=True, nogil=True)
def filter_events(now, c, y, x, last, settings):
    """`reference.event_filter.filter_reference`: which events pass.

    Args:
        now: int64 [N], the slow-clock count of each event.
        c, y, x: int16 [N].
        last: int64 [H, W], the count at each pixel's last event, written.
    """
    down, across, threshold, counts_own, blocks_own, low_pass = settings
    height, width = last.shape
    passes = np.zeros(len(c), np.bool_)
    for i in range(len(c)):
        if c[i] == TICK:
            passes[i] = True
            continue
        py, px, count = y[i], x[i], now[i]
        own = count - last[py, px] < threshold
        if low_pass:
            passes[i] = not own
        elif not (blocks_own and own):
            found = False
            for ny in range(max(0, py - down), min(height, py + down + 1)):
                for nx in range(max(0, px - across), min(width, px + across + 1)):
                    if count - last[ny, nx] < threshold and (ny != py or nx != px or counts_own):
                        found = True
            passes[i] = found
        last[py, px] = count
    return passes
