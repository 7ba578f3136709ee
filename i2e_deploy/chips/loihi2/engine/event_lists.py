"""What one step's messages make of a synapse: a list of rows of weights, and a range of it for each place looked at.

See `kernels`. `words` are the bits of what is not 0, `before` how many are set before each word.
"""
# mypy: disable-error-code="call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.llvm_vectors import count_bits, lowest_bit, nonzero_64

# numba's types are not mypy's.
nb: Any = numba
# Arrays of several dtypes pass through: numba specialises on them.
Array = Any

#: What the array `shape` holds: input rows and neurons in one; output rows, places along one and channels of a group;
#: places that one output looks at in a row; kernel, stride, padding and dilation down the image; 16-bit numbers of a
#: row of weights and of all rows that belong to one kernel row; for the table neurons of a place, bits of a pattern,
#: patterns of a place.
(H, ROW, H_OUT, ACROSS, PART, RUNS, KERNEL, STRIDE, PADDING, DILATION, LANES, PER_KY, SEEN, BITS, CHUNKS) = range(15)
_ONE = np.uint64(1)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def pack(messages: Array, words: Array, before: Array) -> int:
    """Bits of what is not 0, and how many are set before each word; returns how many in all."""
    count = 0
    for word in range(len(messages) // 64):
        words[word] = nonzero_64(messages, word * 64)
        before[word] = count
        count += nb.int64(count_bits(words[word]))
    before[len(messages) // 64] = count
    return count


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def list_events(words: Array, lanes: int, entries: Array) -> None:
    """Where the weights of each event start, without what `places` adds."""
    n = np.uint64(0)
    for word in range(len(words)):
        bits, start = words[word], word * 64
        while bits != 0:
            entries[n] = (start + nb.int64(lowest_bit(bits))) * lanes
            bits &= bits - _ONE
            n += _ONE


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def list_values(words: Array, messages: Array, values: Array) -> int:
    """Returns the largest magnitude."""
    n, high, low = np.uint64(0), 0, 0
    for word in range(len(words)):
        bits, start = words[word], np.uint64(word * 64)
        while bits != 0:
            value = messages[start + lowest_bit(bits)]
            values[n], high, low = value, max(high, nb.int64(value)), min(low, nb.int64(value))
            bits &= bits - _ONE
            n += _ONE
    return max(high, -low)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _rank(words: Array, before: Array, i: int) -> Any:
    """Bits set before bit i."""
    below = (_ONE << np.uint64(i & 63)) - _ONE
    return nb.int64(before[i >> 6] + nb.int64(count_bits(words[i >> 6] & below)))


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def list_ranges(
    words: Array, before: Array, places: Array, shape: Array, starts: Array, ends: Array, busy: Array
) -> None:
    """Ranges of events by row and place; `busy`: their lengths, summed over a row."""
    across = places.shape[1]
    for y in range(shape[H]):
        row, total = y * shape[ROW], 0
        if _rank(words, before, row + shape[ROW]) > _rank(words, before, row):
            for q in range(across):
                start, end = _rank(words, before, row + places[0, q]), _rank(words, before, row + places[1, q])
                starts[y * across + q], ends[y * across + q] = start, end
                total += end - start
        else:
            starts[y * across : (y + 1) * across] = 0
            ends[y * across : (y + 1) * across] = 0
        busy[y] = total


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def list_patterns(
    words: Array, places: Array, shape: Array, entries: Array, starts: Array, ends: Array, busy: Array
) -> None:
    """Entries of the table by row and place; a place is seen in CHUNKS patterns."""
    across, lanes, n, step = np.uint64(places.shape[1]), shape[LANES], np.uint64(0), np.uint64(shape[BITS])
    lefts, rights, cut, mask = places[0], places[1], places[3], (_ONE << step) - _ONE
    for y in range(shape[H]):
        row, total = y * shape[ROW], np.uint64(0)
        for q in range(across):
            i = np.uint64(row + lefts[q])
            word, low = i >> np.uint64(6), i & np.uint64(63)
            seen = (words[word] >> low) | ((words[word + _ONE] << _ONE) << (np.uint64(63) - low))
            seen &= (_ONE << np.uint64(rights[q] - lefts[q])) - _ONE
            total += count_bits(seen)
            seen <<= np.uint64(cut[q])
            starts[np.uint64(y) * across + q] = n
            for chunk in range(shape[CHUNKS]):
                entries[n] = nb.int64((np.uint64(chunk) << step) + (seen & mask)) * lanes
                seen >>= step
                n += _ONE
            ends[np.uint64(y) * across + q] = n
        busy[y] = total
