"""Run the definition on a batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.chips.truenorth.program import CoreNetwork
from i2e_deploy.chips.truenorth.reference.counts import layer_counts
from i2e_deploy.chips.truenorth.reference.states import Held, held, packed, states_of, unpacked
from i2e_deploy.chips.truenorth.reference.tick import Machine


def run_reference(network: CoreNetwork, frames: Integers, states: States | None) -> Trace:
    """Frames [B, T, N], checked: a line carries one bit a tick, a count above 1 is 1."""
    batch, steps = frames.shape[:2]
    start = held(network, states, batch)
    fired = np.zeros((batch, steps, len(network.cores), 256), bool)
    counts = np.zeros((len(network.cores), 4), np.int64)
    end = Held(start.v.copy(), start.arriving.copy(), start.random.copy())
    for sample in range(batch):
        machine = Machine(
            network,
            start.v[sample].astype(np.int64),
            unpacked(start.arriving[sample]),
            start.random[sample],
        )
        for step in range(steps):
            fired[sample, step] = machine.tick(frames[sample, step] > 0)
        end.v[sample], end.arriving[sample] = machine.v, packed(machine.arriving)
        end.random[sample] = [random.state for random in machine.random]
        counts[:, :2] += machine.counts
    counts[:, 2] = fired.sum(axis=(0, 1, 3))
    flat = fired.reshape(batch, steps, -1)
    own = np.zeros(flat.shape[2], bool)
    for layer in network.layers:
        own[layer.neurons] = True
    counts[:, 3] = (flat & own).reshape(fired.shape).sum(axis=(0, 1, 3))
    spikes = {
        layer.name: flat[:, :, layer.neurons].reshape(batch, steps, *layer.shape).astype(np.int32)
        for layer in network.layers
    }
    output = spikes[network.layers[-1].name].reshape(batch, steps, -1)
    trace = Trace(spikes, states_of(network, end), output, layer_counts(network, counts))
    return replace(trace, deciding=network.deciding)
