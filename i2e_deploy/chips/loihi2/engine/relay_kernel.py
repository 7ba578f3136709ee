"""The compiled loops of residual sums: neurons that send values, and synapses that bring each channel to itself.

Every sum is modulo 2^32, and of a convolution modulo 2^24, as in the definition.
"""
# mypy: disable-error-code="call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.loihi2.engine.programmable_kernel import _part

# numba's types are not mypy's.
nb: Any = numba
Array = Any

_MOST = 2**23 - 1
#: Neurons that are worked on together.
BLOCK = 1024


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def relay(
    a: Array, t0: int, t1: int, v: Array, lowest: Array, highest: Array, bias: Array, shift: int, most: int,
    sent: Array, lo: int, hi: int, total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of Relay.

    Args:
        a: currents [M, T, N], not touched.
        v: int32 [M, N], written.
        lowest, highest: int32 [1] or [N].
        bias: int32 [N].
        shift: of the message.
        most: largest magnitude of a message.
        sent: int32 [M, T, N and padding to 64], written.
        lo, hi: lo is a multiple of BLOCK.
        total: int64 [7]: none, saturations, messages, largest |v|; added to.
    """
    spare = np.empty((2, BLOCK), np.int32)
    top, down, down_by = np.int32(_MOST), np.int32(most), np.int32(shift)
    for m in range(a.shape[0]):
        for start in range(lo, hi, BLOCK):
            end = min(hi, start + BLOCK)
            low, high = _part(lowest, start, end, spare[0]), _part(highest, start, end, spare[1])
            bs, vs = bias[start:end], v[m, start:end]
            for t in range(t0, t1):
                row, out = a[m, t, start:end], sent[m, t, start:end]
                large, small, clips, count = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
                for i in range(len(vs)):
                    x = np.int32(np.int32(row[i]) + bs[i])
                    large, small = max(large, x), min(small, x)
                    clips = np.int32(clips + np.int32(x > top or x < -top))
                    x = max(min(x, top), np.int32(-top))
                    x = max(min(x, high[i]), low[i])
                    vs[i] = x
                    y = np.int32(x >> down_by)
                    clips = np.int32(clips + np.int32(y > down or y < -down))
                    y = max(min(y, down), np.int32(-down))
                    out[i] = y
                    count = np.int32(count + np.int32(y != 0))
                total[1] += clips
                total[2] += count
                total[3] = max(total[3], nb.int64(large), -nb.int64(small))


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def deliver_channels(
    sent: Array, first: int, steps: int, cur: Array, lag: int, taps: Array, places: Array, shape: Array, delay: Array,
    lo: int, hi: int,
) -> int:  # fmt: skip
    """Messages that carry values through a convolution with a group for each channel.

    Args:
        sent: messages [M, T, N and padding], channel-last.
        cur: int32 [M, rows, N_out], added to.
        taps: int32 [K, C], weights of the taps that are not all 0.
        places: int64 [K, 2], row and column of each from the top left input of an output.
        shape: int64: H, W, H_out, W_out, C, stride down and across.
        delay: int64 [C], or [0].
        lo, hi: range of `(m * steps + t) * H_out + y` to work on.
    """
    height, width, high, wide, channels = shape[0], shape[1], shape[2], shape[3], shape[4]
    line, eight = np.empty(channels, np.int32), np.int32(8)
    for job in range(lo, hi):
        m, t, y = job // high // steps, job // high % steps, job % high
        messages = sent[m, first + t]
        for x in range(wide):
            at = (y * wide + x) * channels
            line[:] = 0
            for k in range(len(taps)):
                row, column = y * shape[5] + places[k, 0], x * shape[6] + places[k, 1]
                if row < 0 or row >= height or column < 0 or column >= width:
                    continue
                given = messages[(row * width + column) * channels : (row * width + column + 1) * channels]
                weights = taps[k]
                for c in range(channels):
                    line[c] += np.int32(np.int32(given[c]) * weights[c])
            if len(delay):
                for c in range(channels):
                    cur[m, t + lag + delay[c], at + c] += np.int32(np.int32(line[c] << eight) >> eight)
            else:
                out = cur[m, t + lag, at : at + channels]
                for c in range(channels):
                    out[c] += np.int32(np.int32(line[c] << eight) >> eight)
    return 0


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def reached(sent: Array, first: int, steps: int, fan: Array) -> Any:
    """Synaptic operations: `fan` int64 [N] of all messages that are not 0."""
    total = nb.int64(0)
    for m in range(sent.shape[0]):
        for t in range(steps):
            row = sent[m, first + t]
            for i in range(len(fan)):
                total += fan[i] if row[i] != 0 else 0
    return total
