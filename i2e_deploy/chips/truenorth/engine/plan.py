"""What the kernels need of a program, in the layout that they read fast; made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.program import HIGH, NEURONS, SUBTRACT, TO_VALUE, CoreNetwork, Cores
from i2e_deploy.chips.truenorth.reference.states import packed

#: Kinds of cores: neurons alike but for weights, neurons that differ, sums beyond 16 bits, random numbers.
ALIKE, DIFFERENT, WIDE, STOCHASTIC = range(4)
#: A threshold that no potential reaches, and a bottom below all: of neurons that do not exist.
NEVER = 2**30
#: A spike's way in one number: ticks in the low 4 bits, then the axon.
WAY_BITS = 4
#: Bits that are set in a byte, by its value.
BITS_OF = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Plan:
    """Arrays of a program for the kernels.

    Args:
        rows: uint16 [K * 256 * 16], crossbars by axon.
        kinds: uint16 [K * 256], of an axon its type, and times 4 how many neurons it reaches.
        weight: int16 [K * 4 * 256].
        neuron: int32 [K * 10 * 256], rows as `simd.LEAK` and so on.
        common: int32 [K * 16], the same of neurons that are alike.
        plain: int32 [7, K, 256], for stochastic cores: threshold, floor, reset, value, saturate, mask, leak.
        chance: uint8 [K, 256, 5]: which types of weight, and the leak, are stochastic.
        kind: uint8 [K].
        way: int32 [K, 256], axon * 16 + delay, -1 nowhere.
        own: int32 [n], places of the neurons that stand for values, by layer.
        owned: uint64 [K, 4], bits of the same.
    """

    rows: NDArray[np.uint16]
    kinds: NDArray[np.uint16]
    weight: NDArray[np.int16]
    neuron: NDArray[np.int32]
    common: NDArray[np.int32]
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
    chance = np.concatenate([cores.stochastic_weight, cores.stochastic_leak[..., None]], axis=2)
    plain = (cores.threshold, cores.floor, cores.reset, cores.reset_value, cores.saturate, cores.threshold_mask)
    parameters = _parameters(cores, exists)
    own = np.concatenate([layer.neurons for layer in network.layers])
    owned = np.zeros(len(cores) * NEURONS, bool)
    owned[own] = True
    return Plan(
        rows=_aligned(np.ascontiguousarray(masked).view("<u2").astype(np.uint16)),
        kinds=_aligned(((BITS_OF[masked].sum(axis=2, dtype=np.uint16) << 2) | cores.axon_type).astype(np.uint16)),
        weight=_aligned(np.ascontiguousarray(cores.weight.transpose(0, 2, 1))),
        neuron=_aligned(parameters),
        common=_aligned(np.pad(parameters[:, :, 0], ((0, 0), (0, 6)))),
        plain=np.stack([*plain, cores.leak]).astype(np.int32),
        chance=np.ascontiguousarray(chance),
        kind=_kinds(cores, exists, masked),
        sizes=cores.sizes,
        way=np.where(cores.target < 0, -1, (cores.target << WAY_BITS) | cores.delay).astype(np.int32),
        input_line=network.input_line,
        input_axon=network.input_axon,
        input_delay=network.input_delay,
        own=own,
        owned=packed(owned.reshape(-1, NEURONS)),
    )


def _aligned(array: NDArray[Any]) -> NDArray[Any]:
    """The same values, flat, from a cache line on: a row of 32 bytes is then never in two lines."""
    room = np.zeros(array.nbytes + 64, np.uint8)
    first = -room.ctypes.data % 64
    found = room[first : first + array.nbytes].view(array.dtype)
    found[:] = array.reshape(-1)
    return found


def _parameters(cores: Cores, exists: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Both thresholds as `simd.compare` has them: after a spike ((v - up) & keep) + value, below likewise."""
    to_value, subtract, stays = cores.reset == TO_VALUE, cores.reset == SUBTRACT, cores.saturate != 0
    rows = (
        cores.leak,
        cores.threshold,
        np.where(subtract, cores.threshold, 0),
        np.where(to_value, 0, -1),
        np.where(to_value, cores.reset_value, 0),
        -cores.floor,
        np.where(subtract, cores.floor, 0),
        np.where(to_value | stays, 0, -1),
        np.where(stays, -cores.floor, np.where(to_value, -cores.reset_value, 0)),
        cores.leak_reversal,
    )
    found: NDArray[np.int32] = np.stack(rows, axis=1).astype(np.int32)
    for row, value in ((0, 0), (1, NEVER), (5, -NEVER)):
        found[:, row][~exists] = value
    return found


def _kinds(cores: Cores, exists: NDArray[np.bool_], masked: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alike = exists.all(axis=1) & ~cores.leak_reversal.any(axis=1)
    for values in (cores.leak, cores.threshold, cores.floor, cores.reset, cores.reset_value, cores.saturate):
        alike &= (values == values[:, :1]).all(axis=1)
    kinds = np.where(alike, ALIKE, DIFFERENT).astype(np.uint8)
    largest = np.abs(cores.weight.astype(np.int32)).max(axis=1)  # [K, 4]
    there = masked.any(axis=2)
    reach = (np.take_along_axis(largest, cores.axon_type.astype(np.intp), axis=1) * there).sum(axis=1)
    kinds[reach > np.iinfo(np.int16).max] = WIDE
    kinds[cores.stochastic] = STOCHASTIC
    return kinds


assert NEVER > 2 * HIGH
