"""Bring messages to a population: by the kernels, or by the definition where 32 bits would not do."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.loihi2.engine import kernels, relay_kernel
from i2e_deploy.chips.loihi2.engine.plan import Array, WirePlan, channel_last
from i2e_deploy.chips.loihi2.engine.population import Population
from i2e_deploy.chips.loihi2.engine.workers import worthwhile
from i2e_deploy.chips.loihi2.reference.run import currents_of


def deliver(
    wire: WirePlan, sent: Array, first: int, steps: int, population: Population, lag: int,
    fresh: bool = False,
) -> int:  # fmt: skip
    """Messages in rows first, first + 1, ... of `sent` [B, T, N] become currents in rows lag, lag + 1, ...

    Returns synaptic operations. `fresh`: the currents are set, not added to.
    """
    cur, values = population.currents(wire.wire.imag), sent.itemsize > 1
    graded = 1 if wire.wire.graded and values else None
    if graded is None and values:
        sent = (sent != 0).astype(np.uint8)
    if wire.kind == "slow" or (wire.limited and kernels.largest(sent, first, steps) > wire.limit):
        if fresh:
            cur[:, lag : lag + steps] = 0
        return _by_definition(wire, sent[:, first : first + steps, : len(wire.fan)], cur, lag, population.plan.order)
    lag += wire.wait
    if wire.kind == "channels":
        return _by_channel(wire, sent, first, steps, population, lag, fresh)
    if wire.kind == "delayed":
        return int(kernels.deliver_delayed(sent, first, steps, cur, lag, *wire.arrays))

    jobs = len(sent) * steps
    rows, arguments = jobs * wire.rows, (sent, graded, first, steps, cur, lag, *wire.arrays, wire.limit, fresh)
    if wire.scatters or not worthwhile(wire.work * jobs):
        return int(kernels.deliver(*arguments, 0, rows))
    return population.workers.split(lambda lo, hi, _: kernels.deliver(*arguments, lo, hi), rows)


def _by_channel(
    wire: WirePlan, sent: Array, first: int, steps: int, population: Population, lag: int, fresh: bool
) -> int:
    """Values, each channel to itself."""
    cur, rows = population.currents(wire.wire.imag), len(sent) * steps * wire.rows
    if fresh:
        cur[:, lag : lag + steps] = 0
    arguments = (sent, first, steps, cur, lag, *wire.arrays)
    if wire.scatters or not worthwhile(len(wire.fan) * len(sent) * steps):
        relay_kernel.deliver_channels(*arguments, 0, rows)
    else:
        population.workers.split(lambda lo, hi, _: relay_kernel.deliver_channels(*arguments, lo, hi), rows)
    return int(relay_kernel.reached(sent, first, steps, wire.fan))


def _by_definition(wire: WirePlan, sent: Array, cur: Array, lag: int, order: Array) -> int:
    """The reference's own code, for sums that 32 bits (24 in a convolution) do not hold or shifts that round."""
    messages = np.empty(sent.shape, np.int64)
    messages[:, :, channel_last(wire.wire.source_shape)] = sent
    for t in range(sent.shape[1]):
        slots = currents_of(wire.wire, messages[:, t])[:, :, order]
        cur[:, lag + t : lag + t + slots.shape[1]] += slots.astype(cur.dtype)
    return int((sent != 0).sum((0, 1)) @ wire.fan)
