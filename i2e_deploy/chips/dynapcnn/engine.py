"""The fast engine: equal to `reference` on every input.

The convolution has no memory, so all steps of all samples go through it at once, in float32 while every
partial sum is an integer below 2^24 (checked against the inputs of each call), else in float64. Then one fused
loop over time integrates, fires, resets and clamps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.counts import layer_counts
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram, Pair, Source
from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace

#: Above this many values in the largest array of a layer, samples are run in several parts.
CHUNK_VALUES = 2**24
FLOAT32_EXACT, FLOAT64_EXACT = 2**24, 2**53
NO_LIMIT = 2**62


def run_engine(program: DynapcnnProgram, frames: Integers, before: States | None = None) -> Trace:
    """`reference.run_reference`, fast."""
    parts = [_run_part(program, frames[part], before, part) for part in _parts(program, frames)]
    if len(parts) == 1:
        return parts[0]
    counts: dict[str, LayerCounts] = {}
    for part in parts:
        for name, count in part.counts.items():
            counts[name] = counts[name] + count if name in counts else count
    names = program.layer_names
    return Trace(
        spikes={name: np.concatenate([part.spikes[name] for part in parts]) for name in names},
        states={name: {"v_mem": np.concatenate([part.states[name]["v_mem"] for part in parts])} for name in names},
        output=np.concatenate([part.output for part in parts]),
        counts=counts,
    )


def _parts(program: DynapcnnProgram, frames: Integers) -> Iterator[slice]:
    steps = frames.shape[1]
    largest = max(int(np.prod(shape)) for layer in program.layers for shape in (layer.input_shape, layer.output_shape))
    size = max(1, CHUNK_VALUES // (steps * largest))
    for start in range(0, len(frames), size):
        yield slice(start, start + size)


def _run_part(program: DynapcnnProgram, frames: Integers, before: States | None, samples: slice) -> Trace:
    batch, steps = frames.shape[:2]
    spikes: dict[str, Integers] = {"input": frames}
    states, counts = {}, {}
    for layer in program.layers:
        events = _gather(layer.sources, spikes)
        current = _convolve(layer, events)
        out = np.empty(current.shape, np.int32)
        v_mem = np.zeros((batch, *layer.output_shape), np.int64)
        if before is not None:
            v_mem[:] = before[layer.name]["v_mem"][samples]
        flat = (batch, steps, -1)
        saturations = _fire(
            current.reshape(flat), out.reshape(flat), v_mem.reshape(batch, -1), layer.threshold, layer.min_v,
            NO_LIMIT if layer.max_spikes is None else layer.max_spikes, layer.reset == "zero",
        )  # fmt: skip
        spikes[layer.name], states[layer.name] = out, {"v_mem": v_mem}
        counts[layer.name] = layer_counts(layer, events, out, int(saturations))
    output = _gather(program.outputs, spikes)
    del spikes["input"]
    return Trace(spikes, states, output.reshape(batch, steps, -1).astype(np.int32), counts)


def _gather(sources: tuple[Source, ...], spikes: dict[str, Integers]) -> Integers:
    total = _sum_pool(spikes[sources[0].layer], sources[0].pool)
    for source in sources[1:]:
        total = total + _sum_pool(spikes[source.layer], source.pool)
    return total


def _sum_pool(spikes: Integers, pool: Pair) -> Integers:
    if pool == (1, 1):
        return spikes
    (ky, kx), (height, width) = pool, spikes.shape[-2:]
    h, w = height // ky * ky, width // kx * kx
    total = np.zeros((*spikes.shape[:-2], h // ky, w // kx), np.int32)
    for y in range(ky):
        for x in range(kx):
            total += spikes[..., y:h:ky, x:w:kx].astype(np.int32, copy=False)
    return total


def _convolve(layer: CoreLayer, events: Integers) -> NDArray[Any]:
    """Exact sums as floats: [B, T, C_in, H, W] -> [B, T, C_out, h, w]."""
    dtype = _exact_dtype(layer, int(events.max()))
    inputs = torch.from_numpy(events.reshape(-1, *events.shape[2:]).astype(dtype))
    weight = torch.from_numpy(layer.weight.astype(dtype))
    bias = None if layer.bias is None else torch.from_numpy(layer.bias.astype(dtype))
    with torch.no_grad():
        current = torch.nn.functional.conv2d(inputs, weight, bias, layer.stride, layer.padding)
    return current.numpy().reshape(*events.shape[:2], *layer.output_shape)


def _exact_dtype(layer: CoreLayer, largest: int) -> type[np.floating[Any]]:
    """float32 when no order of summation can leave its exact integers, else float64."""
    weights = np.abs(layer.weight.astype(np.int64)).sum(axis=(1, 2, 3))
    bias = 0 if layer.bias is None else np.abs(layer.bias.astype(np.int64))
    bound = int((weights * largest + bias).max())
    if bound >= FLOAT64_EXACT:  # unreachable from int32 counts and a legal kernel; kept as a guard
        raise OverflowError(f"layer {layer.name!r}: sums up to {bound} exceed 2^53")
    return np.float32 if bound < FLOAT32_EXACT else np.float64


@numba.njit(cache=True)
def _fire(current, spikes, v_mem, threshold, min_v, max_spikes, to_zero):  # type: ignore[no-untyped-def]
    """Fused over time: current float [B, T, N] -> spikes int32 [B, T, N], v_mem int64 [B, N]; saturations."""
    saturations = 0
    for b in range(current.shape[0]):
        for t in range(current.shape[1]):
            for i in range(current.shape[2]):
                v = v_mem[b, i] + np.int64(current[b, t, i])
                if v < -32768 or v > 32767:
                    saturations += 1
                n = np.int64(0)
                if v >= threshold:
                    n = min(v // threshold, max_spikes)
                    v = 0 if to_zero else v - n * threshold
                v_mem[b, i] = max(v, min_v)
                spikes[b, t, i] = n
    return saturations
