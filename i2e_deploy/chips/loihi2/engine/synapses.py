"""Bring messages to a population: by the kernels, or by the definition where 32 bits would not do."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2.engine import kernels
from i2e_deploy.chips.loihi2.engine.plan import Array, WirePlan, channel_last
from i2e_deploy.chips.loihi2.engine.population import Population
from i2e_deploy.chips.loihi2.reference.run import currents_of


def deliver(
    wire: WirePlan, sent: Array, first: int, steps: int, population: Population, lag: int,
    fresh: bool = False,
) -> int:  # fmt: skip
    """Messages in rows first, first + 1, ... of `sent` [B, T, N] become currents in rows lag, lag + 1, ...

    Returns synaptic operations. `fresh`: the currents are set, not added to.
    """
    cur = population.currents(wire.wire.imag)
    graded = 1 if wire.wire.graded and sent.dtype != np.uint8 else None
    if graded is None and sent.dtype != np.uint8:
        sent = (sent != 0).astype(np.uint8)
    if wire.kind == "slow" or (wire.limited and kernels.largest(sent, first, steps) > wire.limit):
        if fresh:
            cur[:, lag : lag + steps] = 0
        return _by_definition(wire, sent[:, first : first + steps, : len(wire.fan)], cur, lag, population.plan.order)
    if wire.kind == "delayed":
        return int(kernels.deliver_delayed(sent, first, steps, cur, lag, *wire.arrays))

    def run(lo: int, hi: int, part: int) -> int:
        return int(kernels.deliver(sent, graded, first, steps, cur, lag, *wire.arrays, wire.limit, fresh, lo, hi))

    jobs = sent.shape[0] * steps
    rows = jobs * wire.rows
    return run(0, rows, 0) if wire.delayed else population.workers.split(run, rows, wire.work * jobs)


def _by_definition(wire: WirePlan, sent: Array, cur: Array, lag: int, order: Array) -> int:
    """The reference's own code, for sums that 32 bits (24 in a convolution) do not hold or shifts that round."""
    messages = np.empty(sent.shape, np.int64)
    messages[:, :, channel_last(wire.wire.source_shape)] = sent
    for t in range(sent.shape[1]):
        slots = currents_of(wire.wire, messages[:, t])[:, :, order]
        cur[:, lag + t : lag + t + slots.shape[1]] += slots.astype(cur.dtype)
    return int((sent != 0).sum((0, 1)) @ wire.fan)
