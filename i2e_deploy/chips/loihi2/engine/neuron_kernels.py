"""Compiled neuron loops, int32, time inside so that a block of neurons stays in the first-level cache.

Each block of neurons first runs with 32-bit products; when state grows too large for that, with wider products; and
where it leaves the 24-bit words with wrap, clip and counting, as `neurons` defines them.
"""
# mypy: disable-error-code="call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.llvm_vectors import count_bits, nonzero_64

# numba's types are not mypy's.
nb: Any = numba
Array = Any

#: Neurons that are worked on together: two states and a row of currents stay under 16 KiB.
BLOCK = 1024
_WORD = 2**23
#: Below this magnitude a product with 4096 parts fits 32 bits.
_NARROW = 2**19 - 1


@nb.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _keep(x: Any, kept: Any, wide: Any) -> Any:
    """`x * kept >> 12` toward zero in 32 bits: negative values get 4095 more before the shift.

    Unless `wide` is None the product may have more bits: x = 4096 high + low.
    """
    if wide is None:
        up = np.int32(np.uint32(x) >> np.uint32(20))  # the top bits are all equal
        return np.int32(np.int32(np.int32(x * kept) + up) >> np.int32(12))
    up = np.int32((x >> np.int32(31)) & np.int32(4095))
    low = np.int32(np.int32(np.int32(x & np.int32(4095)) * kept) + up)
    return np.int32(np.int32(np.int32(x >> np.int32(12)) * kept) + np.int32(low >> np.int32(12)))


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def cuba(
    a: Array, t0: int, t1: int, u: Array, v: Array, keep_u: Array, keep_v: Array, threshold: int, bias: Array,
    largest_bias: int, bound: int, sent: Array, lo: int, hi: int, total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of CubaLif.

    Args:
        a: currents [M, T, N], not touched.
        u, v: int32 [M, N].
        keep_u, keep_v: int32 [1] or [N], 4096 minus the decay.
        threshold: already shifted; below 2^31.
        bias: int32 [N], already shifted.
        largest_bias: the largest magnitude in `bias`.
        bound: proven limit of the magnitude of currents, or -1.
        sent: uint8 [M, T, N and padding to 64], written.
        lo, hi: lo is a multiple of BLOCK.
        total: int64 [6]: wraps, saturations, spikes, largest |u|, largest |v|; added to.
    """
    ku, kv = np.full(BLOCK, keep_u[0], np.int32), np.full(BLOCK, keep_v[0], np.int32)
    old, extremes = np.empty((2, BLOCK), np.int32), np.empty(4, np.int32)
    for m in range(u.shape[0]):
        for start in range(lo, hi, BLOCK):
            end = min(hi, start + BLOCK)
            us, vs, bs = u[m, start:end], v[m, start:end], bias[start:end]
            extent = max(_largest(us), _largest(vs))
            current = bound if bound >= 0 and extent > 0 else _largest_current(a, m, t0, t1, start, end)
            if extent == 0 and current == 0 and (largest_bias == 0 or _largest(bs) == 0):
                sent[m, t0:t1, start:end] = 0  # nothing there and nothing comes; thresholds are not negative
                continue
            if len(keep_u) > 1:
                ku = keep_u[start:end]
            if len(keep_v) > 1:
                kv = keep_v[start:end]
            t, reach = t0, (current << 6) + largest_bias
            if extent < _NARROW and 2 * _NARROW + reach < _WORD:
                t = _steps(a, m, t0, t1, us, vs, ku, kv, threshold, bs, sent, start, extremes, None)
                _keep_extremes(extremes, total)
            if t < t1:
                _rest(a, m, t, t1, us, vs, ku, kv, threshold, bs, sent, start, extremes, old, reach, total)
            for row in range(t0, t1):
                total[2] += _count(sent[m, row], start, end)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _count(row: Array, start: int, end: int) -> int:
    """How many in row[start:end] are not 0; reads on to the next multiple of 64, where only zeros are."""
    count = 0
    for i in range(start, end, 64):
        count += count_bits(nonzero_64(row, i))
    return count


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _largest(values: Array) -> Any:
    """The largest magnitude."""
    high, low = np.int32(0), np.int32(0)
    for i in range(len(values)):
        high, low = max(high, np.int32(values[i])), min(low, np.int32(values[i]))
    return max(nb.int64(high), -nb.int64(low))


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _largest_current(a: Array, m: int, t0: int, t1: int, start: int, end: int) -> int:
    found = 0
    for t in range(t0, t1):
        found = max(found, _largest(a[m, t, start:end]))
    return found


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _keep_extremes(extremes: Array, total: Array) -> None:
    total[3] = max(total[3], extremes[0], -nb.int64(extremes[1]))
    total[4] = max(total[4], extremes[2], -nb.int64(extremes[3]))


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _steps(
    a: Array, m: int, t0: int, t1: int, us: Array, vs: Array, ku: Array, kv: Array, threshold: int, bs: Array,
    sent: Array, start: int, extremes: Array, wide: Any,
) -> int:  # fmt: skip
    """Steps without wrap and clip; returns the first step not done, because state grew beyond what is allowed."""
    th, end, zero = np.int32(threshold), start + len(us), np.int32(0)
    limit = np.int32(_NARROW if wide is None else _WORD)
    bs, ku, kv = bs[: len(us)], ku[: len(us)], kv[: len(us)]
    top_u, low_u, top_v, low_v = zero, zero, zero, zero
    for t in range(t0, t1):
        if max(top_u, top_v) >= limit or min(low_u, low_v) <= -limit:
            t1 = t
            break
        row, out = a[m, t, start:end], sent[m, t, start:end]
        for i in range(len(us)):
            x = np.int32(_keep(us[i], ku[i], wide) + np.int32(np.int32(row[i]) << np.int32(6)))
            y = np.int32(np.int32(_keep(vs[i], kv[i], wide) + x) + bs[i])
            top_u, low_u, top_v, low_v = max(top_u, x), min(low_u, x), max(top_v, y), min(low_v, y)
            us[i] = x
            vs[i] = zero if y > th else y
            out[i] = y > th
    extremes[0], extremes[1], extremes[2], extremes[3] = top_u, low_u, top_v, low_v
    return t1


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _rest(
    a: Array, m: int, t0: int, t1: int, us: Array, vs: Array, ku: Array, kv: Array, threshold: int, bs: Array,
    sent: Array, start: int, extremes: Array, old: Array, reach: int, total: Array,
) -> None:  # fmt: skip
    """Steps with large state: first without wrap and clip, and where 24 bits do not do, once more with them."""
    for i in range(len(us)):
        old[0, i], old[1, i] = us[i], vs[i]
    if reach < 2**30:
        _steps(a, m, t0, t1, us, vs, ku, kv, threshold, bs, sent, start, extremes, True)
        if max(extremes[0], extremes[2]) < _WORD and min(extremes[1], extremes[3]) > -_WORD:
            _keep_extremes(extremes, total)
            return
        for i in range(len(us)):
            us[i], vs[i] = old[0, i], old[1, i]
    _exact(a, m, t0, t1, us, vs, ku, kv, threshold, bs, sent, start, total)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _wrap32(x: Any) -> Any:
    return (x + 2**31) % 2**32 - 2**31


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _exact(
    a: Array, m: int, t0: int, t1: int, us: Array, vs: Array, ku: Array, kv: Array, threshold: int, bs: Array,
    sent: Array, start: int, total: Array,
) -> None:  # fmt: skip
    """The definition, neuron by neuron, in int64."""
    for t in range(t0, t1):
        for i in range(len(us)):
            x: Any = np.int64(us[i])
            y: Any = np.int64(vs[i])
            kept = abs(x) * np.int64(ku[i]) >> 12
            x = _wrap32((kept if x >= 0 else -kept) + _wrap32(np.int64(a[m, t, start + i]) << 6))
            total[3] = max(total[3], abs(x))
            if x > _WORD or x <= -_WORD:
                total[0] += 1
                once = x - 2 * _WORD if x > _WORD else x
                x = _wrap32(x + 2 * _WORD) if once <= -_WORD else once
            kept = abs(y) * np.int64(kv[i]) >> 12
            y = _wrap32((kept if y >= 0 else -kept) + x + np.int64(bs[i]))
            total[4] = max(total[4], abs(y))
            total[1] += abs(y) > _WORD - 1
            y = min(max(y, -(_WORD - 1)), _WORD - 1)
            fires = y > threshold
            us[i], vs[i] = x, 0 if fires else y
            sent[m, t, start + i] = fires


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def sigma_delta(
    a: Array, t0: int, t1: int, sigma: Array, act: Array, residue: Array, threshold: int, bias: Array, mode: int,
    shift: int, sent: Array, lo: int, hi: int, total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of Delta (mode 0), SigmaDelta (1) or Sigma (2), modulo 2^32 as Lava's int32.

    Args:
        threshold, bias: already shifted by `shift` = spike_exp + 6, within int32.
        sent: int32 [M, T, N and padding to 64].
        lo, hi: lo is a multiple of BLOCK.
        total: int64 [6]: wraps (values beyond 2^23), none, messages, largest |sigma|, |act|, |residue|; added to.
    """
    th, zero, up = np.int32(threshold), np.int32(0), np.int32(shift)
    for m in range(a.shape[0]):
        for t in range(t0, t1):
            high_s, high_a, high_r = zero, zero, zero
            least_s, least_a, least_r = zero, zero, zero
            row, out, bs = a[m, t, lo:hi], sent[m, t, lo:hi], bias[lo:hi]
            if mode > 0:
                sigmas = sigma[m, lo:hi]
                for i in range(hi - lo):
                    s = np.int32(sigmas[i] + np.int32(row[i]))
                    sigmas[i] = s
                    high_s, least_s = max(high_s, s), min(least_s, s)
                    if mode == 2:
                        out[i] = s
            if mode < 2:
                acts, rests = act[m, lo:hi], residue[m, lo:hi]
                if mode == 1:
                    sigmas = sigma[m, lo:hi]
                    for i in range(hi - lo):
                        out[i] = max(np.int32(sigmas[i] + bs[i]), zero)
                else:
                    for i in range(hi - lo):
                        out[i] = np.int32(np.int32(row[i]) << up)
                for i in range(hi - lo):
                    new = out[i]
                    change = np.int32(np.int32(new - acts[i]) + rests[i])
                    size = np.int32(-change) if change < zero else change
                    send = change if size >= th else zero
                    rest = np.int32(change - send)
                    rests[i], acts[i] = rest, new
                    high_a, least_a = max(high_a, new), min(least_a, new)
                    high_r, least_r = max(high_r, rest), min(least_r, rest)
                    out[i] = np.int32(send >> np.int32(6))
            big_s = max(np.int64(high_s), -np.int64(least_s))
            big_a = max(np.int64(high_a), -np.int64(least_a))
            total[3], total[4] = max(total[3], big_s), max(total[4], big_a)
            total[5] = max(total[5], np.int64(high_r), -np.int64(least_r))
            total[2] += _count(sent[m, t], lo, hi)
            if big_s > _WORD or big_a > _WORD:
                total[0] += _beyond(sigma, act, m, lo, hi, mode)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _beyond(sigma: Array, act: Array, m: int, lo: int, hi: int, mode: int) -> Any:
    """Values of this step that a 24-bit word would not hold."""
    count: Any = 0
    for i in range(lo, hi):
        count += mode > 0 and abs(np.int64(sigma[m, i])) > _WORD
        count += mode < 2 and abs(np.int64(act[m, i])) > _WORD
    return count
