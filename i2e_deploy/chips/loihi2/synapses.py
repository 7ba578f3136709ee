"""Bring messages to a population: scattered, multiplied densely, or by the definition."""

from __future__ import annotations

from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2 import kernels
from i2e_deploy.chips.loihi2.plan import Array, WirePlan, channel_last
from i2e_deploy.chips.loihi2.population import Population
from i2e_deploy.chips.loihi2.reference import currents_of
from i2e_deploy.chips.loihi2.workers import Workers
from i2e_deploy.network.blocks import ConvSynapse

#: Cost of one event beside its additions, and how many dense multiplications take as long as one scattered addition.
#: Measured on AMD Zen 3. They choose between two exact ways: an error in them costs time and nothing else.
COST_EVENT, DENSE_PER_EVENT = 100.0, 3.0
#: Multiplications from which a dense product is considered: a call can cost milliseconds on a busy machine.
DENSE_FROM = 3e7


def deliver(wire: WirePlan, sent: Array, first: int, steps: int, population: Population, workers: Workers) -> int:
    """Messages in rows first, first + 1, ... of `sent` [B, T, N] become currents; returns synaptic operations."""
    size, jobs = len(wire.fan), sent.shape[0] * steps
    if wire.wire.graded:
        window = sent[:, first : first + steps, :size]
        largest = max(int(window.max(initial=0)), -int(window.min(initial=0)))
    else:
        sent, largest = as_spikes(sent), 1
    cur = population.currents(wire.wire.imag)
    wraps = largest > wire.limit
    if wire.kind == "slow" or (wraps and wire.kind not in ("conv", "taps")):
        return _by_definition(wire, sent, first, steps, population)
    if wire.kind == "delayed":
        return int(kernels.scatter_delayed(sent, cur, (first, steps, first + 1), *wire.arrays))
    words = sent.view(np.uint64)  # rows are padded for that
    events = _events(sent, first, steps)
    if events == 0:
        return 0
    if wire.delay is not None or wraps:
        partial = np.zeros((sent.shape[0], steps, cur.shape[2]), cur.dtype)
        synops = _scatter(wire, sent, words, partial, (first, steps, 0), jobs, events, workers)
        if wraps:
            wrapped = np.zeros_like(partial)
            kernels.add_wrapped(
                partial, wrapped if wire.delay is not None else cur, 0 if wire.delay is not None else first + 1
            )
            partial = wrapped
        if wire.delay is not None:
            kernels.add_delayed(partial, cur, first + 1, wire.delay)
        return synops
    if wire.kind == "conv" and not wire.wire.graded:
        return _scatter_spikes(wire, words, cur, (first, steps, first + 1), jobs, events, population, workers)
    exact = largest * wire.bound < 2**24  # float32 holds every partial sum; float64 convolutions lose to scattering
    if (
        exact
        and wire.macs * jobs > DENSE_FROM
        and events * DENSE_PER_EVENT * (COST_EVENT + wire.mean_fan) > wire.macs * jobs
    ):
        return _dense(wire, sent, first, steps, largest, cur, workers)
    return _scatter(wire, sent, words, cur, (first, steps, first + 1), jobs, events, workers)


def as_spikes(sent: Array) -> Array:
    """Messages as uint8 0 and 1."""
    return sent if sent.dtype == np.uint8 else (sent != 0).astype(np.uint8)


def _events(sent: Array, first: int, steps: int) -> int:
    window = sent[:, first : first + steps]
    return int(np.count_nonzero(window.view(np.bool_) if sent.dtype == np.uint8 else window))


def _scatter(
    wire: WirePlan, sent: Array, words: Any, cur: Array, span: tuple[int, int, int], jobs: int, events: int,
    workers: Workers,
) -> int:  # fmt: skip
    def run(lo: int, hi: int) -> int:
        if wire.kind == "conv":
            flat, (weight, across, down, sizes) = cur.reshape(-1), wire.arrays
            sizes = (*sizes, cur.shape[1], cur.shape[2])
            if wire.wire.graded:
                return int(kernels.scatter_values(words, sent, flat, span, weight, across, down, sizes, lo, hi))
            return int(kernels.scatter_spikes(words, flat, span, weight, across, down, sizes, False, lo, hi))
        if wire.kind == "taps":
            return int(kernels.scatter_taps(sent, cur, span, *wire.arrays, lo, hi))
        return int(kernels.scatter_dense(sent, words, cur, span, *wire.arrays, lo, hi))

    return workers.split(run, jobs, events * (COST_EVENT + wire.mean_fan))


def _scatter_spikes(
    wire: WirePlan, words: Any, cur: Array, span: tuple[int, int, int], jobs: int, events: int, population: Population,
    workers: Workers,
) -> int:  # fmt: skip
    """Where more than half of the neurons fire, what all would give less what the silent ones would have added."""
    weight, across, down, sizes = wire.arrays
    size, silent = len(wire.fan), 2 * events > jobs * len(wire.fan)
    flat, sizes = cur.reshape(-1), (*sizes, cur.shape[1], cur.shape[2])
    weight = wire.negated if silent else weight
    if silent:
        everything = population.all_firing(wire)
        workers.split(lambda lo, hi: kernels.add_map(cur, span, everything, lo, hi) or 0, jobs, jobs * cur.shape[2] / 8)

    def run(lo: int, hi: int) -> int:
        return int(kernels.scatter_spikes(words, flat, span, weight, across, down, sizes, silent, lo, hi))

    scattered = jobs * size - events if silent else events
    done = workers.split(run, jobs, scattered * (COST_EVENT + wire.mean_fan))
    return jobs * wire.total - done if silent else done


def all_firing(wire: WirePlan, size_out: int, dtype: type) -> Array:
    """Currents [N_out] when every source neuron fires."""
    weight, across, down, sizes = wire.arrays
    words = np.full((1, 1, -(-len(wire.fan) // 64) * 8), 0x0101010101010101, np.uint64)
    out: Array = np.zeros(size_out, dtype)
    kernels.scatter_spikes(words, out, (0, 1, 0), weight, across, down, (*sizes, 1, size_out), False, 0, 1)
    return out


def _dense(wire: WirePlan, sent: Array, first: int, steps: int, largest: int, cur: Array, workers: Workers) -> int:
    window = np.ascontiguousarray(sent[:, first : first + steps, : len(wire.fan)])
    current = _product(wire, window)
    jobs = window.shape[0] * steps
    workers.split(lambda lo, hi: kernels.add_currents(current, cur, first + 1, lo, hi) or 0, jobs, current.size)
    return int(np.count_nonzero(window, axis=(0, 1)) @ wire.fan)


def _product(wire: WirePlan, sent: Array) -> Any:
    """Currents float32 [B, T, N], exact: every partial sum stays below 2^24."""
    import torch

    (samples, steps), synapse = sent.shape[:2], wire.wire.synapse
    flat = torch.from_numpy(sent.reshape(samples * steps, -1)).to(torch.float32)
    with torch.no_grad():
        if isinstance(synapse, ConvSynapse):
            channels, height, width = wire.wire.source_shape
            images = flat.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
            options = (synapse.stride, synapse.padding, synapse.dilation, synapse.groups)
            result = torch.nn.functional.conv2d(images, wire.dense_weight, None, *options).permute(0, 2, 3, 1)
        else:
            result = flat @ wire.dense_weight
    return result.reshape(samples, steps, -1).contiguous().numpy()


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
