"""The compiled loops of `ProgrammableLif`: int32, a block of neurons over time; what may be larger is int64.

Every sum is modulo 2^32, as in the definition, and every state is within 24 bits where 32 must hold a product.
"""
# mypy: disable-error-code="call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.loihi2.engine.neuron_kernels import BLOCK, _keep
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif

# numba's types are not mypy's.
nb: Any = numba
Array = Any

_WORD = 2**23
#: Thresholds that no voltage reaches, whatever is added: larger ones need not be held.
_NEVER = 2**30
#: What `options` holds.
(REACHED, MOST, SUBTRACTS, AMOUNT, SETS, LATE, VOLTAGE, SHIFT, LARGEST) = range(9)


def options_of(neuron: ProgrammableLif) -> Array:
    """The options as the kernel reads them: int64, see the names above."""
    found = {
        REACHED: neuron.fires == ">=",
        MOST: 2**31 - 1 if neuron.max_spikes == "any" else neuron.max_spikes,
        SUBTRACTS: neuron.after_spike == "subtract",
        AMOUNT: neuron.after_spike == "amount",
        SETS: neuron.after_spike == "set",
        LATE: neuron.reset_step == "next",
        VOLTAGE: neuron.sends == "voltage",
        SHIFT: neuron.shift,
        LARGEST: 2 ** (neuron.bits - 1) - 1,
    }
    return np.array([found[i] for i in range(len(found))], np.int64)


