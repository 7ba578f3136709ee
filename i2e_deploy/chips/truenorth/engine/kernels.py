"""Compiled inner loops: a tick of cores, and the way of spikes to axons. All cores of one sample at a time."""
# mypy: disable-error-code="call-arg,untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.truenorth.engine.plan import ALIKE, STOCHASTIC, WIDE
from i2e_deploy.chips.truenorth.engine.simd import REVERSAL, add_row, compare_alike, compare_each, prefetch
from i2e_deploy.chips.truenorth.program import HIGH, LOW, SUBTRACT, TO_VALUE
from i2e_deploy.llvm_vectors import count_bits, lowest_bit

# numba's types are not mypy's.
nb: Any = numba
Array = Any
_ONE = np.uint64(1)


@nb.njit(nogil=True, cache=True)
def feed(frame: Array, line: Array, axon: Array, delay: Array, arriving: Array, slot: int) -> None:
    """Input lines that are not 0 reach their axons: `arriving` is uint64 [16, K, 4]."""
    for i in range(len(line)):
        if frame[line[i]] > 0:
            place = (slot + delay[i]) & 15
            arriving[place, axon[i] >> 8, (axon[i] & 255) >> 6] |= _ONE << np.uint64(axon[i] & 63)


@nb.njit(nogil=True, cache=True)
def integrate(words: Array, rows: Array, kinds: Array, weight: Array, core: int, sums: Array) -> int:
    """Synapses of a core's active axons, into int16 sums [256]; returns how many."""
    synops = 0
    sums[:] = 0
    for part in range(4):
        bits = words[part]
        while bits != 0:
            axon = (core << 8) + part * 64 + nb.int64(lowest_bit(bits))
            bits &= bits - _ONE
            kind = nb.int64(kinds[axon])
            synops += kind >> 2
            add_row(sums, weight, (core * 4 + (kind & 3)) * 256, rows, axon << 4)
    return synops


@nb.njit(nogil=True, cache=True)
def fetch(arriving: Array, core: int, last: int, rows: Array, kinds: Array, weight: Array) -> None:
    """Begins to load what the next two cores will need and no processor guesses: kinds, rows and weights of axons."""
    if core + 2 < last:
        for part in range(4):
            bits = arriving[core + 2, part]
            while bits != 0:
                prefetch(kinds, ((core + 2) << 8) + part * 64 + nb.int64(lowest_bit(bits)))
                bits &= bits - _ONE
    if core + 1 < last:
        begun = 0
        for part in range(4):
            bits = arriving[core + 1, part]
            while bits != 0:
                axon = ((core + 1) << 8) + part * 64 + nb.int64(lowest_bit(bits))
                bits &= bits - _ONE
                prefetch(rows, axon << 4)
                kind = nb.int64(kinds[axon]) & 3
                if not begun >> kind & 1:
                    begun |= 1 << kind
                    for line in range(8):
                        prefetch(weight, ((core + 1) * 4 + kind) * 256 + line * 32)


@nb.njit(nogil=True, cache=True)
def integrate_wide(words: Array, rows: Array, kinds: Array, weight: Array, core: int, v: Array) -> int:
    """The same where sums leave 16 bits: into the potentials themselves."""
    synops = 0
    for part in range(4):
        bits = words[part]
        while bits != 0:
            axon = (core << 8) + part * 64 + nb.int64(lowest_bit(bits))
            bits &= bits - _ONE
            kind = nb.int64(kinds[axon])
            synops += kind >> 2
            base = (core * 4 + (kind & 3)) * 256
            for j in range(256):
                if (rows[(axon << 4) + (j >> 4)] >> np.uint16(j & 15)) & np.uint16(1):
                    v[j] += weight[base + j]
    return synops


@nb.njit(nogil=True, cache=True)
def compare(v: Array, sums: Array, neuron: Array, common: Array, core: int, alike: bool, fired: Array) -> int:
    """Leak and thresholds of 256 neurons, who fires into uint64 [4]; returns saturations."""
    saturations, base = 0, core * 2560
    for part in range(4):
        bits = nb.int64(0)
        for group in range(4):
            at = part * 64 + group * 16
            if alike:
                found = compare_alike(v, at, sums, at, common, core * 16)
            else:
                found = compare_each(v, at, sums, at, neuron, base + at)
            bits |= (found & 0xFFFF) << (group * 16)
            saturations += found >> 16
        fired[part] = np.uint64(bits)
    return saturations


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
    words: Array, rows: Array, kinds: Array, weight: Array, v: Array, plain: Array, neuron: Array, core: int,
    size: int, chance: Array, state: Array, fired: Array,
) -> tuple[int, int]:  # fmt: skip
    """A whole tick of a core, neuron by neuron, so that random numbers are drawn in the order of the definition."""
    synops, saturations = 0, 0
    fired[:] = 0
    for j in range(size):
        x = nb.int64(v[j])
        for part in range(4):
            bits = words[part]
            while bits != 0:
                axon = (core << 8) + part * 64 + nb.int64(lowest_bit(bits))
                bits &= bits - _ONE
                if (rows[(axon << 4) + (j >> 4)] >> np.uint16(j & 15)) & np.uint16(1):
                    kind = nb.int64(kinds[axon]) & 3
                    add = nb.int64(weight[(core * 4 + kind) * 256 + j])
                    x += by_chance(add, state, core) if chance[j, kind] else add
                    synops += 1
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        leak = nb.int64(plain[6, core, j])
        leak = by_chance(leak, state, core) if chance[j, 4] else leak
        if neuron[core * 2560 + REVERSAL * 256 + j]:
            leak *= nb.int64(held > 0) - nb.int64(held < 0)
        x = held + leak
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        mask = nb.int64(plain[5, core, j])
        noise = draw(state, core, mask) if mask else 0
        v[j], fires = after(held, plain[:, core, j], noise)
        if fires:
            fired[j >> 6] |= _ONE << np.uint64(j & 63)
    return synops, saturations


