"""What all arithmetic of the eye is made of: neurons without memory, and synapses between the same places."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.chips.loihi2.program import Block, Connection, ConvSynapse, CubaLif
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.network.op import Shape

#: What a weight of 1 is written as: weights of both signs are even on the chip.
UNIT = 2
#: Grey levels are 0 to 255; a message is signed.
LEVELS, LEVEL_BITS = 256, 9
#: A decay that keeps nothing.
ALL = np.array([4096])


def relay() -> Relay:
    """Sends max(0, sum of what arrives) / UNIT in the same step, and keeps nothing."""
    return Relay(UNIT.bit_length() - 1, LEVEL_BITS, lowest=np.zeros(1, np.int64))


def detector() -> CubaLif:
    """The standard neuron without memory: fires where what arrives, with its bias, is above 0."""
    return CubaLif(ALL, ALL, 0)


def pointwise(source: str, weights: list[int], delay: int = 0) -> Connection:
    """From every channel of a picture to one channel, in the same place; `weights` in units of `UNIT`."""
    weight = UNIT * np.array(weights, np.int64)[None, :, None, None]
    return Connection(source, ConvSynapse(weight, delay=waits(delay, 1)))


def waits(delay: int, channels: int) -> Ints | None:
    """The delay of a synapse beyond its own step; None: it has none."""
    return np.full(channels, delay, np.int64) if delay else None


def levels(name: str, shape: Shape, connections: list[Connection], latency: int) -> Block:
    """A population of relays of grey levels.

    Args:
        latency: steps from the picture to what it sends.
    """
    return Block(name, relay(), shape, tuple(connections), message_bits=LEVEL_BITS, latency=latency)
