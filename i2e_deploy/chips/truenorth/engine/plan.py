"""What the kernels need of a program, in the layout that they read fast; made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.engine.tables import OFFSETS, make_table
from i2e_deploy.chips.truenorth.program import HIGH, NEURONS, SUBTRACT, TO_VALUE, TYPES, CoreNetwork, Cores
from i2e_deploy.chips.truenorth.reference.states import packed

#: Kinds of cores: neurons alike but for weights, neurons that differ, sums beyond 16 bits, random numbers.
ALIKE, DIFFERENT, WIDE, STOCHASTIC = range(4)
#: A threshold that no potential reaches, and a bottom below all: of neurons that do not exist.
NEVER = 2**30
#: A spike's way in one number: ticks in the low 4 bits, then the axon.
WAY_BITS = 4
#: Ends of 16 bits that are alike.
SHORT = 32767


@dataclass(frozen=True, eq=False)
class Plan:
    """Arrays of a program for the kernels.

    Args:
        rows: uint64 [K * 256 * 4], crossbars by axon.
        types: uint64 [K * 2 * 4], of axons the low and the high bit of their type.
        table, offsets: parameters of neurons, int32, see `engine.tables`; in order of `simd.LEAK` and so on.
        short: int16, the same table for potentials of 16 bits.
        weight: int16, weights by type of axon; their offsets are those from `WEIGHTS` on.
        limit: int32 [K], a core whose potentials are no further from 0 is computed in 16 bits; -1 never.
        plain: int32 [7, K, 256], for stochastic cores: threshold, floor, reset, value, saturate, mask, leak.
        chance: uint8 [K, 256, 6]: which types of weight, and the leak, are stochastic, and which leaks turn.
        kind: uint8 [K].
        way: int32 [K * 256], axon * 16 + delay, -1 nowhere.
        own: int32 [n], places of the neurons that stand for values, by layer.
        owned: uint64 [K * 4], bits of the same.
    """

    rows: NDArray[np.uint64]
    types: NDArray[np.uint64]
    table: NDArray[np.int32]
    short: NDArray[np.int16]
    weight: NDArray[np.int16]
    offsets: NDArray[np.int32]
    limit: NDArray[np.int32]
    plain: NDArray[np.int32]
    chance: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    way: NDArray[np.int32]
    input_line: NDArray[np.int32]
    input_axon: NDArray[np.int32]
    input_delay: NDArray[np.uint8]
    own: NDArray[np.int32]
    owned: NDArray[np.uint64]


def make_plan(network: CoreNetwork) -> Plan:
    """Of a whole program."""
    cores = network.cores
    exists = np.arange(NEURONS)[None] < cores.sizes[:, None]
    masked = cores.crossbar & np.packbits(exists, axis=1, bitorder="little")[:, None]
    chance = (cores.stochastic_weight, cores.stochastic_leak[..., None], cores.leak_reversal[..., None])
    plain = (cores.threshold, cores.floor, cores.reset, cores.reset_value, cores.saturate, cores.threshold_mask)
    parameters = _parameters(cores, exists)
    table, offsets = make_table(parameters)
    weight, of_weights = make_table([cores.weight[..., kind].astype(np.int32) for kind in range(TYPES)])
    room = np.zeros((len(cores), OFFSETS - offsets.shape[1] - TYPES), np.int32)
    reach = _reach(cores, masked)
    own = np.concatenate([layer.neurons for layer in network.layers])
    owned = np.zeros(len(cores) * NEURONS, bool)
    owned[own] = True
    return Plan(
        rows=_aligned(np.ascontiguousarray(masked).view("<u8").astype(np.uint64)),
        types=_aligned(np.stack([packed((cores.axon_type >> bit & 1).astype(bool)) for bit in range(2)], axis=1)),
        table=_aligned(table),
        short=_aligned(table.clip(-SHORT, SHORT).astype(np.int16)),
        weight=_aligned(weight.astype(np.int16)),
        offsets=_aligned(np.concatenate([offsets, of_weights, room], axis=1)),
        limit=_limits(cores, exists, reach),
        plain=np.stack([*plain, cores.leak]).astype(np.int32),
        chance=np.concatenate(chance, axis=2),
        kind=_kinds(cores, parameters, reach),
        sizes=cores.sizes,
        way=_aligned(np.where(cores.target < 0, -1, (cores.target << WAY_BITS) | cores.delay).astype(np.int32)),
        input_line=network.input_line,
        input_axon=network.input_axon,
        input_delay=network.input_delay,
        own=own,
        owned=_aligned(packed(owned.reshape(-1, NEURONS))),
    )


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """The same values, flat, from a cache line on: a row of 32 bytes is then never in two lines."""
    room = np.empty(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    found = room[first : first + array.nbytes].view(array.dtype)
    found[:] = array.reshape(-1)
    return found


def _parameters(cores: Cores, exists: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    """Both thresholds as `simd.compare` has them: after a spike ((v - up) & keep) + value, below likewise."""
    to_value, subtract, stays = cores.reset == TO_VALUE, cores.reset == SUBTRACT, cores.saturate != 0
    rows = (
        np.where(exists, cores.leak, 0),
        np.where(exists, cores.threshold, NEVER),
        np.where(subtract, cores.threshold, 0),
        np.where(to_value, 0, -1),
        np.where(to_value, cores.reset_value, 0),
        np.where(exists, -cores.floor, -NEVER),
        np.where(subtract, cores.floor, 0),
        np.where(to_value | stays, 0, -1),
        np.where(stays, -cores.floor, np.where(to_value, -cores.reset_value, 0)),
        cores.leak_reversal,
    )
    return [row.astype(np.int32) for row in rows]


def _reach(cores: Cores, masked: NDArray[np.uint8]) -> NDArray[np.int32]:
    """What the synapses of a tick add at most to any potential of a core, or take from it; int32 [K]."""
    largest = np.abs(cores.weight.astype(np.int32)).max(axis=1)  # [K, 4]
    of_axon = np.take_along_axis(largest, cores.axon_type.astype(np.intp), axis=1)
    found: NDArray[np.int32] = (of_axon * masked.any(axis=2)).sum(axis=1, dtype=np.int32)
    return found


def _limits(cores: Cores, exists: NDArray[np.bool_], reach: NDArray[np.int32]) -> NDArray[np.int32]:
    """From where a tick stays strictly within 16 bits, so that clipped thresholds are never met."""
    leak = np.abs(np.where(exists, cores.leak, 0)).max(axis=1)
    never = cores.stochastic | cores.leak_reversal.any(axis=1) | (np.abs(cores.reset_value).max(axis=1) > SHORT)
    return np.where(never, -1, np.maximum(SHORT - 1 - reach - leak, -1)).astype(np.int32)


def _kinds(cores: Cores, parameters: list[NDArray[np.int32]], reach: NDArray[np.int32]) -> NDArray[np.uint8]:
    alike = ~cores.leak_reversal.any(axis=1)
    for row in parameters:
        alike &= (row == row[:, :1]).all(axis=1)
    kinds = np.where(alike, ALIKE, DIFFERENT).astype(np.uint8)
    kinds[reach > SHORT] = WIDE
    kinds[cores.stochastic] = STOCHASTIC
    return kinds


assert NEVER > 2 * HIGH
