"""Draw programmable neurons of Loihi 2, and networks that hold them."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from loihi_nets import draw_network

from i2e_deploy.chips.loihi2.neuron import Ints, Neuron, Reset
from i2e_deploy.chips.loihi2.program import BlockNetwork, CubaLif, Resonator
from i2e_deploy.chips.loihi2.programmable import UNBOUNDED, ProgrammableLif


def draw_programmable(rng: np.random.Generator, channels: int, size: int, **given: Any) -> ProgrammableLif:
    """Any option with any other; `given` stands as it is."""

    def array(low: int, high: int, *special: int) -> Ints:
        n = int(rng.choice([1, channels, size]))
        drawn = rng.integers(low, high + 1, n)
        return np.where(rng.random(n) < 0.4, rng.choice(special, n), drawn).astype(np.int64)

    drawn: dict[str, Any] = {
        "current_decay": array(0, 4096, 4096, 2048, 0),
        "voltage_decay": array(0, 4096, 4096, 2048, 0),
        "threshold": array(1, int(rng.choice([10, 80, 3000])), 1, 50, 131071, 131072),
        "after_spike": rng.choice(["subtract", "amount", "set", "none"]).item(),
        "reset_value": array(-200, 60, 0, 0, 131071, -131071),
        "reset_step": rng.choice(["same", "next"]).item(),
        "max_spikes": [1, 1, 2, 5, "any"][rng.integers(5)],
        "fires": rng.choice([">", ">="]).item(),
        "lowest": np.array([UNBOUNDED]) if rng.random() < 0.6 else array(-300, 0, 0, -1, 20, -131071, UNBOUNDED),
        "adaptation_decay": array(0, 4096, 0, 400, 4096),
        "adaptation_step": array(0, 90, 0) if rng.random() < 0.8 else array(0, 131071, 131071),
        "sends": "spikes" if rng.random() < 0.85 else "voltage",
        "shift": int(rng.choice([0, 0, 1, 6, 9, 22])),
        "bits": int(rng.choice([24, 24, 12, 2])),
        "reset": None if rng.random() < 0.8 else Reset(int(rng.integers(1, 9)), int(rng.integers(0, 5))),
    }
    if rng.random() < 0.5:
        drawn["adaptation_step"] = np.zeros(1, np.int64)
    return ProgrammableLif(**drawn | given)


def programmable_network(seed: int) -> BlockNetwork:
    """A network of the other generator, half of whose neurons or more are programmable; no resonators."""
    rng = np.random.default_rng([seed, 2])
    seeds = (int(n) for n in rng.integers(0, 2**31, 1000))
    network = next(n for n in map(draw_network, seeds) if not any(isinstance(b.neuron, Resonator) for b in n.blocks))
    blocks = list(network.blocks)
    chosen = {int(rng.integers(len(blocks))), *np.flatnonzero(rng.random(len(blocks)) < 0.6).tolist()}
    for i in sorted(chosen):
        block = blocks[i]
        neuron = draw_programmable(rng, block.shape[0], prod(block.shape))
        bits = int(rng.choice([24, 32])) if neuron.sends_values else int(rng.choice([0, 0, 8]))
        blocks[i] = replace(block, neuron=neuron, message_bits=bits)
    return replace(network, blocks=tuple(blocks))


def as_programmable(neuron: Neuron) -> Neuron:
    """The programmable neuron that does what this one does, where it is a standard leaky one."""
    if not isinstance(neuron, CubaLif):
        return neuron
    threshold = np.array([neuron.threshold])
    return ProgrammableLif(neuron.current_decay, neuron.voltage_decay, threshold, "set", reset=neuron.reset)
