"""Compiled inner loops: events scattered into currents. Arithmetic is modulo 2^16 or 2^32; `plan` proves that enough.

Arrays are [M, T, N] with images channel-last (N = H * W * C), passed whole: `span` = (first, steps, lag) says which
rows of `sent` are read, and that row `first + t` is added to row `t + lag` of `cur`. Slices taken before each inner
loop keep numba's checks for negative indices out of it, which would prevent vector code.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.loihi2.vector import add_run, trailing_zeros

# numba's types are not mypy's.
nb: Any = numba
# Arrays of several dtypes pass through: numba specialises on them.
Array = Any


# The bytes 0 or 1 of a word, gathered into its top byte by this product.
_GATHER, _ONES = np.uint64(0x0102040810204080), np.uint64(0x0101010101010101)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def scatter_spikes(
    words: Array,
    cur: Array,
    span: Any,
    weight: Array,
    across: Array,
    down: Array,
    sizes: Any,
    silent: bool,
    lo: int,
    hi: int,
) -> int:
    """Plain spikes into a convolution without groups and horizontal dilation, 64 neurons at a time.

    Args:
        words: spikes uint8 [M, T, N and padding to 64], seen as uint64.
        cur: one-dimensional view of [M, rows, N_out].
        weight: one-dimensional view of [phase, kH, C_in, taps * C_out]: the horizontal taps that one column of
            the input meets, by rising output column; negated if `silent`.
        across: [W, 3] for an input column: offset into the weights, offset into the output row, length of the run.
        down: [H, 1 + 2 kH] for an input row: how many output rows, then pairs (offset of weights, of the output).
        sizes: (N, W, C_in, length of one channel's taps, rows of cur, N_out).
        silent: scatter the neurons that did not fire.
        lo, hi: range of `m * steps + t` to work on.

    Returns:
        Additions done.
    """
    (begin, steps, lag), (size, width, channels, taps, rows, size_out) = span, sizes
    done = 0
    per_channel, per_row = np.uint64(2**40 // channels + 1), np.uint64(2**40 // width + 1)
    for job in range(lo, hi):
        m, t = job // steps, job % steps
        base = (m * rows + t + lag) * size_out
        filled = words[m, begin + t]
        for group in range(0, len(filled), 8):
            bits = np.uint64(0)
            for k in range(8):
                word = filled[group + k] ^ _ONES if silent else filled[group + k]
                bits |= ((word * _GATHER) >> np.uint64(56)) << np.uint64(8 * k)
            while bits != 0:
                i = np.uint64(group * 8) + trailing_zeros(bits)
                bits &= bits - np.uint64(1)
                if i >= size:
                    break
                pixel = (i * per_channel) >> np.uint64(40)  # exact: N * C_in < 2^40
                y = (pixel * per_row) >> np.uint64(40)
                x, c = pixel - y * np.uint64(width), i - pixel * np.uint64(channels)
                length = np.uint64(across[x, 2])
                for j in range(down[y, 0]):
                    at = np.uint64(base + down[y, 2 + 2 * j] + across[x, 1])
                    offset = np.uint64(down[y, 1 + 2 * j] + across[x, 0]) + c * np.uint64(taps)
                    add_run(cur, at, weight, offset, length, None)
                    done += length
    return done


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_map(cur: Array, span: Any, values: Array, lo: int, hi: int) -> None:
    """The same currents [N_out] to every row of cur [M, rows, N_out] in the span."""
    steps, lag = span[1], span[2]
    for job in range(lo, hi):
        row = cur[job // steps, job % steps + lag]
        for n in range(len(row)):
            row[n] += values[n]


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def scatter_values(
    words: Array,
    values: Array,
    cur: Array,
    span: Any,
    weight: Array,
    across: Array,
    down: Array,
    sizes: Any,
    lo: int,
    hi: int,
) -> int:
    """As `scatter_spikes` for messages with values, int32 [M, T, N and padding], `words` being the same memory."""
    (begin, steps, lag), (size, width, channels, taps, rows, size_out) = span, sizes
    done = 0
    per_channel, per_row = np.uint64(2**40 // channels + 1), np.uint64(2**40 // width + 1)
    for job in range(lo, hi):
        m, t = job // steps, job % steps
        base = (m * rows + t + lag) * size_out
        filled, row = words[m, begin + t], values[m, begin + t]
        for word in range(len(filled)):
            if filled[word] == 0:
                continue
            for i in range(np.uint64(2 * word), np.uint64(min(size, 2 * word + 2))):
                value = row[i]
                if value == 0:
                    continue
                pixel = (i * per_channel) >> np.uint64(40)
                y = (pixel * per_row) >> np.uint64(40)
                x, c = pixel - y * np.uint64(width), i - pixel * np.uint64(channels)
                length = np.uint64(across[x, 2])
                for j in range(down[y, 0]):
                    at = np.uint64(base + down[y, 2 + 2 * j] + across[x, 1])
                    offset = np.uint64(down[y, 1 + 2 * j] + across[x, 0]) + c * np.uint64(taps)
                    add_run(cur, at, weight, offset, length, value)
                    done += length
    return done


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def scatter_taps(
    sent: Array, cur: Array, span: Any, weight: Array, rows: Array, columns: Array, shape: Array, lo: int, hi: int
) -> int:
    """A convolution tap by tap: any dilation, any groups.

    Args:
        weight: [kH, kW, C_in, C_out / groups].
        rows: [H, kH] the output row that tap ky makes of input row y, or -1.
        columns: [W, kW] the same for columns.
        shape: (W, C_in, W_out, C_out, groups).
    """
    width, channels, width_out, out, groups = shape
    (begin, steps, lag), part, per_group = span, out // groups, channels // groups
    synops = 0
    for job in range(lo, hi):
        m, t = job // steps, job % steps
        row, messages = cur[m, t + lag], sent[m, begin + t]
        for i in range(rows.shape[0] * width * channels):
            s = messages[i]
            if s == 0:
                continue
            c, pixel = i % channels, i // channels
            y, x = pixel // width, pixel % width
            for ky in range(rows.shape[1]):
                for kx in range(columns.shape[1]):
                    if rows[y, ky] < 0 or columns[x, kx] < 0:
                        continue
                    start = (rows[y, ky] * width_out + columns[x, kx]) * out + (c // per_group) * part
                    target, source = row[start : start + part], weight[ky, kx, c]
                    synops += part
                    for k in range(part):
                        target[k] += s * source[k]
    return synops


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def scatter_dense(sent: Array, words: Array, cur: Array, span: Any, weight: Array, lo: int, hi: int) -> int:
    """A dense synapse; weight [N_in, N_out]."""
    (begin, steps, lag), per_word, out, size = span, 8 // sent.itemsize, weight.shape[1], weight.shape[0]
    synops = 0
    for job in range(lo, hi):
        m, t = job // steps, job % steps
        row, messages, filled = cur[m, t + lag], sent[m, begin + t], words[m, begin + t]
        for word in range(len(filled)):
            if filled[word] == 0:
                continue
            for i in range(word * per_word, min(size, (word + 1) * per_word)):
                s = messages[i]
                if s == 0:
                    continue
                column = weight[i]
                synops += out
                if s == 1:
                    for k in range(out):
                        row[k] += column[k]
                else:
                    for k in range(out):
                        row[k] += s * column[k]
    return synops


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def scatter_delayed(sent: Array, cur: Array, span: Any, weight: Array, delay: Array) -> int:
    """A dense synapse with a delay of its own for each weight; weight, delay [N_in, N_out]."""
    begin, steps, lag = span
    synops = 0
    for m in range(sent.shape[0]):
        for t in range(steps):
            for i in range(weight.shape[0]):
                s = sent[m, begin + t, i]
                if s == 0:
                    continue
                synops += weight.shape[1]
                for k in range(weight.shape[1]):
                    cur[m, t + lag + delay[i, k], k] += s * weight[i, k]
    return synops


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_delayed(current: Array, cur: Array, lag: int, delay: Array) -> None:
    """Currents [M, T, N] of row t arrive in row `t + lag + delay[n]`."""
    for m in range(current.shape[0]):
        for t in range(current.shape[1]):
            for n in range(current.shape[2]):
                cur[m, t + lag + delay[n], n] += current[m, t, n]


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_currents(current: Array, cur: Array, lag: int, lo: int, hi: int) -> None:
    """Currents [M, T, N] of any dtype with integer values, added `lag` rows later."""
    steps, size = current.shape[1], current.shape[2]
    for job in range(lo, hi):
        m, t = job // steps, job % steps
        row, source = cur[m, t + lag], current[m, t]
        for n in range(size):
            row[n] += np.int32(source[n])


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def add_wrapped(current: Array, cur: Array, lag: int) -> None:
    """Currents int32 [M, T, N], wrapped to 24 bits, to row t + lag."""
    for m in range(current.shape[0]):
        for t in range(current.shape[1]):
            row, source = cur[m, t + lag], current[m, t]
            for n in range(len(source)):
                row[n] += np.int32(np.int32(source[n] << np.int32(8)) >> np.int32(8))


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def to_channel_last(frames: Array, out: Array, channels: int, binary: bool) -> None:
    """Frames [M, T, C * P] into out [M, T, P * C]; `binary` keeps only whether a value is not 0."""
    pixels = frames.shape[2] // channels
    for m in range(frames.shape[0]):
        for t in range(frames.shape[1]):
            for c in range(channels):
                for p in range(pixels):
                    value = frames[m, t, c * pixels + p]
                    if binary:
                        out[m, t, p * channels + c] = value != 0
                    else:
                        out[m, t, p * channels + c] = value
