"""Compiled inner loops: a tick of cores, and the way of spikes to axons. All cores of one sample at a time."""
# mypy: disable-error-code="call-arg,untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.truenorth.engine.plan import ALIKE, STOCHASTIC, WIDE
from i2e_deploy.chips.truenorth.engine.simd import (
    REVERSAL,
    add_counts,
    compare_alike,
    compare_alike_16,
    compare_each,
    compare_each_16,
    count_rows,
    prefetch,
)
from i2e_deploy.chips.truenorth.engine.tables import OFFSETS
from i2e_deploy.chips.truenorth.program import HIGH, LOW, SUBTRACT, TO_VALUE
from i2e_deploy.llvm_vectors import count_bits, lowest_bit

# numba's types are not mypy's.
nb: Any = numba
Array = Any
_ONE = np.uint64(1)
#: Where offsets of weights begin among those of a core.
WEIGHTS = REVERSAL + 1
#: How many rows a byte counts.
MOST = 255
#: Spikes, and cores, that are looked ahead.
AHEAD, CORES_AHEAD = 24, 4


@nb.njit(nogil=True, cache=True)
def feed(frame: Array, line: Array, axon: Array, delay: Array, arriving: Array, slot: int) -> None:
    """Input lines that are not 0 reach their axons: `arriving` is uint64 [16, K, 4]."""
    for i in range(len(line)):
        if frame[line[i]] > 0:
            place = ((slot + delay[i]) & 15) * (len(arriving) >> 4) + (axon[i] >> 6)
            arriving[place] |= _ONE << np.uint64(axon[i] & 63)


@nb.njit(nogil=True, cache=True, inline="always")
def sort_axons(now: int, arriving: Array, rows: Array, types: Array, core: int, active: Array, ends: Array) -> int:
    """Rows of a core's active axons, by type: type k has the first `ends[k]` of `active[256 * k:]`, int32.

    Returns how many synapses they have.
    """
    synops = nb.int64(0)
    for kind in range(4):
        ends[kind] = 0
    for part in range(4):
        bits = arriving[now + part]
        low, high = types[core * 8 + part], types[core * 8 + 4 + part]
        while bits != 0:
            place = lowest_bit(bits)
            bits &= bits - _ONE
            kind = nb.int64(low >> place & _ONE) + 2 * nb.int64(high >> place & _ONE)
            row = (core << 8) + part * 64 + nb.int64(place)
            active[(kind << 8) + ends[kind]] = row
            ends[kind] += 1
            for word in range(4):
                synops += nb.int64(count_bits(rows[(row << 2) + word]))
    return synops


@nb.njit(nogil=True, cache=True, inline="always")
def integrate(
    rows: Array, weight: Array, offsets: Array, core: int, active: Array, ends: Array, counts: Array, sums: Array
) -> None:
    """Synapses of a core's sorted active axons, into int16 sums [256]."""
    for j in range(256):
        sums[j] = 0
    for kind in range(4):
        count, first = nb.int64(ends[kind]), kind << 8
        while count > 0:
            count_rows(counts, rows, active, first, first + min(count, MOST))
            add_counts(sums, counts, weight, nb.int64(offsets[core * OFFSETS + WEIGHTS + kind]))
            first, count = first + MOST, count - MOST


@nb.njit(nogil=True, cache=True)
def integrate_wide(
    rows: Array, weight: Array, offsets: Array, core: int, active: Array, ends: Array, v: Array, sums: Array
) -> None:
    """The same where sums leave 16 bits: into the potentials int32 [K * 256] themselves; `sums` is 0 then."""
    sums[:] = 0
    for kind in range(4):
        offset = nb.int64(offsets[core * OFFSETS + WEIGHTS + kind])
        for i in range(kind << 8, (kind << 8) + ends[kind]):
            for j in range(256):
                if rows[(active[i] << 2) + (j >> 6)] >> np.uint64(j & 63) & _ONE:
                    v[(core << 8) + j] += weight[(offset & ~31) + (j if offset & 1 else 0)]


