"""The compiled loop of `ProgrammableLif`: the definition neuron by neuron in int64, a block of neurons over time."""
# mypy: disable-error-code="call-arg"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.loihi2.engine.neuron_kernels import BLOCK
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif

# numba's types are not mypy's.
nb: Any = numba
Array = Any

_WORD = 2**23
#: What `options` holds.
(REACHED, MOST, SUBTRACTS, SETS, VALUE, LATE, LOWEST, VOLTAGE) = range(8)


def options_of(neuron: ProgrammableLif) -> Array:
    """The options as the kernel reads them: int64, see the names above."""
    lowest = -(_WORD - 1) if neuron.lowest is None else neuron.lowest << 6
    most = 2**31 - 1 if neuron.max_spikes == "any" else neuron.max_spikes
    found = {
        REACHED: neuron.fires == ">=",
        MOST: most,
        SUBTRACTS: neuron.after_spike == "subtract",
        SETS: neuron.after_spike == "set",
        VALUE: neuron.reset_value << 6,
        LATE: neuron.reset_step == "next",
        LOWEST: lowest,
        VOLTAGE: neuron.sends == "voltage",
    }
    return np.array([found[i] for i in range(8)], np.int64)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _wrap32(x: Any) -> Any:
    return (x + 2**31) % 2**32 - 2**31


@nb.njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def _keep(x: Any, kept: Any) -> Any:
    """Of 4096 parts `kept` are kept, rounding toward zero."""
    return x * kept >> 12 if x >= 0 else -(-x * kept >> 12)


@nb.njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def programmable(
    a: Array, t0: int, t1: int, u: Array, v: Array, adaptation: Array, pending: Array, keep_u: Array, keep_v: Array,
    threshold: Array, keep_adaptation: Array, step: Array, bias: Array, options: Array, sent: Array, lo: int, hi: int,
    total: Array,
) -> None:  # fmt: skip
    """Steps t0..t1 of neurons lo..hi of ProgrammableLif.

    Args:
        a: currents [M, T, N], not touched.
        u, v, adaptation, pending: int32 [M, N].
        keep_u, keep_v, keep_adaptation: int32 [1] or [N], 4096 minus the decay.
        threshold, step: int64 [1] or [N], already shifted.
        bias: int32 [N], already shifted.
        options: see `options_of`.
        sent: uint8 or int32 [M, T, N and padding to 64], written.
        lo, hi: lo is a multiple of BLOCK.
        total: int64 [7]: wraps, saturations, messages, largest |u|, |v|, |adaptation|, |pending|; added to.
    """
    for m in range(u.shape[0]):
        for start in range(lo, hi, BLOCK):
            end = min(hi, start + BLOCK)
            for t in range(t0, t1):
                row, out = a[m, t, start:end], sent[m, t, start:end]
                us, vs = u[m, start:end], v[m, start:end]
                _integrate(row, us, vs, pending[m], keep_u, keep_v, bias, options, start, total)
                if options[VOLTAGE]:
                    for i in range(end - start):
                        out[i] = vs[i]
                        total[2] += vs[i] != 0
                else:
                    _fire(vs, adaptation[m], pending[m], threshold, keep_adaptation, step, options, out, start, total)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _integrate(
    row: Array, us: Array, vs: Array, pending: Array, keep_u: Array, keep_v: Array, bias: Array, options: Array,
    start: int, total: Array,
) -> None:  # fmt: skip
    """Current and voltage of one step, up to the bounds of the voltage."""
    late, lowest = options[LATE] and not options[VOLTAGE], options[LOWEST]
    per_u, per_v = int(len(keep_u) > 1), int(len(keep_v) > 1)
    for i in range(len(us)):
        n = start + i
        x = _wrap32(_keep(np.int64(us[i]), np.int64(keep_u[n * per_u])) + _wrap32(np.int64(row[i]) << 6))
        total[3] = max(total[3], abs(x))
        if x > _WORD or x <= -_WORD:
            total[0] += 1
            once = x - 2 * _WORD if x > _WORD else x
            x = _wrap32(x + 2 * _WORD) if once <= -_WORD else once
        y = _wrap32(_keep(np.int64(vs[i]), np.int64(keep_v[n * per_v])) + x + np.int64(bias[n]))
        if late:
            if options[SUBTRACTS]:
                y = _wrap32(y - pending[n])
            elif options[SETS] and pending[n] != 0:
                y = options[VALUE]
        total[4] = max(total[4], abs(y))
        total[1] += abs(y) > _WORD - 1
        us[i], vs[i] = x, max(min(y, _WORD - 1), lowest)


@nb.njit(nogil=True)  # type: ignore[untyped-decorator]
def _fire(
    vs: Array, adaptation: Array, pending: Array, threshold: Array, keep_adaptation: Array, step: Array,
    options: Array, out: Array, start: int, total: Array,
) -> None:  # fmt: skip
    """Spikes, adaptation and reset of one step."""
    most, below = options[MOST], 0 if options[REACHED] else 1
    per_th, per_keep, per_step = int(len(threshold) > 1), int(len(keep_adaptation) > 1), int(len(step) > 1)
    for i in range(len(vs)):
        n = start + i
        y = np.int64(vs[i])
        kept = max(_keep(np.int64(adaptation[n]), np.int64(keep_adaptation[n * per_keep])), 0)
        th = threshold[n * per_th] + kept
        spikes = np.int64(0)
        if y - below >= th:
            spikes = np.int64(1) if most == 1 else min((y - below) // th, most)
            total[2] += 1
        grown = kept + spikes * step[n * per_step]
        total[5] = max(total[5], grown)
        total[1] += grown > _WORD - 1
        adaptation[n] = min(grown, _WORD - 1)
        taken = spikes * th if options[SUBTRACTS] else np.int64(options[SETS] and spikes > 0)
        if options[LATE]:
            pending[n] = taken
            total[6] = max(total[6], taken)
        else:
            pending[n] = 0
            if options[SUBTRACTS]:
                vs[i] = y - taken
            elif taken:
                vs[i] = options[VALUE]
        out[i] = spikes
