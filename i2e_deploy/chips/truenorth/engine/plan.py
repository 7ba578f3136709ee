"""What the kernels need of a program, in the layout that they read fast; made once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.program import NEURONS, CoreNetwork

#: Fields of neurons as the kernels take them, int32 [8, K, 256], by row.
LEAK, THRESHOLD, FLOOR, RESET, VALUE, SATURATE, REVERSAL, MASK = range(8)
#: Kinds of cores: the same simple neurons throughout, others, and those that draw random numbers.
SIMPLE, GENERAL, STOCHASTIC = 0, 1, 2
#: A threshold that no potential reaches: of neurons that do not exist.
NEVER = 2**30


@dataclass(frozen=True, eq=False)
class Plan:
    """Arrays of a program for the kernels.

    Args:
        rows: uint32 [K, 256, 8], crossbars by axon.
        weight: int32 [K, 4, 256].
        neuron: int32 [8, K, 256], see above.
        chance: uint8 [K, 256, 5]: which types of weight, and the leak, are stochastic.
        kind: uint8 [K].
        own: uint8 [K, 256]: stands for a value of a layer.
    """

    rows: NDArray[np.uint32]
    axon_type: NDArray[np.uint8]
    weight: NDArray[np.int32]
    neuron: NDArray[np.int32]
    chance: NDArray[np.uint8]
    kind: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    target: NDArray[np.int32]
    delay: NDArray[np.uint8]
    input_line: NDArray[np.int32]
    input_axon: NDArray[np.int32]
    input_delay: NDArray[np.uint8]
    own: NDArray[np.int32]


def make_plan(network: CoreNetwork) -> Plan:
    """Of a whole program."""
    cores = network.cores
    exists = np.arange(NEURONS)[None] < cores.sizes[:, None]
    masked = cores.crossbar & np.packbits(exists, axis=1, bitorder="little")[:, None]
    neuron = np.stack([
        np.where(exists, cores.leak, 0), np.where(exists, cores.threshold, NEVER),
        np.where(exists, cores.floor, NEVER), cores.reset, cores.reset_value, cores.saturate,
        cores.leak_reversal, cores.threshold_mask,
    ]).astype(np.int32)  # fmt: skip
    chance = np.concatenate([cores.stochastic_weight, cores.stochastic_leak[..., None]], axis=2)
    return Plan(
        rows=np.ascontiguousarray(masked).view("<u4").astype(np.uint32),
        axon_type=cores.axon_type,
        weight=np.ascontiguousarray(cores.weight.transpose(0, 2, 1)).astype(np.int32),
        neuron=neuron,
        chance=np.ascontiguousarray(chance),
        kind=_kinds(network, exists),
        sizes=cores.sizes,
        target=cores.target,
        delay=cores.delay,
        input_line=network.input_line,
        input_axon=network.input_axon,
        input_delay=network.input_delay,
        own=np.concatenate([layer.neurons for layer in network.layers]),
    )


def _kinds(network: CoreNetwork, exists: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Simple: nothing of a neuron differs within its core but weights and potential, and no leak is reversed."""
    cores = network.cores
    same = ~(cores.leak_reversal.astype(bool) & exists).any(axis=1)
    for values in (cores.leak, cores.threshold, cores.floor, cores.reset, cores.reset_value, cores.saturate):
        same &= ((values == values[:, :1]) | ~exists).all(axis=1)
    kinds = np.where(same, SIMPLE, GENERAL).astype(np.uint8)
    kinds[cores.stochastic] = STOCHASTIC
    return kinds
