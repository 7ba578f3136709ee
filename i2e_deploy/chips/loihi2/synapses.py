"""Bring messages to a population: by the kernels, or by the definition where 32 bits would not do."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2 import kernels
from i2e_deploy.chips.loihi2.plan import Array, WirePlan, channel_last
from i2e_deploy.chips.loihi2.population import Population
from i2e_deploy.chips.loihi2.reference import currents_of
from i2e_deploy.chips.loihi2.workers import Workers
from i2e_deploy.network.blocks import ConvSynapse


def deliver(
    wire: WirePlan, sent: Array, first: int, steps: int, population: Population, workers: Workers, fresh: bool = False
) -> int:
    """Messages in rows first, first + 1, ... of `sent` [B, T, N] become currents; returns synaptic operations.

    `fresh`: the currents are set, not added to.
    """
    cur, lag, graded = population.currents(wire.wire.imag), first + 1, None
    if wire.wire.graded and sent.dtype != np.uint8:
        graded = 1
        window = sent[:, first : first + steps]
        largest = max(int(window.max()), -int(window.min()))
    else:
        largest = 1
    wraps = largest > wire.limit
    if wire.kind == "slow" or (wraps and not isinstance(wire.wire.synapse, ConvSynapse)):
        if fresh:
            cur[:, lag : lag + steps] = 0
        return _by_definition(wire, sent, first, steps, population)
    if wire.kind == "delayed":
        sent = sent if graded or sent.dtype == np.uint8 else (sent != 0).astype(np.uint8)
        return int(kernels.deliver_delayed(sent, first, steps, cur, lag, *wire.arrays))

    def run(lo: int, hi: int) -> int:
        return int(kernels.deliver(sent, graded, first, steps, cur, lag, *wire.arrays, wraps, fresh, lo, hi))

    jobs = sent.shape[0] * steps
    rows = jobs * int(wire.arrays[3][kernels.H_OUT])
    return run(0, rows) if wire.delayed else workers.split(run, rows, wire.work * jobs)


def _by_definition(wire: WirePlan, sent: Array, first: int, steps: int, population: Population) -> int:
    """The reference's own code, for sums that 32 bits (24 in a convolution) do not hold or shifts that round."""
    sent = sent[:, first : first + steps, : len(wire.fan)]
    source, order = channel_last(wire.wire.source_shape), population.plan.order
    messages = np.empty(sent.shape, np.int64)
    messages[:, :, source] = sent
    cur = population.currents(wire.wire.imag)
    for t in range(sent.shape[1]):
        slots = currents_of(wire.wire, messages[:, t])[:, :, order]
        cur[:, first + t + 1 : first + t + 1 + slots.shape[1]] += slots.astype(cur.dtype)
    return int((sent != 0).sum((0, 1)) @ wire.fan)
