"""Compiled tick of a core that draws random numbers: neuron by neuron, in the order of the definition."""
# mypy: disable-error-code="call-arg,untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.truenorth.engine.simd import WEIGHTS
from i2e_deploy.chips.truenorth.engine.tables import OFFSETS
from i2e_deploy.chips.truenorth.program import HIGH, LOW, SUBTRACT, TO_VALUE
from i2e_deploy.llvm_vectors import lowest_bit

# numba's types are not mypy's.
nb: Any = numba
Array = Any
_ONE = np.uint64(1)


@nb.njit(nogil=True, cache=True)
def draw(state: Array, core: int, mask: int) -> Any:
    """See `reference.tick.Random`; `state` is int64 [K]."""
    x = state[core]
    x ^= (x << 13) & 0xFFFFFFFF
    x ^= x >> 17
    x ^= (x << 5) & 0xFFFFFFFF
    state[core] = x
    return x & mask


@nb.njit(nogil=True, cache=True)
def by_chance(weight: int, state: Array, core: int) -> int:
    """The sign of a weight, as often as it is large."""
    sign = nb.int64(weight > 0) - nb.int64(weight < 0)
    return sign if abs(weight) >= draw(state, core, 0xFF) else 0


@nb.njit(nogil=True, cache=True)
def after(v: int, plain: Array, noise: int) -> tuple[int, bool]:
    """Both thresholds: the potential after, and whether it fires; `plain` as in `Plan`, of one neuron."""
    reset, value = plain[2], plain[3]
    threshold, floor = plain[0] + noise, plain[1] + noise
    if v >= threshold:
        return (value if reset == TO_VALUE else v - threshold if reset == SUBTRACT else v), True
    if plain[4]:
        return max(v, -plain[1]), False
    if v < -floor:
        return (-value if reset == TO_VALUE else v + floor if reset == SUBTRACT else v), False
    return v, False


@nb.njit(nogil=True, cache=True)
def stochastic_core(
    words: Array, rows: Array, types: Array, weight: Array, offsets: Array, v: Array, plain: Array, core: int,
    size: int, chance: Array, state: Array, fired: Array,
) -> tuple[int, int]:  # fmt: skip
    """A whole tick of a core, neuron by neuron, so that random numbers are drawn in the order of the definition."""
    synops, saturations = 0, 0
    fired[core * 4 : core * 4 + 4] = 0
    for j in range(size):
        x = nb.int64(v[core * 256 + j])
        for part in range(4):
            bits = words[part]
            while bits != 0:
                axon = (core << 8) + part * 64 + nb.int64(lowest_bit(bits))
                bits &= bits - _ONE
                if (rows[(axon << 2) + (j >> 6)] >> np.uint64(j & 63)) & _ONE:
                    place = np.uint64(axon & 63)
                    kind = nb.int64((types[part] >> place & _ONE) | (types[4 + part] >> place & _ONE) << _ONE)
                    offset = nb.int64(offsets[core * OFFSETS + WEIGHTS + kind])
                    add = nb.int64(weight[(offset & ~31) + (j if offset & 1 else 0)])
                    x += by_chance(add, state, core) if chance[j, kind] else add
                    synops += 1
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        leak = nb.int64(plain[6, core, j])
        leak = by_chance(leak, state, core) if chance[j, 4] else leak
        if chance[j, 5]:
            leak *= nb.int64(held > 0) - nb.int64(held < 0)
        x = held + leak
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        mask = nb.int64(plain[5, core, j])
        noise = draw(state, core, mask) if mask else 0
        v[core * 256 + j], fires = after(held, plain[:, core, j], noise)
        if fires:
            fired[core * 4 + (j >> 6)] |= _ONE << np.uint64(j & 63)
    return synops, saturations
