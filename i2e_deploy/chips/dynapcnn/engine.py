"""The fast time-stepped engine: equal to `reference` on every input.

Per layer and sample it takes the cheaper of two ways. Where few neurons spike, every spike is added to the states
that it reaches, in 16-bit lanes while no state can leave them (`_state_dtype`), else in 32-bit. Where many do, the
convolution, which has no memory, takes all steps at once, in float32 while every partial sum is an integer below
2^24, else in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.geometry import (
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    read_state,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.reference import run_reference
from i2e_deploy.chips.dynapcnn.step_kernel import fire_dense, locate, run_steps
from i2e_deploy.chips.dynapcnn.step_spikes import LazySpikes, StepSpikes, from_frames, gather
from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace
from i2e_deploy.network import INPUT

#: Above this many values in the input of a convolution, steps are run in several parts.
CHUNK_VALUES = 2**24
FLOAT32_EXACT, FLOAT64_EXACT = 2**24, 2**53
NO_LIMIT = 2**62
#: A multiply-add of a dense convolution costs about so much less than one of a scattered spike.
DENSE_ADVANTAGE = 1
#: Counts above this are not scattered one by one.
MOST_SCATTERED = 16


def run_engine(program: DynapcnnProgram, frames: Integers, before: States | None = None) -> Trace:
    """`reference.run_reference`, fast; where counts could leave 32 bits, the reference itself."""
    try:
        return _run(program, frames, before)
    except _BeyondExact:
        return run_reference(program, frames, before)


class _BeyondExact(Exception):
    """A layer's counts could leave what this engine holds exactly."""