@nb.njit(nogil=True, cache=True, inline="always")
def fetch(now: int, arriving: Array, core: int, rows: Array) -> None:
    """Begins to load what no processor guesses: rows of the active axons of a core."""
    for part in range(4):
        bits = arriving[now + part]
        while bits != 0:
            prefetch(rows, (core << 10) + part * 256 + (nb.int64(lowest_bit(bits)) << 2))
            bits &= bits - _ONE


@nb.njit(nogil=True, cache=True)
def widen(v: Array, short: Array, core: int) -> None:
    """Potentials of a core from 16 bits."""
    for j in range(core << 8, (core + 1) << 8):
        v[j] = short[j]


@nb.njit(nogil=True, cache=True)
def shorten(v: Array, short: Array, core: int) -> None:
    """Potentials of a core into 16 bits, which hold them."""
    for j in range(core << 8, (core + 1) << 8):
        short[j] = v[j]


@nb.njit(nogil=True, cache=True)
def begin(v: Array, short: Array, limit: Array, narrow: Array) -> None:
    """Which cores begin in 16 bits: `narrow` uint8 [K], and `short` int16 [K * 256] of v int32 [K * 256]."""
    for core in range(len(limit)):
        far = nb.int64(0)
        for j in range(core << 8, (core + 1) << 8):
            far = max(far, abs(nb.int64(v[j])))
        narrow[core] = far <= limit[core]
        if narrow[core]:
            shorten(v, short, core)


@nb.njit(nogil=True, cache=True)
def end(v: Array, short: Array, narrow: Array) -> None:
    """All potentials, in 32 bits."""
    for core in range(len(narrow)):
        if narrow[core]:
            widen(v, short, core)


@nb.njit(nogil=True, cache=True)
def change(v: Array, short: Array, narrow: Array, core: int) -> None:
    """A core goes on in 16 bits if it was in 32, and the other way round."""
    if narrow[core]:
        widen(v, short, core)
    else:
        shorten(v, short, core)
    narrow[core] = 1 - narrow[core]


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


@nb.njit(nogil=True, cache=True)
def run_cores(
    first: int, last: int, slot: int, arriving: Array, rows: Array, types: Array, table: Array, table_16: Array,
    weight: Array, offsets: Array, limit: Array, plain: Array, chance: Array, kind: Array, sizes: Array, owned: Array,
    way: Array, v: Array, short: Array, narrow: Array, state: Array, fired: Array, sent: Array, counts: Array,
) -> int:  # fmt: skip
    """A tick of cores `first` to `last - 1`: who fires, uint64 [K * 4], and the ways of their spikes, `sent`.

    Adds to counts int64 [K * 4]; arriving is uint64 [16 * K * 4]. Arrays are as in `Plan`; potentials are in `short`
    where a core is `narrow`, else in `v`. Returns how many ways there are.
    """
    sums, counted, ends = np.zeros(256, np.int16), np.zeros(256, np.uint8), np.zeros(4, np.int32)
    active, spikes = np.zeros(4 * 256, np.int32), 0
    begun = slot * len(sizes) * 4
    for ahead in range(first, last + CORES_AHEAD):
        if ahead < last:
            fetch(begun + ahead * 4, arriving, ahead, rows)
        core = ahead - CORES_AHEAD
        if core < first:
            continue
        now = begun + core * 4
        if kind[core] == STOCHASTIC:
            synops, saturations = stochastic_core(
                arriving[now : now + 4], rows, types[core * 8 : core * 8 + 8], weight, offsets, v, plain, core,
                sizes[core], chance[core], state, fired,
            )  # fmt: skip
        else:
            synops = sort_axons(now, arriving, rows, types, core, active, ends)
            if kind[core] == WIDE:
                integrate_wide(rows, weight, offsets, core, active, ends, v, sums)
            else:
                integrate(rows, weight, offsets, core, active, ends, counted, sums)
            if narrow[core] and kind[core] == ALIKE:
                found = compare_alike_16(short, sums, table_16, offsets, core, fired, limit[core])
            elif narrow[core]:
                found = compare_each_16(short, sums, table_16, offsets, core, fired, limit[core])
            elif kind[core] == ALIKE:
                found = compare_alike(v, sums, table, offsets, core, fired, limit[core])
            else:
                found = compare_each(v, sums, table, offsets, core, fired, limit[core])
            saturations = found >> 1
            if narrow[core] == (found & 1):
                change(v, short, narrow, core)
        fires, own = nb.int64(0), nb.int64(0)
        for part in range(4):
            arriving[now + part] = 0
            bits = fired[core * 4 + part]
            fires += nb.int64(count_bits(bits))
            own += nb.int64(count_bits(bits & owned[core * 4 + part]))
            for _ in range(2):  # most words have few: without a branch, for nobody foresees how many
                sent[spikes] = way[(core << 8) + part * 64 + (nb.int64(lowest_bit(bits)) & 63)]
                spikes += bits != 0
                bits &= bits - _ONE
            while bits != 0:
                sent[spikes] = way[(core << 8) + part * 64 + nb.int64(lowest_bit(bits))]
                spikes += 1
                bits &= bits - _ONE
        counts[core * 4] += synops
        counts[core * 4 + 1] += saturations
        counts[core * 4 + 2] += fires
        counts[core * 4 + 3] += own
    return spikes


