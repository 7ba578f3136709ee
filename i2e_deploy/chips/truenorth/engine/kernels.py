"""Compiled inner loops: a tick of cores, and the way of spikes to axons. All cores of one sample at a time."""
# mypy: disable-error-code="call-arg,untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.truenorth.engine.chance import stochastic_core
from i2e_deploy.chips.truenorth.engine.plan import ALIKE, STOCHASTIC, WIDE
from i2e_deploy.chips.truenorth.engine.simd import (
    WEIGHTS,
    add_counts,
    compare_alike,
    compare_alike_16,
    compare_each,
    compare_each_16,
    count_rows,
    prefetch,
)
from i2e_deploy.chips.truenorth.engine.tables import OFFSETS
from i2e_deploy.llvm_vectors import count_bits, lowest_bit

# numba's types are not mypy's.
nb: Any = numba
Array = Any
_ONE = np.uint64(1)
#: Room for the ways of a core's spikes: `emit` writes one more than there are.
WAYS = 257
#: How many rows a byte counts.
MOST = 255
#: Spikes, and cores, whose memory is fetched ahead: of 1, 2, 4, 8 and 16 cores, 4 and 8 were fastest at 20 Hz, and 4
#: at 200 Hz.
AHEAD, CORES_AHEAD = 24, 4


@nb.njit(nogil=True, cache=True)
def feed(frame: Array, line: Array, axon: Array, delay: Array, arriving: Array, slot: int) -> None:
    """Input lines that are not 0 reach their axons: `arriving` is uint64 [16 * K * 4]."""
    for i in range(len(line)):
        if frame[line[i]] > 0:
            place = ((slot + delay[i]) & 15) * (len(arriving) >> 4) + (axon[i] >> 6)
            arriving[place] |= _ONE << np.uint64(axon[i] & 63)


@nb.njit(nogil=True, cache=True, inline="always")
def sort_axons(now: int, arriving: Array, rows: Array, types: Array, core: int, active: Array, ends: Array) -> int:
    """Rows of a core's active axons, by type: type k has the first `ends[k]` of `active[256 * k:]`, int32.

    Returns how many synapses they have.
    """
    synops: int = nb.int64(0)
    for kind in range(4):
        ends[kind] = 0
    for part in range(4):
        bits = arriving[now + part]
        low, high = types[core * 8 + part], types[core * 8 + 4 + part]
        while bits != 0:
            place: Any = lowest_bit(bits)
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
def fetch(now: int, arriving: Array, core: int, last: int, rows: Array) -> None:
    """Begins to load what no processor guesses: rows of the active axons of a core before `last`."""
    for part in range(4 if core < last else 0):
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


@nb.njit(nogil=True, cache=True, inline="always")
def emit(core: int, fired: Array, owned: Array, way: Array, sent: Array, spikes: int, counts: Array) -> int:
    """Ways of a core's spikes, from `sent[spikes]` on; returns how many there are then."""
    own = nb.int64(0)
    first = spikes
    for part in range(core * 4, core * 4 + 4):
        bits = fired[part]
        own += nb.int64(count_bits(bits & owned[part]))
        for _ in range(2):  # most words have few: without a branch, for nobody foresees how many
            sent[spikes] = way[(part << 6) + (nb.int64(lowest_bit(bits)) & 63)]
            spikes += bits != 0
            bits &= bits - _ONE
        while bits != 0:
            sent[spikes] = way[(part << 6) + nb.int64(lowest_bit(bits))]
            spikes += 1
            bits &= bits - _ONE
    counts[core * 4 + 2] += spikes - first
    counts[core * 4 + 3] += own
    return spikes


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
        fetch(begun + ahead * 4, arriving, ahead, last, rows)
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
        counts[core * 4] += synops
        counts[core * 4 + 1] += saturations
        for part in range(4):
            arriving[now + part] = 0
        spikes = emit(core, fired, owned, way, sent, spikes, counts)
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
    fired, sent = np.zeros(cores * 4, np.uint64), np.zeros(cores * WAYS, np.int32)
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