@nb.njit(nogil=True, cache=True)
def run_cores(
    first: int, last: int, slot: int, arriving: Array, rows: Array, kinds: Array, weight: Array, neuron: Array,
    common: Array, plain: Array, chance: Array, kind: Array, sizes: Array, owned: Array, way: Array, v: Array,
    state: Array, fired: Array, sent: Array, counts: Array,
) -> int:  # fmt: skip
    """A tick of cores `first` to `last - 1`: who fires, uint64 [K, 4], and the ways of their spikes, `sent`.

    Adds to counts int64 [K, 4]. Arrays are as in `Plan`. Returns how many ways there are.
    """
    sums, spikes, now = np.zeros(256, np.int16), 0, arriving[slot]
    for core in range(first, last):
        fetch(now, core, last, rows, kinds, weight)
        words = now[core]
        if kind[core] == STOCHASTIC:
            synops, saturations = stochastic_core(
                words, rows, kinds, weight, v[core], plain, neuron, core, sizes[core], chance[core], state, fired[core]
            )
        else:
            if kind[core] == WIDE:
                sums[:] = 0
                synops = integrate_wide(words, rows, kinds, weight, core, v[core])
            else:
                synops = integrate(words, rows, kinds, weight, core, sums)
            saturations = compare(v[core], sums, neuron, common, core, kind[core] == ALIKE, fired[core])
        counts[core, 0] += synops
        counts[core, 1] += saturations
        for part in range(4):
            words[part] = 0
            bits = fired[core, part]
            counts[core, 2] += nb.int64(count_bits(bits))
            counts[core, 3] += nb.int64(count_bits(bits & owned[core, part]))
            while bits != 0:
                sent[spikes] = way[core, part * 64 + nb.int64(lowest_bit(bits))]
                spikes += 1
                bits &= bits - _ONE
    return spikes


@nb.njit(nogil=True, cache=True)
def deliver(first: int, last: int, slot: int, sent: Array, arriving: Array) -> None:
    """Spikes to the axons of cores `first` to `last - 1`; ways as in `Plan`."""
    low, high = first << 12, last << 12
    for i in range(len(sent)):
        to = sent[i]
        if low <= to < high:
            place, axon = (slot + to) & 15, to >> 4
            arriving[place, axon >> 8, (axon & 255) >> 6] |= _ONE << np.uint64(axon & 63)


@nb.njit(nogil=True, cache=True)
def read(fired: Array, own: Array, spikes: Array) -> None:
    """Spikes of some neurons, uint8 [n], out of the bits of all."""
    for i in range(len(own)):
        place = own[i]
        spikes[i] = (fired[place >> 8, (place & 255) >> 6] >> np.uint64(place & 63)) & _ONE


@nb.njit(nogil=True, cache=True)
def run_sample(
    frames: Array, line: Array, axon: Array, input_delay: Array, arriving: Array, rows: Array, kinds: Array,
    weight: Array, neuron: Array, common: Array, plain: Array, chance: Array, kind: Array, sizes: Array, owned: Array,
    way: Array, v: Array, state: Array, counts: Array, own: Array, spikes: Array,
) -> None:  # fmt: skip
    """Ticks of one sample, frames [T, N], from slot 0 on; writes uint8 spikes [T, neurons in `own`]."""
    cores = len(sizes)
    fired, sent = np.zeros((cores, 4), np.uint64), np.zeros(cores * 256, np.int32)
    for t in range(len(frames)):
        slot = t & 15
        feed(frames[t], line, axon, input_delay, arriving, slot)
        spikes_sent = run_cores(
            0, cores, slot, arriving, rows, kinds, weight, neuron, common, plain, chance, kind, sizes, owned, way, v,
            state, fired, sent, counts,
        )  # fmt: skip
        deliver(0, cores, slot, sent[:spikes_sent], arriving)
        read(fired, own, spikes[t])