def shifted(values: Array) -> Array:
    """Parameters in units of 64 as the kernel takes them."""
    return np.minimum(values << 6, _NEVER)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _part(values: Array, start: int, end: int, spare: Array) -> Array:
    """values[start:end] of [N], or of [1] as many of the one."""
    if len(values) > 1:
        return values[start:end]
    spare[:] = values[0]
    return spare[: end - start]


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def programmable(
    a: Array, t0: int, t1: int, u: Array, v: Array, adaptation: Array, pending: Array, keep_u: Array, keep_v: Array,
    threshold: Array, value: Array, lowest: Array, keep_a: Array, step: Array, bias: Array, options: Array, sent: Array,
    lo: int, hi: int, total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of ProgrammableLif.

    Args:
        a: currents [M, T, N], not touched.
        u, v, adaptation, pending: int32 [M, N].
        keep_u, keep_v, keep_a: int32 [1] or [N], 4096 minus the decay; of the adaptation the last.
        threshold, value, lowest, step: int32 [1] or [N], already shifted, see `shifted`; value is that of the reset.
        bias: int32 [N], already shifted.
        options: see `options_of`.
        sent: uint8 or int32 [M, T, N and padding to 64], written.
        lo, hi: lo is a multiple of BLOCK.
        total: int64 [7]: wraps, saturations, messages, largest |u|, |v|, |adaptation|, |pending|; added to.
    """
    spare = np.empty((7, BLOCK), np.int32)
    for m in range(u.shape[0]):
        for start in range(lo, hi, BLOCK):
            end = min(hi, start + BLOCK)
            ku, kv = _part(keep_u, start, end, spare[0]), _part(keep_v, start, end, spare[1])
            th, ka = _part(threshold, start, end, spare[2]), _part(keep_a, start, end, spare[3])
            up, bs = _part(step, start, end, spare[4]), bias[start:end]
            to, low = _part(value, start, end, spare[5]), _part(lowest, start, end, spare[6])
            us, vs, ad, left = u[m, start:end], v[m, start:end], adaptation[m, start:end], pending[m, start:end]
            for t in range(t0, t1):
                out = sent[m, t, start:end]
                _integrate(a[m, t, start:end], us, vs, left, to, ku, kv, bs, options, total)
                if options[VOLTAGE]:
                    _send(vs, low, options, out, total)
                elif options[MOST] == 1:
                    _fire(vs, ad, left, th, to, low, ka, up, options, out, total, None)
                else:
                    _fire(vs, ad, left, th, to, low, ka, up, options, out, total, options[MOST])


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _integrate(
    row: Array, us: Array, vs: Array, left: Array, to: Array, ku: Array, kv: Array, bs: Array, options: Array,
    total: Array,
) -> None:  # fmt: skip
    """Current and voltage of one step, with what is pending of the last reset."""
    late = options[LATE] == 1 and options[VOLTAGE] == 0
    subtracts, sets = late and options[SUBTRACTS] + options[AMOUNT] == 1, late and options[SETS] == 1
    word, zero = np.int32(_WORD), np.int32(0)
    top_u, low_u, top_v, low_v, wraps, clips = zero, zero, zero, zero, zero, zero
    for i in range(len(us)):
        x = np.int32(_keep(us[i], ku[i], True) + np.int32(np.int32(row[i]) << np.int32(6)))
        top_u, low_u = max(top_u, x), min(low_u, x)
        over, under = x > word, x <= -word
        wraps = np.int32(wraps + np.int32(over or under))
        x = np.int32(x - np.int32(2 * word)) if over else x
        x = np.int32(x + np.int32(2 * word)) if under else x
        us[i] = x
        y = np.int32(np.int32(_keep(vs[i], kv[i], True) + x) + bs[i])
        y = np.int32(y - left[i]) if subtracts else y
        y = to[i] if sets and left[i] != 0 else y
        top_v, low_v = max(top_v, y), min(low_v, y)
        clips = np.int32(clips + np.int32(y >= word or y <= -word))
        vs[i] = max(min(y, np.int32(word - 1)), np.int32(1 - word))
    total[0] += wraps
    total[1] += clips
    total[3] = max(total[3], top_u, -nb.int64(low_u))
    total[4] = max(total[4], top_v, -nb.int64(low_v))


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _send(vs: Array, low: Array, options: Array, out: Array, total: Array) -> None:
    """The voltages as messages."""
    shift, most = np.int32(options[SHIFT]), np.int32(options[LARGEST])
    half = np.int32(np.int32(1 << options[SHIFT]) >> np.int32(1))
    clips, count = np.int32(0), np.int32(0)
    for i in range(len(vs)):
        vs[i] = max(vs[i], low[i])
        message = np.int32(np.int32(vs[i] + half) >> shift)
        clips = np.int32(clips + np.int32(message > most or message < -most))
        message = max(min(message, most), np.int32(-most))
        out[i] = message
        count = np.int32(count + np.int32(message != 0))
    total[1] += clips
    total[2] += count


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _fire(
    vs: Array, ad: Array, left: Array, th: Array, to: Array, low: Array, ka: Array, up: Array, options: Array,
    out: Array, total: Array, most: Any,
) -> None:  # fmt: skip
    """Spikes, adaptation and reset of one step; `most` spikes, None: one."""
    takes, amount = options[SUBTRACTS] + options[AMOUNT] == 1, options[AMOUNT] == 1
    sets, late, below, zero = options[SETS] == 1, options[LATE] == 1, np.int32(options[REACHED] == 0), np.int32(0)
    word, count, clips, top_p, low_p, top_a = np.int32(_WORD - 1), zero, zero, zero, zero, nb.int64(0)
    for i in range(len(vs)):
        y = vs[i]
        kept = min(max(_keep(ad[i], ka[i], True), zero), word)
        at = np.int32(th[i] + kept)
        fires = np.int32(y - below) >= at
        each = to[i] if amount else at
        if most is None:
            spikes, taken = np.int32(fires), each if fires else zero
            grown = np.int32(kept + (up[i] if fires else zero))
        else:
            spikes = np.int32(min((y - below) // at, most)) if fires else zero
            whole = nb.int64(kept) + nb.int64(spikes) * nb.int64(up[i])
            top_a = max(top_a, whole)
            grown = np.int32(min(whole, nb.int64(word + 1)))
            product = nb.int64(spikes) * nb.int64(each)
            clips = np.int32(clips + np.int32(takes and (product > word or product < -word)))
            taken = np.int32(max(min(product, nb.int64(word)), -nb.int64(word)))
        clips = np.int32(clips + np.int32(grown > word))
        top_a = max(top_a, nb.int64(grown))
        ad[i] = min(grown, word)
        taken = taken if takes else np.int32(fires and sets)
        after = np.int32(y - taken) if takes and not late else y
        clips = np.int32(clips + np.int32(after > word or after < -word))
        after = max(min(after, word), np.int32(-word))
        after = to[i] if fires and sets and not late else after
        vs[i] = max(after, low[i])
        taken = taken if late else zero
        left[i] = taken
        top_p, low_p = max(top_p, taken), min(low_p, taken)
        out[i] = spikes
        count = np.int32(count + np.int32(fires))
    total[1] += clips
    total[2] += count
    total[5] = max(total[5], top_a)
    total[6] = max(total[6], top_p, -nb.int64(low_p))