def _run(program: DynapcnnProgram, frames: Integers, before: States | None) -> Trace:
    threads = min(len(frames), torch.get_num_threads())
    starts = [_start(program, before, b) for b in range(len(frames))]
    if threads == 1:
        samples = [_run_sample(program, sample, start) for sample, start in zip(frames, starts, strict=True)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            samples = list(pool.map(lambda b: _run_sample(program, frames[b], starts[b]), range(len(frames))))
    names = program.layer_names
    return Trace(
        spikes=LazySpikes([sample.spikes for sample in samples]),
        states={name: {"v_mem": np.stack([sample.states[name] for sample in samples])} for name in names},
        output=np.stack([sample.output for sample in samples]),
        counts={name: sum_counts([sample.counts[name] for sample in samples]) for name in names},
    )


def sum_counts(parts: list[LayerCounts]) -> LayerCounts:
    """Totals over samples."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


@dataclass(frozen=True, eq=False)
class _Sample:
    spikes: Mapping[str, StepSpikes]
    states: Mapping[str, NDArray[np.int64]]
    output: NDArray[np.int32]
    counts: Mapping[str, LayerCounts]


def _start(program: DynapcnnProgram, before: States | None, sample: int) -> dict[str, NDArray[np.int64]]:
    """States (C, H, W) from which one sample starts."""
    if before is None:
        return {layer.name: np.zeros(layer.output_shape, np.int64) for layer in program.layers}
    return {name: variables["v_mem"][sample].astype(np.int64) for name, variables in before.items()}


def _run_sample(program: DynapcnnProgram, frames: Integers, start: Mapping[str, NDArray[np.int64]]) -> _Sample:
    spikes = {INPUT: from_frames(frames)}
    states, counts = {}, {}
    for layer in program.layers:
        given = _arrivals(layer, spikes)
        v = start[layer.name]
        _check_range(layer, given, v)
        way = _dense if _dense_is_better(layer, given, v) else _scattered
        fired, states[layer.name], synops, over = way(layer, given, v)
        spikes[layer.name] = fired
        counts[layer.name] = LayerCounts(fired.total(), synops, over)
    outputs = [gather((s,), spikes, _pooled(spikes[s.layer].shape, s.pool)).dense() for s in program.outputs]
    del spikes[INPUT]
    output = np.concatenate([part.reshape(len(frames), -1) for part in outputs], axis=1)
    return _Sample(spikes, states, output, counts)


def _check_range(layer: CoreLayer, given: StepSpikes, v: NDArray[np.int64]) -> None:
    """Raise _BeyondExact unless arrivals and spikes of a step fit 32 bits and sums are exact in float64."""
    arriving = int(given.n.max(initial=0)) * _multiplicity(layer)
    up, down = _extremes(layer, given)
    total = up - down + 128 + int(np.abs(v).max())
    if arriving >= 2**31 or total >= FLOAT64_EXACT or total // layer.threshold >= 2**31:
        raise _BeyondExact


def _extremes(layer: CoreLayer, given: StepSpikes, most: int | None = None) -> tuple[int, int]:
    """What the spikes of one step can add to a state at most, and at least; `most` of them reach it (None: any)."""
    each = int(given.n.max(initial=0)) * _multiplicity(layer)
    sums = _largest_sums(layer)
    weights = sums.shape[1] - 1 if most is None else min(sums.shape[1] - 1, -(-most // max(each, 1)))
    return each * int(sums[0, weights]), -each * int(sums[1, weights])


@lru_cache(maxsize=256)
def _largest_sums(layer: CoreLayer) -> NDArray[np.int64]:
    """Over all neurons, the largest sum of k positive weights, and of k negated negative ones: [2, k]."""
    weight = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    sums = [np.sort(np.maximum(sign * weight, 0))[:, ::-1].cumsum(axis=1).max(axis=0) for sign in (1, -1)]
    return np.pad(sums, ((0, 0), (1, 0)))


def _pooled(shape: tuple[int, int, int], pool: tuple[int, int]) -> tuple[int, int, int]:
    return shape[0], shape[1] // pool[0], shape[2] // pool[1]


def _arrivals(layer: CoreLayer, spikes: Mapping[str, StepSpikes]) -> StepSpikes:
    """Unrouted where there is one source: the tables route then."""
    if len(layer.sources) == 1:
        return spikes[layer.sources[0].layer]
    return gather(layer.sources, spikes, layer.input_shape)


def _dense_is_better(layer: CoreLayer, given: StepSpikes, v: NDArray[np.int64]) -> bool:
    """By the work of either way; also where a count is large or the 32-bit bound fails."""
    features, channels, kh, kw = layer.weight.shape
    _, height, width = layer.output_shape
    steps = len(given.offsets) - 1
    block = min(height, -(-kh // layer.stride[0])) * min(width, -(-kw // layer.stride[1]))
    scattered = given.total() * features * block
    dense = steps * features * height * width * channels * kh * kw
    largest = int(given.n.max(initial=0))
    fits = _fits(layer, v, *_extremes(layer, given), steps, 32)
    return scattered * DENSE_ADVANTAGE > dense or largest > MOST_SCATTERED or not fits


def _fits(layer: CoreLayer, v: NDArray[np.int64], up: int, down: int, steps: int, bits: int) -> bool:
    """Whether every state stays inside `bits`, when no step adds more than `up`, or less than `down`, and the bias."""
    if layer.bias is not None:
        up, down = up + max(0, int(layer.bias.max())), down + min(0, int(layer.bias.min()))
    high = max(layer.threshold, int(v.max())) + (up if layer.max_spikes is None else steps * up)
    return high < 2 ** (bits - 1) and min(layer.min_v, int(v.min())) + down >= -(2 ** (bits - 1))


def _multiplicity(layer: CoreLayer) -> int:
    """How many entries of a step can fall on one input pixel: by pooling, or by merging."""
    if len(layer.sources) == 1:
        return layer.sources[0].pool[0] * layer.sources[0].pool[1]
    return sum(source.pool[0] * source.pool[1] for source in layer.sources)


@lru_cache(maxsize=256)
def _tables(layer: CoreLayer, shape: tuple[int, int, int], routed: bool) -> tuple[NDArray[Any], ...]:
    """Geometry and numbers for the kernels; `shape` of the source."""
    source = layer.sources[0]
    pool, shift = ((1, 1), 0) if routed else (source.pool, source.feature_shift)
    rows, columns = reach_tables(layer, shape[1:], pool, keep_outside=False, exact=False)
    channels, lanes, (_, height, width) = layer.weight.shape[1], padded_features(layer), layer.output_shape
    row_weights = row_slots(layer) * lanes
    window = layer.weight.shape[2] * pool[0]
    edge = (channels, len(lay_out_weights(layer, np.int16)) // channels, row_weights, shift, window)
    most = NO_LIMIT if layer.max_spikes is None else layer.max_spikes
    block = [rows[:, 2].max(), columns[:, 2].max() * lanes, width * lanes, row_weights]
    core = [height * width * lanes, lanes, layer.bias is not None, layer.threshold, layer.min_v, most]
    return edge, rows, columns, (*map(int, block), *map(int, core), int(layer.reset == "zero"))


@lru_cache(maxsize=256)
def _weights(layer: CoreLayer, dtype: Any) -> NDArray[Any]:
    """Weights, and behind them the bias."""
    return np.concatenate([lay_out_weights(layer, dtype), lay_out_bias(layer, dtype)])


def _scattered(
    layer: CoreLayer, given: StepSpikes, start: NDArray[np.int64]
) -> tuple[StepSpikes, NDArray[np.int64], int, int]:
    """Spikes, final state, synaptic operations, states outside 16 bits."""
    steps = len(given.offsets) - 1
    edge, rows, columns, core = _tables(layer, given.shape, len(layer.sources) > 1)
    blocks, block_offsets = np.empty((given.total(), 2), np.int32), np.zeros(steps + 1, np.int64)
    source = (given.lanes, given.shape[2])
    reached, most = locate(given.address, given.n, given.offsets, source, edge, rows, columns, blocks, block_offsets)
    up, down = _extremes(layer, given, most)
    small = layer.max_spikes is None and _fits(layer, start, up, down, steps, 16)
    dtype: Any = np.int16 if small else np.int32
    laid = lay_out_state(layer, start, dtype)
    v = np.zeros(-(-len(laid) // 64) * 64, dtype)
    v[: len(laid)] = laid
    room, offsets = 4 * len(v) + 1024, np.zeros(steps + 1, np.int64)
    out, fired = np.empty(room, np.int32), np.empty(room, np.int32)
    step = count = over = 0
    while True:
        step, count, more = run_steps(
            step, blocks, block_offsets, v, _weights(layer, dtype), core, out, fired, offsets, count
        )
        over += more
        if step == steps:
            break
        out, fired = (np.concatenate([array, np.empty_like(array)]) for array in (out, fired))
    spikes = StepSpikes(out[:count].copy(), fired[:count].copy(), offsets, layer.output_shape, padded_features(layer))
    return spikes, read_state(layer, v[: len(laid)]).astype(np.int64), reached * layer.output_shape[0], over


def _dense(
    layer: CoreLayer, given: StepSpikes, start: NDArray[np.int64]
) -> tuple[StepSpikes, NDArray[np.int64], int, int]:
    """The same by convolution."""
    from i2e_deploy.chips.dynapcnn.counts import fan_out

    arriving = (
        given if len(layer.sources) > 1 else gather(layer.sources, {layer.sources[0].layer: given}, layer.input_shape)
    )
    frames = arriving.dense()
    steps, neurons = len(frames), int(np.prod(layer.output_shape))
    v, offsets = start.reshape(-1).copy(), np.zeros(steps + 1, np.int64)
    out, count, over = np.empty((2, 2 * neurons + 1024), np.int32), 0, 0
    part = max(1, CHUNK_VALUES // int(np.prod(layer.input_shape)))
    for first in range(0, steps, part):
        for i, current in enumerate(_convolve(layer, frames[first : first + part])):
            if out.shape[1] - count < neurons:
                out = np.concatenate([out, np.empty_like(out)], axis=1)
            count, more = fire_dense(
                current.reshape(-1), v, layer.threshold, layer.min_v,
                NO_LIMIT if layer.max_spikes is None else layer.max_spikes, layer.reset == "zero",
                out, offsets, first + i, count,
            )  # fmt: skip
            over += int(more)
    c, pixel = np.divmod(out[0, :count], np.int32(layer.output_shape[1] * layer.output_shape[2]))
    features = layer.output_shape[0]
    spikes = StepSpikes(pixel * np.int32(features) + c, out[1, :count].copy(), offsets, layer.output_shape, features)
    per_pixel = frames.sum(axis=(0, 1), dtype=np.int64)
    synops = layer.output_shape[0] * int((per_pixel * fan_out(layer)).sum())
    return spikes, v.reshape(layer.output_shape), synops, over


def _convolve(layer: CoreLayer, frames: NDArray[np.int32]) -> NDArray[Any]:
    """Exact sums as floats: [T, C_in, H, W] -> [T, C_out, h, w]."""
    dtype = _exact_dtype(layer, int(frames.max(initial=0)))
    inputs = torch.from_numpy(frames).to(dtype)
    weight = torch.from_numpy(layer.weight).to(dtype)
    bias = None if layer.bias is None else torch.from_numpy(layer.bias).to(dtype)
    with torch.no_grad():
        current = torch.nn.functional.conv2d(inputs, weight, bias, layer.stride, layer.padding)
    return np.asarray(current.numpy())


def _exact_dtype(layer: CoreLayer, largest: int) -> torch.dtype:
    """float32 when no order of summation can leave its exact integers, else float64."""
    weights = np.abs(layer.weight.astype(np.int64)).sum(axis=(1, 2, 3))
    bias = 0 if layer.bias is None else np.abs(layer.bias.astype(np.int64))
    bound = int((weights * largest + bias).max())
    return torch.float32 if bound < FLOAT32_EXACT else torch.float64
