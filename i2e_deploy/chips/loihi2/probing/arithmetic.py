"""One population of leaking neurons, with the points that no text of Intel's settles as options.

With the default options it is the reference (`reference.neurons`, whose arithmetic is Lava's): a property test holds
the two together. The other values exist for the predictions of questions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.program import BlockNetwork, CubaLif, DenseSynapse
from i2e_deploy.errors import UnsupportedError

Ints = NDArray[np.int64]
#: A state has 24 bits, two's complement; a current or bias of 1 is 64 of its units.
HALF, UNIT = 2**23, 64
#: What a public record of the chip shows in the place of the voltage at a spike.
MARKER = 128


@dataclass(frozen=True)
class Arithmetic:
    """How one population computes.

    Args:
        rounding: of what is left after a decay.
        current, voltage: what a state does that leaves 24 bits.
        fires: compares the voltage with the threshold.
        bias_from: first step in which a bias is added.
        extra_delay: steps beyond what a synapse says.
        reads: what a voltage is read as in the step in which its neuron fires.
    """

    rounding: Literal["toward zero", "down", "to the nearest"] = "toward zero"
    current: Literal["wraps", "clips"] = "wraps"
    voltage: Literal["clips", "wraps"] = "clips"
    fires: Literal[">", ">="] = ">"
    bias_from: Literal[1, 2] = 1
    extra_delay: Literal[-1, 0, 1] = 0
    reads: Literal["after the reset", "before the reset", "a marker"] = "after the reset"


class Ran(NamedTuple):
    """Spikes bool [T, N], and the last current and voltage, int64 [N], as they are read."""

    spikes: NDArray[np.bool_]
    u: Ints
    v: Ints


def run_population(network: BlockNetwork, frames: Ints, arithmetic: Arithmetic) -> Ran:
    """Run frames [T, N_in] through the one block of a network, of `CubaLif` fed by a dense synapse.

    Raises:
        UnsupportedError: another network.
    """
    (block,) = network.blocks
    (connection,) = block.connections
    neuron, synapse = block.neuron, connection.synapse
    if not isinstance(neuron, CubaLif) or not isinstance(synapse, DenseSynapse):
        raise UnsupportedError(f"layer {block.name!r}: questions are about leaking neurons after a dense synapse")
    size = len(synapse.weight)
    delay = np.zeros_like(synapse.weight) if synapse.delay is None else synapse.delay
    depth = int(delay.max()) + arithmetic.extra_delay + 1
    u, v, read = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.int64)
    bias = np.zeros(size, np.int64) if block.bias is None else np.broadcast_to(block.bias, size) * UNIT
    spikes = np.zeros((len(frames), size), np.bool_)
    for step in range(1, len(frames) + 1):
        current = np.zeros(size, np.int64)
        for sent in range(max(1, step - depth), step):  # what was sent in an earlier step and arrives in this one
            arrives = delay == step - sent - 1 - arithmetic.extra_delay
            current += (synapse.weight * arrives) @ (frames[sent - 1] != 0).astype(np.int64)
        u = _fit(_decayed(u, neuron.current_decay, arithmetic) + current * UNIT, arithmetic.current)
        added = bias if step >= arithmetic.bias_from else np.zeros_like(bias)
        v = _fit(_decayed(v, neuron.voltage_decay, arithmetic) + u + added, arithmetic.voltage)
        level = neuron.threshold * UNIT
        fires = spikes[step - 1] = v > level if arithmetic.fires == ">" else v >= level
        shown = {"after the reset": np.zeros_like(v), "before the reset": v, "a marker": np.full_like(v, MARKER)}
        read = np.where(fires, shown[arithmetic.reads], v)
        v = np.where(fires, 0, v)
    return Ran(spikes, u, read)


def _decayed(x: Ints, lost: Ints, arithmetic: Arithmetic) -> Ints:
    """Of 4096 parts `lost` are lost."""
    product = x * (4096 - lost)
    if arithmetic.rounding == "down":
        return np.asarray(product >> 12)
    if arithmetic.rounding == "to the nearest":
        return np.asarray((product + 2048) >> 12)
    return np.asarray(np.sign(product) * (np.abs(product) >> 12))


def _fit(x: Ints, how: Literal["wraps", "clips"]) -> Ints:
    """Within 24 bits. Clipped, the lower end is the negative of the upper one, as Lava has it."""
    if how == "clips":
        return np.asarray(np.clip(x, -(HALF - 1), HALF - 1))
    return np.asarray(np.where(x > HALF, x - 2 * HALF, np.where(x <= -HALF, x + 2 * HALF, x)))
