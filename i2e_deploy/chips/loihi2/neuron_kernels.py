"""Compiled neuron loops, int32, time inside so that a block of neurons stays in the first-level cache.

Each block of neurons first runs without wrap and clip, keeping the extremes. Only if those leave the 24-bit words is
the block repeated from its first state with wrap, clip and counting, as `neurons` defines them.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

# numba's types are not mypy's.
nb: Any = numba
Array = Any

#: Neurons that are worked on together: two states and a row of currents stay under 16 KiB.
BLOCK = 1024
_WORD = 2**23


@nb.njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _keep(x: Any, kept: Any) -> Any:
    """`x * kept >> 12` toward zero in 32 bits: x = 4096 high + low, and 4095 more when negative."""
    low = np.int32(np.int32(np.int32(x & np.int32(4095)) * kept) + np.int32((x >> np.int32(31)) & np.int32(4095)))
    return np.int32(np.int32(np.int32(x >> np.int32(12)) * kept) + np.int32(low >> np.int32(12)))


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def cuba(
    a: Array, t0: int, t1: int, u: Array, v: Array, keep_u: Array, keep_v: Array, threshold: int, bias: Array,
    sent: Array, lo: int, hi: int, safe: bool,
) -> Any:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of CubaLif.

    Args:
        a: currents [M, T, N], not touched.
        u, v: int32 [M, N].
        keep_u, keep_v: int32 [1] or [N], 4096 minus the decay.
        threshold: already shifted; below 2^31.
        bias: int32 [N], already shifted.
        sent: uint8 [M, T, N], written.
        safe: the currents cannot leave 32 bits, so the loop without checks may be tried.

    Returns:
        int64 [4]: wraps, saturations, largest |u|, largest |v|.
    """
    total = np.zeros(4, np.int64)
    old_u, old_v, extremes = np.empty(BLOCK, np.int32), np.empty(BLOCK, np.int32), np.empty(4, np.int32)
    for m in range(u.shape[0]):
        for start in range(lo, hi, BLOCK):
            end = min(hi, start + BLOCK)
            if _silent(a, m, t0, t1, u, v, bias, start, end):
                sent[m, t0:t1, start:end] = 0
                continue
            old_u[: end - start] = u[m, start:end]
            old_v[: end - start] = v[m, start:end]
            if safe:
                _cuba_fast(a, m, t0, t1, u, v, keep_u, keep_v, threshold, bias, sent, start, end, extremes)
                high_u, high_v = max(extremes[0], -extremes[1]), max(extremes[2], -extremes[3])
                if high_u < _WORD and high_v < _WORD:
                    total[2], total[3] = max(total[2], high_u), max(total[3], high_v)
                    continue
            u[m, start:end] = old_u[: end - start]
            v[m, start:end] = old_v[: end - start]
            _cuba_exact(a, m, t0, t1, u, v, keep_u, keep_v, threshold, bias, sent, start, end, total)
    return total


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _silent(a: Array, m: int, t0: int, t1: int, u: Array, v: Array, bias: Array, start: int, end: int) -> bool:
    """Nothing there and nothing comes: the neurons stay at zero (thresholds are not negative)."""
    some, us, vs, bs = np.int32(0), u[m, start:end], v[m, start:end], bias[start:end]
    for i in range(len(us)):
        some |= us[i] | vs[i] | bs[i]
    if some != 0:
        return False
    for t in range(t0, t1):
        row = a[m, t, start:end]
        for i in range(len(row)):
            some |= np.int32(row[i])
        if some != 0:
            return False
    return True


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _cuba_fast(
    a: Array, m: int, t0: int, t1: int, u: Array, v: Array, keep_u: Array, keep_v: Array, threshold: int, bias: Array,
    sent: Array, start: int, end: int, extremes: Array,
) -> None:  # fmt: skip
    us, vs, bs = u[m, start:end], v[m, start:end], bias[start:end]
    extremes[:] = 0
    for t in range(t0, t1):
        row, out = a[m, t, start:end], sent[m, t, start:end]
        if len(keep_u) > 1 or len(keep_v) > 1:
            _step_each(row, us, vs, keep_u, keep_v, start, threshold, bs, out, extremes)
        elif keep_u[0] == 0:
            _step_no_current(row, us, vs, keep_v[0], threshold, bs, out, extremes)
        else:
            _step(row, us, vs, keep_u[0], keep_v[0], threshold, bs, out, extremes)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _step(
    row: Array, us: Array, vs: Array, keep_u: int, keep_v: int, threshold: int, bs: Array, out: Array, extremes: Array
) -> None:
    th, ku, kv = np.int32(threshold), np.int32(keep_u), np.int32(keep_v)
    top_u, low_u, top_v, low_v = extremes[0], extremes[1], extremes[2], extremes[3]
    for i in range(len(us)):
        x = np.int32(_keep(us[i], ku) + np.int32(np.int32(row[i]) << np.int32(6)))
        y = np.int32(np.int32(_keep(vs[i], kv) + x) + bs[i])
        top_u, low_u, top_v, low_v = max(top_u, x), min(low_u, x), max(top_v, y), min(low_v, y)
        us[i] = x
        vs[i] = np.int32(0) if y > th else y
        out[i] = y > th
    extremes[0], extremes[1], extremes[2], extremes[3] = top_u, low_u, top_v, low_v


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _step_no_current(
    row: Array, us: Array, vs: Array, keep_v: int, threshold: int, bs: Array, out: Array, extremes: Array
) -> None:
    """A current that is gone after one step."""
    th, kv = np.int32(threshold), np.int32(keep_v)
    top_u, low_u, top_v, low_v = extremes[0], extremes[1], extremes[2], extremes[3]
    for i in range(len(us)):
        x = np.int32(np.int32(row[i]) << np.int32(6))
        y = np.int32(np.int32(_keep(vs[i], kv) + x) + bs[i])
        top_u, low_u, top_v, low_v = max(top_u, x), min(low_u, x), max(top_v, y), min(low_v, y)
        us[i] = x
        vs[i] = np.int32(0) if y > th else y
        out[i] = y > th
    extremes[0], extremes[1], extremes[2], extremes[3] = top_u, low_u, top_v, low_v


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _step_each(
    row: Array, us: Array, vs: Array, keep_u: Array, keep_v: Array, start: int, threshold: int, bs: Array, out: Array,
    extremes: Array,
) -> None:  # fmt: skip
    """Decays of their own for every neuron."""
    th = np.int32(threshold)
    top_u, low_u, top_v, low_v = extremes[0], extremes[1], extremes[2], extremes[3]
    for i in range(len(us)):
        ku = keep_u[start + i] if len(keep_u) > 1 else keep_u[0]
        kv = keep_v[start + i] if len(keep_v) > 1 else keep_v[0]
        x = np.int32(_keep(us[i], ku) + np.int32(np.int32(row[i]) << np.int32(6)))
        y = np.int32(np.int32(_keep(vs[i], kv) + x) + bs[i])
        top_u, low_u, top_v, low_v = max(top_u, x), min(low_u, x), max(top_v, y), min(low_v, y)
        us[i] = x
        vs[i] = np.int32(0) if y > th else y
        out[i] = y > th
    extremes[0], extremes[1], extremes[2], extremes[3] = top_u, low_u, top_v, low_v


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _wrap32(x: Any) -> Any:
    return (x + 2**31) % 2**32 - 2**31


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _cuba_exact(
    a: Array, m: int, t0: int, t1: int, u: Array, v: Array, keep_u: Array, keep_v: Array, threshold: int, bias: Array,
    sent: Array, start: int, end: int, total: Array,
) -> None:  # fmt: skip
    """The definition, neuron by neuron, in int64."""
    for t in range(t0, t1):
        for i in range(start, end):
            x: Any = np.int64(u[m, i])
            y: Any = np.int64(v[m, i])
            kept = abs(x) * np.int64(keep_u[i % len(keep_u)]) >> 12
            x = _wrap32((kept if x >= 0 else -kept) + _wrap32(np.int64(a[m, t, i]) << 6))
            total[2] = max(total[2], abs(x))
            if x > _WORD or x <= -_WORD:
                total[0] += 1
                once = x - 2 * _WORD if x > _WORD else x
                x = _wrap32(x + 2 * _WORD) if once <= -_WORD else once
            kept = abs(y) * np.int64(keep_v[i % len(keep_v)]) >> 12
            y = _wrap32((kept if y >= 0 else -kept) + x + np.int64(bias[i]))
            total[3] = max(total[3], abs(y))
            total[1] += abs(y) > _WORD - 1
            y = min(max(y, -(_WORD - 1)), _WORD - 1)
            fires = y > threshold
            u[m, i], v[m, i] = x, 0 if fires else y
            sent[m, t, i] = fires


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def sigma_delta(
    a: Array, t0: int, t1: int, sigma: Array, act: Array, residue: Array, threshold: int, bias: Array, mode: int,
    shift: int, sent: Array, lo: int, hi: int, total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of Delta (mode 0), SigmaDelta (1) or Sigma (2), modulo 2^32 as Lava's int32.

    Args:
        threshold, bias: already shifted by `shift` = spike_exp + 6, within int32.
        sent: int32 [M, T, N].
        total: int64 [4]: wraps (values beyond 2^23), largest |sigma|, |act|, |residue|; added to.
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
            total[1], total[2] = max(total[1], big_s), max(total[2], big_a)
            total[3] = max(total[3], np.int64(high_r), -np.int64(least_r))
            if big_s > _WORD or big_a > _WORD:
                total[0] += _beyond(sigma, act, m, lo, hi, mode)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _beyond(sigma: Array, act: Array, m: int, lo: int, hi: int, mode: int) -> Any:
    """Values of this step that a 24-bit word would not hold."""
    count: Any = 0
    for i in range(lo, hi):
        count += mode > 0 and abs(np.int64(sigma[m, i])) > _WORD
        count += mode < 2 and abs(np.int64(act[m, i])) > _WORD
    return count
