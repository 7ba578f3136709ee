"""Compiled inner loops: a tick of cores, and the way of spikes to axons. All cores of one sample at a time."""
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from i2e_deploy.chips.truenorth.engine.plan import (
    FLOOR,
    LEAK,
    MASK,
    RESET,
    REVERSAL,
    SATURATE,
    STOCHASTIC,
    THRESHOLD,
    VALUE,
)
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
def integrate(words: Array, rows: Array, types: Array, weight: Array, v: Array) -> int:
    """Synapses of a core's active axons, without randomness; returns how many."""
    synops = 0
    for part in range(4):
        bits = words[part]
        while bits != 0:
            axon = part * 64 + nb.int64(lowest_bit(bits))
            bits &= bits - _ONE
            add = weight[types[axon]]
            for word in range(8):
                row = rows[axon, word]
                if row == 0:
                    continue
                synops += nb.int64(count_bits(np.uint64(row)))
                first = word * 32
                for lane in range(32):
                    v[first + lane] += add[first + lane] & -nb.int32((row >> np.uint32(lane)) & np.uint32(1))
    return synops


@nb.njit(nogil=True, cache=True)
def compare_simple(v: Array, neuron: Array, core: int, fired: Array) -> int:
    """Leak and thresholds of 256 neurons that are alike; returns saturations."""
    leak, threshold, floor = neuron[LEAK, core, 0], neuron[THRESHOLD, core, 0], neuron[FLOOR, core, 0]
    reset, value, saturate = neuron[RESET, core, 0], neuron[VALUE, core, 0], neuron[SATURATE, core, 0]
    value_low = -value if reset == TO_VALUE else nb.int32(0)
    up = threshold if reset == SUBTRACT else nb.int32(0)
    keep = nb.int32(0) if reset == TO_VALUE else nb.int32(-1)
    down = floor if reset == SUBTRACT else nb.int32(0)
    value = value if reset == TO_VALUE else nb.int32(0)
    saturations = nb.int32(0)
    for j in range(256):
        x = v[j]
        held = min(max(x, nb.int32(LOW)), nb.int32(HIGH))
        saturations += nb.int32(held != x)
        x = held + leak
        held = min(max(x, nb.int32(LOW)), nb.int32(HIGH))
        saturations += nb.int32(held != x)
        above = held >= threshold
        after_above = ((held - up) & keep) + value
        after_below = -floor if saturate else ((held + down) & keep) + value_low
        v[j] = after_above if above else (after_below if held < -floor else held)
        fired[j] = above
    return saturations


@nb.njit(nogil=True, cache=True)
def compare_general(v: Array, neuron: Array, core: int, fired: Array) -> int:
    """The same for neurons that differ."""
    saturations = nb.int32(0)
    for j in range(256):
        x = v[j]
        held = min(max(x, nb.int32(LOW)), nb.int32(HIGH))
        saturations += nb.int32(held != x)
        leak = neuron[LEAK, core, j]
        sign = nb.int32(held > 0) - nb.int32(held < 0) if neuron[REVERSAL, core, j] else nb.int32(1)
        x = held + leak * sign
        held = min(max(x, nb.int32(LOW)), nb.int32(HIGH))
        saturations += nb.int32(held != x)
        v[j], fired[j] = after(held, neuron[:, core, j], nb.int32(0))
    return saturations


@nb.njit(nogil=True, cache=True, inline="always")
def after(v: int, neuron: Array, noise: int) -> tuple[int, bool]:
    """Both thresholds: the potential after, and whether it fires."""
    reset, value = neuron[RESET], neuron[VALUE]
    threshold, floor = neuron[THRESHOLD] + noise, neuron[FLOOR] + noise
    if v >= threshold:
        return (value if reset == TO_VALUE else v - threshold if reset == SUBTRACT else v), True
    if neuron[SATURATE]:
        return max(v, -neuron[FLOOR]), False
    if v < -floor:
        return (-value if reset == TO_VALUE else v + floor if reset == SUBTRACT else v), False
    return v, False


