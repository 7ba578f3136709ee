"""Events add their weights to the states of a core that cannot overflow: the inner loops of the event engine.

A small layer leaves 30 cycles an event, so nothing in these loops depends on what a neuron does: no branch and no
address: a mispredicted branch costs 20 cycles, and a store to an unknown address delays the loads after it.
Every event writes the mask of its neurons that fire, mostly zeros, to its own place; `list_fired` reads them later.
The smallest blocks have loops of their own, without an inner one: in the general loop they take half as long again.

Arguments of all of them:
    words: uint16, flat: the events, `size` words each. A STIMULUS is 7 words, a SPIKE 9: both end in c, y, x.
    tables: rows and columns, see `event.engine.reach_words`.
    edge: channels, weights of a channel, feature shift.
    v, w: int16, flat, see `geometry`.
    block: states from one row to the next, weights from one to the next, rows, length of a row in lanes.
    levels: int16: lower bound, threshold - 1, most that a spike takes away, highest state that no weight overflows.
    masks: uint64, flat, written: of each event as many words as a block needs; bit `row * length + lane`.

They stop after an event that brings a state above the highest level, and return (events done, pixels reached).
"""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,assignment"

from __future__ import annotations

import numba
import numpy as np

from i2e_deploy.chips.dynapcnn.engine.simd import add_fire_2x16, add_fire_8, add_fire_16, add_fire_24
from i2e_deploy.llvm_vectors import lowest_bit

#: Without a sign: numba looks for indices below zero otherwise.
ONE, TWO = np.uint64(1), np.uint64(2)


@numba.njit(nogil=True, boundscheck=False, error_model="numpy")
def find_block(words, at, tables, edge):
    """Pixels that an event reaches, offsets of its block in states and weights; `at`: the event's last word."""
    channels, channel_weights, shift = edge
    channel = words[at - TWO] + shift
    y, x = np.uint64(words[at - ONE]) << ONE, np.uint64(words[at]) << ONE
    pixels = tables[0][y | ONE] * tables[1][x | ONE] if channel < channels else 0
    place = tables[0][y] + tables[1][x]
    return pixels, np.int64(np.int32(place)), channel * channel_weights + (place >> 32)


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def add_rows_2x16(words, size, tables, edge, v, w, block, levels, masks):
    """Blocks of two rows of 16 lanes: a first layer of 3x3 kernels, stride 2, 8 features."""
    low, below, most, high = levels
    stop, reached, at = 0, 0, np.uint64(size - 1)
    for event in range(words.shape[0] // size):
        pixels, i, k = find_block(words, at, tables, edge)
        if pixels:
            stop = add_fire_2x16(v, i, block[0], w, k, block[1], low, below, most, high, masks, event << 3)
        else:
            masks[event] = 0
        reached += pixels
        at += np.uint64(size)
        if stop:
            return event + 1, reached
    return words.shape[0] // size, reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def add_row_16(words, size, tables, edge, v, w, block, levels, masks):
    """Blocks of one row of 16 lanes: a first layer of 2x2 kernels, stride 2, 16 features."""
    low, below, most, high = levels
    stop, reached, at = 0, 0, np.uint64(size - 1)
    for event in range(words.shape[0] // size):
        pixels, i, k = find_block(words, at, tables, edge)
        if pixels:
            stop = add_fire_16(v, i, w, k, low, below, most, high, masks, event << 3)
        else:
            masks[event] = 0
        reached += pixels
        at += np.uint64(size)
        if stop:
            return event + 1, reached
    return words.shape[0] // size, reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def add_rows_3x24(words, size, tables, edge, v, w, block, levels, masks):
    """Blocks of three rows of 24 lanes: 3x3 kernels, stride 1, 8 features."""
    low, below, most, high = levels
    stop, reached, at, byte = 0, 0, np.uint64(size - 1), 0
    for event in range(words.shape[0] // size):
        pixels, i, k = find_block(words, at, tables, edge)
        if pixels:
            for _ in range(3):
                stop |= add_fire_24(v, i, w, k, low, below, most, high, masks, byte)
                i, k, byte = i + block[0], k + block[1], byte + 3
            byte += 7
        else:
            masks[2 * event], masks[2 * event + 1] = 0, 0
            byte += 16
        reached += pixels
        at += np.uint64(size)
        if stop:
            return event + 1, reached
    return words.shape[0] // size, reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def add_blocks(words, size, tables, edge, v, w, block, levels, masks):
    """Blocks of any size."""
    row_states, row_weights, height, length = block
    low, below, most, high = levels
    stop, reached, at, mask, mask_words = 0, 0, np.uint64(size - 1), 0, height * length + 63 >> 6
    for event in range(words.shape[0] // size):
        pixels, i, k = find_block(words, at, tables, edge)
        byte = mask << 3
        if pixels:
            for _row in range(height):
                for lane in range(0, length - 15, 16):
                    stop |= add_fire_16(v, i + lane, w, k + lane, low, below, most, high, masks, byte + (lane >> 3))
                if length & 8:
                    lane = length - 8
                    stop |= add_fire_8(v, i + lane, w, k + lane, low, below, most, high, masks, byte + (lane >> 3))
                i += row_states
                k += row_weights
                byte += length >> 3
        else:
            for word in range(mask, mask + mask_words):
                masks[word] = 0
        reached += pixels
        mask += mask_words
        at += np.uint64(size)
        if stop:
            return event + 1, reached
    return words.shape[0] // size, reached


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def list_fired(words, size, tables, masks, neurons, fired, event_of, neuron_of):
    """The neurons whose bits are set.

    Args:
        neurons: int32: where the neuron of a mask's bit stands, from that of the first bit.
        fired: int32 [masks], working space.
        event_of, neuron_of: int32, written: event and neuron of each spike.

    Returns:
        How many.
    """
    mask_words, number = np.uint64(neurons.shape[0] >> 6), words.shape[0] // size
    per_event = np.uint64((2**40 + neurons.shape[0] // 64 - 1) // (neurons.shape[0] // 64))  # see `reciprocal`
    filled = np.uint64(0)
    for word in range(np.uint64(number) * mask_words):
        fired[filled] = word
        filled += np.uint64(masks[word] != 0)
    count = np.uint64(0)
    for j in range(filled):
        word = np.uint64(fired[j])
        event = word * per_event >> np.uint64(40)
        at, bits = event * np.uint64(size) + np.uint64(size - 1), (word - event * mask_words) << np.uint64(6)
        first = np.int32(tables[0][np.uint64(words[at - ONE]) << ONE] + tables[1][np.uint64(words[at]) << ONE])
        mask = masks[word]
        while mask:
            event_of[count], neuron_of[count] = event, first + neurons[bits + np.uint64(lowest_bit(mask))]
            mask &= mask - ONE
            count += ONE
    return np.int64(count)
