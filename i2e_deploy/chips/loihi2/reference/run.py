"""The definition of a Loihi 2 program: slow, obvious, int64; `neurons` holds the dynamics.

One step t = 1, 2, ...: every layer takes the currents that its synapses computed in earlier steps, updates its neurons
and sends; then every synapse reads what was sent and computes what will arrive in the next step (or `delay` steps
later). Equal bit for bit to Lava's CPU runtime with `Loihi2SimCfg(select_tag="fixed_pt")` under semantics `lava`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.program import BlockNetwork, ConvSynapse
from i2e_deploy.chips.loihi2.reference.counts import LoihiCounts, layer_counts
from i2e_deploy.chips.loihi2.reference.layers import Layer, Wire, layers_of
from i2e_deploy.chips.loihi2.reference.neurons import State, final, fresh, update, wrap
from i2e_deploy.chips.trace import Integers as AnyIntegers
from i2e_deploy.chips.trace import States, Trace

Integers = NDArray[np.int64]


def run_reference(network: BlockNetwork, frames: AnyIntegers, semantics: str, states: States | None = None) -> Trace:
    """Run [B, T, N] inputs from a fresh state or from `states`; see `Trace`."""
    layers = layers_of(network, semantics)
    samples, steps = frames.shape[:2]
    running = [fresh(layer, samples, states) for layer in layers]
    sent = [np.zeros((samples, steps, layer.size), np.int64) for layer in layers]
    for t in range(steps):
        now: dict[int, Integers] = {-1: frames[:, t].astype(np.int64)}
        for i, (layer, state) in enumerate(zip(layers, running, strict=True)):
            currents = [arriving[:, 0].copy() for arriving in state.in_flight]  # real, imaginary
            for wire in layer.wires:
                if wire.synapse is None:
                    currents[int(wire.imag)] += now[wire.source]
            now[i] = sent[i][:, t] = update(layer, state, state.t + 1, wrap(currents[0], 32), wrap(currents[1], 32))
        for layer, state in zip(layers, running, strict=True):
            state.t += 1
            for arriving in state.in_flight:
                arriving[:, :-1] = arriving[:, 1:]
                arriving[:, -1] = 0
            for wire in layer.wires:
                if wire.synapse is not None:
                    state.in_flight[int(wire.imag)][:, : wire.depth] += currents_of(wire, now[wire.source])
    return Trace(
        spikes={
            x.name: s.reshape(samples, steps, *x.shape).astype(np.int32) for x, s in zip(layers, sent, strict=True)
        },
        states={x.name: final(x, s) for x, s in zip(layers, running, strict=True)},
        output=sent[-1].astype(np.int32),
        counts={x.name: _counts(x, i, s, sent, frames) for i, (x, s) in enumerate(zip(layers, running, strict=True))},
        deciding=network.deciding,
    )


def _counts(layer: Layer, index: int, state: State, sent: list[Integers], frames: AnyIntegers) -> LoihiCounts:
    reached = {
        j: (sent[w.source] if w.source >= 0 else frames).astype(bool).sum((0, 1)) for j, w in enumerate(layer.wires)
    }
    return layer_counts(layer, int((sent[index] != 0).sum()), reached, state.wraps, state.saturations, state.peaks)


def currents_of(wire: Wire, messages: Integers) -> Integers:
    """Messages [B, N_source] to currents [B, depth, N], by the step in which they arrive."""
    synapse = wire.synapse
    values = messages if wire.graded else (messages != 0).astype(np.int64)
    if synapse is None:
        return np.zeros(1, np.int64)
    if isinstance(synapse, ConvSynapse):
        current = wrap(convolve(synapse, values.reshape(-1, *wire.source_shape)), 24)
        flat = current.reshape(len(values), -1)
        slots = np.zeros((len(values), wire.depth, flat.shape[1]), np.int64)
        delay = 0 if synapse.delay is None else np.repeat(synapse.delay, current[0, 0].size)
        for d in range(wire.depth):
            slots[:, d] = np.where(delay == d, flat, 0)
        return slots
    slots = np.zeros((len(values), wire.depth, len(synapse.weight)), np.int64)
    for d in range(wire.depth):
        weight = synapse.weight if synapse.delay is None else np.where(synapse.delay == d, synapse.weight, 0)
        slots[:, d] = wrap(wrap(values @ weight.T, 32) >> wire.shift, 32)  # each slot is shifted by itself
    return slots


def convolve(synapse: ConvSynapse, values: Integers) -> Integers:
    """Cross-correlation of [B, C, H, W] with zero padding: for each tap, one product over the input channels."""
    weight, (sy, sx), (py, px), (dy, dx) = synapse.weight, synapse.stride, synapse.padding, synapse.dilation
    padded = np.pad(values, ((0, 0), (0, 0), (py, py), (px, px)))
    height = (padded.shape[2] - dy * (weight.shape[2] - 1) - 1) // sy + 1
    width = (padded.shape[3] - dx * (weight.shape[3] - 1) - 1) // sx + 1
    samples, groups = len(values), synapse.groups
    out = np.zeros((samples, groups, weight.shape[0] // groups, height * width), np.int64)
    for ky in range(weight.shape[2]):
        for kx in range(weight.shape[3]):
            seen = padded[:, :, ky * dy :: sy, kx * dx :: sx][:, :, :height, :width]
            taps = weight[:, :, ky, kx].reshape(groups, -1, weight.shape[1])
            out += np.matmul(taps, seen.reshape(samples, groups, weight.shape[1], -1))
    return out.reshape(samples, -1, height, width)