@nb.njit(nogil=True, cache=True)
def draw(state: Array, core: int, mask: int) -> int:
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
def stochastic_core(
    words: Array, rows: Array, types: Array, weight: Array, v: Array, neuron: Array, core: int, size: int,
    chance: Array, state: Array, fired: Array,
) -> tuple[int, int]:  # fmt: skip
    """A whole tick of a core, neuron by neuron, so that random numbers are drawn in the order of the definition."""
    synops, saturations = 0, 0
    for j in range(size):
        x = nb.int64(v[j])
        for part in range(4):
            bits = words[part]
            while bits != 0:
                axon = part * 64 + nb.int64(lowest_bit(bits))
                bits &= bits - _ONE
                if (rows[axon, j >> 5] >> np.uint32(j & 31)) & np.uint32(1):
                    kind = types[axon]
                    add = nb.int64(weight[kind, j])
                    x += by_chance(add, state, core) if chance[j, kind] else add
                    synops += 1
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        leak = nb.int64(neuron[LEAK, core, j])
        leak = by_chance(leak, state, core) if chance[j, 4] else leak
        if neuron[REVERSAL, core, j]:
            leak *= nb.int64(held > 0) - nb.int64(held < 0)
        x = held + leak
        held = min(max(x, nb.int64(LOW)), nb.int64(HIGH))
        saturations += held != x
        mask = nb.int64(neuron[MASK, core, j])
        noise = draw(state, core, mask) if mask else 0
        v[j], fired[j] = after(held, neuron[:, core, j], noise)
    return synops, saturations


@nb.njit(nogil=True, cache=True)
def run_cores(
    first: int, last: int, slot: int, arriving: Array, rows: Array, types: Array, weight: Array, neuron: Array,
    chance: Array, kind: Array, sizes: Array, v: Array, state: Array, fired: Array, counts: Array,
) -> None:  # fmt: skip
    """A tick of cores `first` to `last - 1`: who fires, uint8 [K, 256]; adds to counts int64 [K, 3]."""
    for core in range(first, last):
        words = arriving[slot, core]
        if kind[core] == STOCHASTIC:
            synops, saturations = stochastic_core(
                words, rows[core], types[core], weight[core], v[core], neuron, core, sizes[core], chance[core], state,
                fired[core],
            )  # fmt: skip
        else:
            synops = integrate(words, rows[core], types[core], weight[core], v[core])
            if kind[core] == 0 and sizes[core] == 256:
                saturations = compare_simple(v[core], neuron, core, fired[core])
            else:
                saturations = compare_general(v[core], neuron, core, fired[core])
        counts[core, 0] += synops
        counts[core, 1] += saturations
        for part in range(4):
            words[part] = 0


@nb.njit(nogil=True, cache=True)
def deliver(
    first: int, last: int, slot: int, fired: Array, target: Array, delay: Array, arriving: Array, counts: Array
) -> None:
    """Spikes of cores `first` to `last - 1` to the axons that they go to."""
    eights = fired.view(np.uint64)
    for core in range(first, last):
        for eight in range(32):
            if eights[core, eight] == 0:
                continue
            for j in range(eight * 8, eight * 8 + 8):
                if fired[core, j]:
                    counts[core, 2] += 1
                    to = target[core, j]
                    if to >= 0:
                        place = (slot + delay[core, j]) & 15
                        arriving[place, to >> 8, (to & 255) >> 6] |= _ONE << np.uint64(to & 63)


@nb.njit(nogil=True, cache=True)
def run_sample(
    frames: Array, line: Array, axon: Array, input_delay: Array, arriving: Array, rows: Array, types: Array,
    weight: Array, neuron: Array, chance: Array, kind: Array, sizes: Array, target: Array, delay: Array, v: Array,
    state: Array, fired: Array, counts: Array, own: Array, spikes: Array,
) -> None:  # fmt: skip
    """Ticks of one sample, frames [T, N], from slot 0 on; writes uint8 spikes [T, neurons in `own`]."""
    flat = fired.reshape(-1)
    cores = len(sizes)
    for t in range(len(frames)):
        slot = t & 15
        feed(frames[t], line, axon, input_delay, arriving, slot)
        run_cores(0, cores, slot, arriving, rows, types, weight, neuron, chance, kind, sizes, v, state, fired, counts)
        deliver(0, cores, slot, fired, target, delay, arriving, counts)
        for i in range(len(own)):
            spikes[t, i] = flat[own[i]]
