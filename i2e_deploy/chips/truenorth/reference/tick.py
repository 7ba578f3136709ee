"""The definition: one core, one neuron, one axon after another, in the order of the published equations.

Cassidy et al. 2013, IJCNN: the potential integrates the synapses of active axons, then the leak, then meets both
thresholds. What they leave open is assumed here, and is an open point of the profile: that sums stop at `HIGH` and
`LOW` after the synapses and again after the leak, and the random numbers (`Random`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.program import (
    AXONS,
    HIGH,
    LOW,
    NEURONS,
    NOWHERE,
    SLOTS,
    SUBTRACT,
    TO_VALUE,
    CoreNetwork,
    Cores,
)

Bits = NDArray[np.bool_]


class Random:
    """A core's generator, xorshift32 (13, 17, 5): assumed, the chip's is not public."""

    def __init__(self, state: int) -> None:
        self.state = state

    def draw(self, mask: int) -> int:
        """The next number, under a mask of low bits."""
        state = self.state
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        self.state = state
        return state & mask


class Machine:
    """One sample on the chip.

    Args:
        network: what runs.
        v: int64 [K, 256], potentials.
        arriving: bool [16, K, 256], spikes that reach axons in this tick, the next one, ...
        random: int64 [K], of the generators.
    """

    def __init__(self, network: CoreNetwork, v: NDArray[np.int64], arriving: Bits, random: NDArray[np.int64]) -> None:
        self.network, self.v, self.arriving = network, v, arriving
        self.random = [Random(int(state)) for state in random]
        self.synapses = network.cores.synapses()
        #: By core: synaptic operations, saturations.
        self.counts = np.zeros((len(network.cores), 2), np.int64)

    def tick(self, frame: NDArray[np.bool_]) -> Bits:
        """One millisecond: bool [N] of the input lines to bool [K, 256], who fires."""
        network, cores = self.network, self.network.cores
        for line, axon, delay in zip(network.input_line, network.input_axon, network.input_delay, strict=True):
            self.arriving[delay].reshape(-1)[axon] |= frame[line]
        fired = np.zeros((len(cores), NEURONS), bool)
        for core in range(len(cores)):
            active = np.flatnonzero(self.arriving[0, core])
            for neuron in range(cores.sizes[core]):
                fired[core, neuron] = self._update(core, neuron, active)
        for core, neuron in zip(*np.nonzero(fired), strict=True):
            if cores.target[core, neuron] != NOWHERE:
                self.arriving[cores.delay[core, neuron]].reshape(-1)[cores.target[core, neuron]] = True
        self.arriving = np.concatenate([self.arriving[1:], np.zeros((1, len(cores), AXONS), bool)])
        return fired

    def _update(self, core: int, neuron: int, active: NDArray[np.intp]) -> bool:
        cores, random = self.network.cores, self.random[core]
        v = int(self.v[core, neuron])
        for axon in active[self.synapses[core, active, neuron]]:
            kind = cores.axon_type[core, axon]
            v += _weight(int(cores.weight[core, neuron, kind]), cores.stochastic_weight[core, neuron, kind], random)
            self.counts[core, 0] += 1
        v = self._held(core, v)
        leak = _weight(int(cores.leak[core, neuron]), cores.stochastic_leak[core, neuron], random)
        v = self._held(core, v + leak * (_sign(v) if cores.leak_reversal[core, neuron] else 1))
        mask = int(cores.threshold_mask[core, neuron])
        fires, self.v[core, neuron] = _compare(cores, core, neuron, v, random.draw(mask) if mask else 0)
        return fires

    def _held(self, core: int, v: int) -> int:
        self.counts[core, 1] += not LOW <= v <= HIGH
        return min(max(v, LOW), HIGH)


def _weight(weight: int, stochastic: int, random: Random) -> int:
    """What a synapse or a leak adds: itself, or its sign where a random number is not above its size (b, c, F)."""
    if not stochastic:
        return weight
    return _sign(weight) if abs(weight) >= random.draw(0xFF) else 0


def _compare(cores: Cores, core: int, neuron: int, v: int, noise: int) -> tuple[bool, int]:
    """Both thresholds, with `noise` (eta): whether it fires, and the potential after."""
    threshold, floor = int(cores.threshold[core, neuron]), int(cores.floor[core, neuron])
    reset, value = cores.reset[core, neuron], int(cores.reset_value[core, neuron])
    if v >= threshold + noise:
        return True, value if reset == TO_VALUE else v - (threshold + noise) if reset == SUBTRACT else v
    if cores.saturate[core, neuron]:
        return False, max(v, -floor)
    if v < -(floor + noise):
        return False, -value if reset == TO_VALUE else v + (floor + noise) if reset == SUBTRACT else v
    return False, v


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def machine_slots(cores: int) -> Bits:
    """Nothing on its way: bool [16, K, 256]."""
    return np.zeros((SLOTS, cores, AXONS), bool)
