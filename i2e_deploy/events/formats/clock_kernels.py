"""Compiled loops over the words of EVT2, EVT2.1, EVT3 and the records of DAT: times go on where a counter wraps.

Layouts: docs.prophesee.ai, "EVT 2.0 Format", "EVT 2.1 Format", "EVT 3.0 Format", "DAT Format".

A loop takes a word after another until `limit` events are written, and keeps in `state` (int64) what the next call
needs. The first entries are the same in all: `HIGH`, `LEFT_OUT`.
"""

from __future__ import annotations

import numba
import numpy as np

#: In `state`: TIME_HIGH with all wraps; events left out because no time (EVT3: no row) came before them.
HIGH, LEFT_OUT = 0, 1
#: In `state` of EVT3: TIME_LOW, row, and base column and polarity of vectors.
LOW, ROW, BASE, POLARITY = 2, 3, 4, 5
#: "None came yet", in `HIGH` and `ROW`.
UNKNOWN = -(2**40)
STATE = 6
#: Most events of one word.
MOST_PER_WORD = 32


@numba.njit(cache=True, nogil=True)
def go_on(before, value, modulus, slack, back):  # type: ignore[no-untyped-def]
    """The count that a counter of `modulus` values stands for when it shows `value`, after `before`.

    A counter that falls by almost all of its range has wrapped, where at most `slack` of the range is missing. One that
    rises by all but `back` of it went back over a wrap. Any other fall stays one: the caller sees time go back.
    """
    if before == UNKNOWN:
        return value
    shown = before % modulus
    step = (value - shown) % modulus
    if step <= slack:
        return before + step
    if modulus - step <= back:
        return before - (modulus - step)
    return before - shown + value


@numba.njit(cache=True, nogil=True)
def decode_evt2(words, state, events, limit):  # type: ignore[no-untyped-def]
    """Words uint32 [N] to `events`; (words taken, events written), taken < N also at a word of unknown type."""
    count = 0
    for i in range(len(words)):
        if count >= limit:
            return i, count
        word = np.int64(words[i])
        kind = word >> 28
        if kind <= 1:
            if state[HIGH] == UNKNOWN:
                state[LEFT_OUT] += 1
                continue
            event = events[count]
            event.t = state[HIGH] << 6 | (word >> 22 & 63)
            event.x = word >> 11 & 2047
            event.y = word & 2047
            event.p = kind
            count += 1
        elif kind == 8:
            # 28 bits of 64 us wrap after 4.77 h; a gap of 1 s there is a quiet scene, a longer one a restart
            state[HIGH] = go_on(state[HIGH], word & (2**28 - 1), 2**28, 15_625, 2)
        elif kind != 10 and kind < 14:  # triggers, others, continued
            return i, count
    return len(words), count


@numba.njit(cache=True, nogil=True)
def decode_evt21(words, state, events, limit):  # type: ignore[no-untyped-def]
    """Words uint64 [N], upper half first, to `events`; as `decode_evt2`."""
    count = 0
    for i in range(len(words)):
        if count >= limit:
            return i, count
        high, valid = np.int64(words[i] >> np.uint64(32)), np.int64(words[i] & np.uint64(2**32 - 1))
        kind = high >> 28
        if kind <= 1:
            for bit in range(32):
                if valid >> bit & 1:
                    if state[HIGH] == UNKNOWN:
                        state[LEFT_OUT] += 1
                        continue
                    event = events[count]
                    event.t = state[HIGH] << 6 | (high >> 22 & 63)
                    event.x = (high >> 11 & 2047) + bit
                    event.y = high & 2047
                    event.p = kind
                    count += 1
        elif kind == 8:
            state[HIGH] = go_on(state[HIGH], high & (2**28 - 1), 2**28, 15_625, 2)
        elif kind != 10 and kind < 14:
            return i, count
    return len(words), count


@numba.njit(cache=True, nogil=True)
def decode_evt3(words, state, events, limit):  # type: ignore[no-untyped-def]  # noqa: PLR0912  # a branch a type
    """Words uint16 [N] to `events`; as `decode_evt2`."""
    count = 0
    for i in range(len(words)):
        if count >= limit:
            return i, count
        word = np.int64(words[i])
        kind = word >> 12
        if kind == 0:
            state[ROW] = word & 2047
        elif kind == 6:
            state[LOW] = word & 4095
        elif kind == 8:
            # 12 bits of 4096 us wrap after 16.8 s. Cameras write each value, so more than 10 lost ones (41 ms; the
            # figure of OpenEB's decoder) are no wrap.
            high = go_on(state[HIGH], word & 4095, 4096, 10, 2)
            if high != state[HIGH]:
                state[HIGH], state[LOW] = high, 0
        elif 2 <= kind <= 5:
            if kind == 3:
                state[BASE], state[POLARITY] = word & 2047, word >> 11 & 1
                continue
            if kind == 2:
                x, p = np.int64(word & 2047), np.int64(word >> 11 & 1)
                bits, width = np.int64(1), 1
            else:
                width = 12 if kind == 4 else 8
                x, bits, p = state[BASE], word & ((1 << width) - 1), state[POLARITY]
                state[BASE] += width
            for bit in range(width):
                if bits >> bit & 1:
                    if state[HIGH] == UNKNOWN or state[ROW] == UNKNOWN:
                        state[LEFT_OUT] += 1
                        continue
                    event = events[count]
                    event.t = state[HIGH] << 12 | state[LOW]
                    event.x = x + bit
                    event.y = state[ROW]
                    event.p = p
                    count += 1
        elif kind not in (7, 10, 14, 15):  # continued, triggers, others
            return i, count
    return len(words), count


@numba.njit(cache=True, nogil=True)
def decode_dat(records, state, events, limit):  # type: ignore[no-untyped-def]
    """Records uint64 [N] (time in the lower half) to `events`; as `decode_evt2`, no record is of unknown type."""
    for i in range(min(len(records), limit)):
        address = np.int64(records[i] >> np.uint64(32))
        # 32 bits of us wrap after 71.6 min; a gap of 1 s there is a quiet scene, a longer one a restart
        state[HIGH] = go_on(state[HIGH], np.int64(records[i] & np.uint64(2**32 - 1)), 2**32, 1_000_000, 0)
        event = events[i]
        event.t = state[HIGH]
        event.x = address & 16383
        event.y = address >> 14 & 16383
        event.p = address >> 28
    return min(len(records), limit), min(len(records), limit)


@numba.njit(cache=True, nogil=True)
def count_unknown(words, shift, evt3):  # type: ignore[no-untyped-def]
    """How many words at the start of `words` [N] are of unknown type; the type is `word >> shift`."""
    for i in range(len(words)):
        kind = (np.int64(words[i]) >> shift) & 15
        known = (kind not in (1, 9, 11, 12, 13)) if evt3 else (kind <= 1 or kind in (8, 10) or kind >= 14)
        if known:
            return i
    return len(words)