@nb.njit(nogil=True, cache=True)
def deliver(first: int, last: int, slot: int, sent: Array, arriving: Array) -> None:
    """Spikes to the axons of cores `first` to `last - 1`; ways as in `Plan`, `arriving` uint64 [16 * K * 4]."""
    low, high, row = first << 12, last << 12, len(arriving) >> 4
    for i in range(len(sent)):
        if i + AHEAD < len(sent):
            to = nb.int64(sent[i + AHEAD])
            prefetch(arriving, ((slot + to) & 15) * row + (max(to, 0) >> 10))
        to = nb.int64(sent[i])
        here = low <= to < high
        to = to if here else low  # no branch: which part a spike is for cannot be foreseen
        arriving[((slot + to) & 15) * row + (to >> 10)] |= nb.uint64(here) << nb.uint64((to >> 4) & 63)


@nb.njit(nogil=True, cache=True)
def read(fired: Array, own: Array, spikes: Array) -> None:
    """Spikes of some neurons, uint8 [n], out of the bits of all."""
    for i in range(len(own)):
        place = own[i]
        spikes[i] = (fired[place >> 6] >> np.uint64(place & 63)) & _ONE


@nb.njit(nogil=True, cache=True)
def run_sample(
    frames: Array, line: Array, axon: Array, input_delay: Array, arriving: Array, rows: Array, types: Array,
    table: Array, table_16: Array, weight: Array, offsets: Array, limit: Array, plain: Array, chance: Array,
    kind: Array, sizes: Array, owned: Array, way: Array, v: Array, state: Array, counts: Array, own: Array,
    spikes: Array,
) -> None:  # fmt: skip
    """Ticks of one sample, frames [T, N], from slot 0 on; writes uint8 spikes [T, neurons in `own`]."""
    cores = len(sizes)
    fired, sent = np.zeros(cores * 4, np.uint64), np.zeros(cores * 256, np.int32)
    short, narrow = np.zeros(cores * 256, np.int16), np.zeros(cores, np.uint8)
    begin(v, short, limit, narrow)
    for t in range(len(frames)):
        slot = t & 15
        feed(frames[t], line, axon, input_delay, arriving, slot)
        spikes_sent = run_cores(
            0, cores, slot, arriving, rows, types, table, table_16, weight, offsets, limit, plain, chance, kind, sizes,
            owned, way, v, short, narrow, state, fired, sent, counts,
        )  # fmt: skip
        deliver(0, cores, slot, sent[:spikes_sent], arriving)
        read(fired, own, spikes[t])
    end(v, short, narrow)
