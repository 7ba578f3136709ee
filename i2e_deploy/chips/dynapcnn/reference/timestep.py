"""The definition of a DYNAP-CNN core in time steps: slow, obvious, int64.

Equal bit for bit to `sinabs.backend.dynapcnn.DynapcnnNetwork(discretize=True)` on the CPU (sinabs 3.1.3:
dynapcnn_layer.py `forward`, layers/functional/lif.py `lif_forward_single`). This is what training saw, not the
chip: the chip has no steps, emits one spike a neuron and event, and clamps at every event.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Pair, Source
from i2e_deploy.chips.dynapcnn.reference.counts import layer_counts
from i2e_deploy.chips.trace import Integers as AnyIntegers
from i2e_deploy.chips.trace import States, Trace
from i2e_deploy.errors import InputError

Integers = NDArray[np.int64]

#: The chip's state word is 16 bits; Sinabs simulates without that limit, and so do we, counting.
STATE_LOW, STATE_HIGH = -(2**15), 2**15 - 1


def run_reference(program: CoreNetwork, frames: AnyIntegers, before: States | None = None) -> Trace:
    """Run [B, T, C, H, W] event counts from the states `before` (None: where the program starts); see `Trace`."""
    before = program.initial_states(len(frames)) if before is None else before
    spikes: dict[str, Integers] = {"input": frames.astype(np.int64)}
    states, counts = {}, {}
    for layer in program.layers:
        events = gather(layer.sources, spikes, layer.input_shape[0])
        start = (
            np.zeros((len(frames), *layer.output_shape), np.int64) if before is None else before[layer.name]["v_mem"]
        )
        out, v_mem, saturations = _integrate_and_fire(layer, _convolve(layer, events), start.astype(np.int64))
        if out.max() >= 2**31:
            raise InputError(f"layer {layer.name!r} fires {out.max()} times in a step: traces hold 32 bits; scale down")
        spikes[layer.name], states[layer.name] = out, {"v_mem": v_mem}
        counts[layer.name] = layer_counts(layer, events, out, saturations)
    lead = frames.shape[:2]
    output = np.concatenate([sum_pool(spikes[s.layer], s.pool).reshape(*lead, -1) for s in program.outputs], axis=2)
    del spikes["input"]
    return Trace(
        spikes={name: s.astype(np.int32) for name, s in spikes.items()},
        states=states,
        output=output.astype(np.int32),
        counts=counts,
        deciding=program.deciding,
    )


def gather(sources: tuple[Source, ...], spikes: Mapping[str, Integers], channels: int) -> Integers:
    """The events that reach a core: all sources, pooled, shifted, added up; `channels` of the core's input."""
    parts = [(sum_pool(spikes[source.layer], source.pool), source.feature_shift) for source in sources]
    batch, steps, _, height, width = parts[0][0].shape
    total = np.zeros((batch, steps, channels, height, width), np.int64)
    for part, shift in parts:
        total[:, :, shift : shift + part.shape[2]] += part
    return total


def sum_pool(spikes: Integers, pool: Pair) -> Integers:
    """Sum over windows [B, T, C, H, W] -> [B, T, C, H // ky, W // kx]; a rest at the border is dropped."""
    if pool == (1, 1):
        return spikes
    (ky, kx), (*lead, height, width) = pool, spikes.shape
    h, w = height // ky, width // kx
    pooled: Integers = spikes[..., : h * ky, : w * kx].reshape(*lead, h, ky, w, kx).sum(axis=(-3, -1))
    return pooled


def _convolve(layer: CoreLayer, events: Integers) -> Integers:
    """Cross-correlation with zero padding, plus the bias once a step: [B, T, C_in, H, W] -> [B, T, C_out, h, w]."""
    (sy, sx), (py, px) = layer.stride, layer.padding
    _, height, width = layer.output_shape
    padded = np.pad(events, ((0, 0), (0, 0), (0, 0), (py, py), (px, px)))
    current = np.zeros((*events.shape[:2], *layer.output_shape), np.int64)
    for ky in range(layer.weight.shape[2]):
        for kx in range(layer.weight.shape[3]):
            tap = padded[..., ky : ky + sy * (height - 1) + 1 : sy, kx : kx + sx * (width - 1) + 1 : sx]
            current += np.einsum("fc,btcyx->btfyx", layer.weight[:, :, ky, kx].astype(np.int64), tap)
    if layer.bias is not None:
        current += layer.bias.astype(np.int64)[:, None, None]
    return current


def _integrate_and_fire(layer: CoreLayer, current: Integers, v: Integers) -> tuple[Integers, Integers, int]:
    """Spikes [B, T, C, H, W], final state [B, C, H, W], and how often a state left 16 bits."""
    spikes = np.zeros_like(current)
    saturations = 0
    for t in range(current.shape[1]):
        v = v + current[:, t]
        saturations += int(((v < STATE_LOW) | (v > STATE_HIGH)).sum())
        n = np.where(v > 0, v // layer.threshold, 0)
        if layer.max_spikes is not None:
            n = np.minimum(n, layer.max_spikes)
        v = v - n * layer.threshold if layer.reset == "subtract" else np.where(n > 0, 0, v)
        v = np.maximum(v, layer.min_v)  # after the reset, as sinabs' lif_forward_single
        spikes[:, t] = n
    return spikes, v, saturations
