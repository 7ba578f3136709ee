"""The fast time-stepped engine: equal to `reference` on every input.

Layer after layer takes all steps of a group of samples, the cheaper of two ways. Where few neurons spike, every spike
is added to the states that it reaches, in 16-bit lanes while no state can leave them (`_scattered_dtype`), else in
32-bit. Where many do, the convolution, which has no memory, takes all steps at once, in float32 while every partial
sum is an integer below 2^24, else in float64.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.timestep.kernels import crowd, divisor
from i2e_deploy.chips.dynapcnn.engine.timestep.layer import Room, convolve, fits_words, scatter
from i2e_deploy.chips.dynapcnn.engine.timestep.step_spikes import LazySpikes, StepSpikes, from_frames, gather
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.timestep import run_reference
from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace, sum_counts
from i2e_deploy.network import INPUT
from i2e_deploy.threads import on_threads, thread_count

#: States [sample, C, H, W] of each layer; None: all are zero.
Start = Mapping[str, NDArray[np.int64]] | None
#: Samples run together hold about so many neurons times steps: what a processor's cache holds the spikes of.
GROUP_VALUES = 2**25
FLOAT64_EXACT = 2**53
#: A multiply-add of a dense convolution costs about so much less than one of a scattered spike.
DENSE_ADVANTAGE = 2
#: Scattered synaptic operations that take as long as loading torch, without which there is no dense convolution.
WORTH_TORCH = 2**29
#: Counts above this are not scattered one by one.
MOST_SCATTERED = 16


def run_engine(program: CoreNetwork, frames: Integers, before: States | None = None) -> Trace:
    """`reference.run_reference`, fast; where counts could leave 32 bits, the reference itself."""
    before = program.initial_states(len(frames)) if before is None else before
    try:
        return _run(program, frames, before)
    except _BeyondExact:
        return run_reference(program, frames, before)


class _BeyondExact(Exception):
    """A layer's counts could leave what this engine holds exactly."""


def _run(program: CoreNetwork, frames: Integers, before: States | None) -> Trace:
    threads = min(len(frames), thread_count())
    neurons = sum(prod(layer.output_shape) for layer in program.layers)
    most = max(1, GROUP_VALUES // (frames.shape[1] * neurons))
    number = min(len(frames), threads * -(-len(frames) // (threads * most)))
    ends = [len(frames) * i // number for i in range(number + 1)]
    states = {layer.name: np.empty((len(frames), *layer.output_shape), np.int64) for layer in program.layers}

    def run(ends: tuple[int, int]) -> _Group:
        part = slice(*ends)
        return _run_group(program, frames[part], _start(before, part), {name: v[part] for name, v in states.items()})

    groups = on_threads(run, list(pairwise(ends)), threads)
    return Trace(
        spikes=LazySpikes([group.spikes for group in groups], len(frames)),
        states={name: {"v_mem": v} for name, v in states.items()},
        output=_joined([group.output for group in groups]),
        counts={name: sum_counts([group.counts[name] for group in groups]) for name in states},
        deciding=program.deciding,
    )


def _joined(parts: list[NDArray[Any]], axis: int = 0) -> NDArray[Any]:
    """One after the other; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


@dataclass(frozen=True, eq=False)
class _Group:
    """What several samples gave."""

    spikes: Mapping[str, StepSpikes]
    output: NDArray[np.int32]
    counts: Mapping[str, LayerCounts]


def _start(before: States | None, samples: slice) -> Start:
    """States [sample, C, H, W] from which these samples start."""
    if before is None:
        return None
    return {name: variables["v_mem"][samples].astype(np.int64) for name, variables in before.items()}


def _run_group(program: CoreNetwork, frames: Integers, start: Start, states: Mapping[str, NDArray[np.int64]]) -> _Group:
    """Some samples [B, T, C, H, W]; `states` [B, C, H, W] are written."""
    samples, steps = frames.shape[:2]
    spikes = {INPUT: from_frames(frames.reshape(samples * steps, *frames.shape[2:]))}
    counts, room = {}, Room()
    for layer in program.layers:
        given, v = _arrivals(layer, spikes), None if start is None else start[layer.name]
        held = (0, 0) if v is None else (int(v.min()), int(v.max()))
        _check_range(layer, given, held)
        dtype = _scattered_dtype(layer, given, held, steps)
        fired, states[layer.name][:], synops, over = (
            convolve(layer, given, v, samples) if dtype is None else scatter(layer, given, v, samples, dtype, room)
        )
        spikes[layer.name] = fired
        counts[layer.name] = LayerCounts(fired.total, synops, over)
    outputs = [_output(source, spikes).reshape(samples, steps, -1) for source in program.outputs]
    del spikes[INPUT]
    return _Group(spikes, _joined(outputs, axis=2), counts)


def _output(source: Source, spikes: Mapping[str, StepSpikes]) -> NDArray[np.int32]:
    """Counts of what leaves the network, pooled."""
    given = spikes[source.layer]
    if source.pool == (1, 1):
        return given.dense()
    return gather((source,), spikes, _pooled(given.shape, source.pool)).dense()


def _check_range(layer: CoreLayer, given: StepSpikes, held: tuple[int, int]) -> None:
    """Raise _BeyondExact unless arrivals and spikes of a step fit 32 bits and sums are exact in float64.

    `held`: least and largest state at the start, here and below.
    """
    arriving = given.largest * _multiplicity(layer)
    up, down = _extremes(layer, given)
    total = up - down + 128 + max(-held[0], held[1])
    if arriving >= 2**31 or total >= FLOAT64_EXACT or total // layer.threshold >= 2**31:
        raise _BeyondExact


def _extremes(layer: CoreLayer, given: StepSpikes, most: int | None = None) -> tuple[int, int]:
    """What the spikes of one step can add to a state at most, and at least; `most` of them reach it (None: any)."""
    each = given.largest * _multiplicity(layer)
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


def _scattered_dtype(layer: CoreLayer, given: StepSpikes, held: tuple[int, int], steps: int) -> Any:
    """int16 or int32, which holds every state if spikes are scattered; None where a convolution is better.

    By the work of either way; also where a count is large, or no bound shows that 32 bits suffice.
    """
    features, channels, kh, kw = layer.weight.shape
    _, height, width = layer.output_shape
    block = min(height, -(-kh // layer.stride[0])) * min(width, -(-kw // layer.stride[1]))
    scattered = given.total * features * block
    dense = (len(given.offsets) - 1) * features * height * width * channels * kh * kw
    extremes = _extremes(layer, given)
    cheaper = scattered * DENSE_ADVANTAGE <= dense or (scattered < WORTH_TORCH and "torch" not in sys.modules)
    few = cheaper and given.largest <= MOST_SCATTERED
    if not few or not fits_words(layer) or not _fits(layer, held, *extremes, steps, 32):
        return None
    if layer.max_spikes is not None:
        return np.int32
    if not _fits(layer, held, *extremes, steps, 16):
        extremes = _extremes(layer, given, int(np.diff(given.offsets).max()) * given.largest)
    if not _fits(layer, held, *extremes, steps, 16):
        arrays = (given.address, given.n, given.offsets)
        window = layer.weight.shape[2] * max(source.pool[0] for source in layer.sources)
        even, odd = np.zeros((2, given.shape[1]), np.int64)
        most = crowd(arrays, divisor(given.lanes * given.shape[2]), even, odd, window)
        extremes = _extremes(layer, given, most)
    return np.int16 if _fits(layer, held, *extremes, steps, 16) else np.int32


def _fits(layer: CoreLayer, held: tuple[int, int], up: int, down: int, steps: int, bits: int) -> bool:
    """Whether every state stays inside `bits`, when no step adds more than `up`, or less than `down`, and the bias."""
    if layer.bias is not None:
        up, down = up + max(0, int(layer.bias.max())), down + min(0, int(layer.bias.min()))
    high: int = max(layer.threshold, held[1]) + (up if layer.max_spikes is None else steps * up)
    limit = 1 << (bits - 1)
    return high < limit and min(layer.min_v, held[0]) + down >= -limit


def _multiplicity(layer: CoreLayer) -> int:
    """How many entries of a step can fall on one input pixel: by pooling, or by merging."""
    if len(layer.sources) == 1:
        return layer.sources[0].pool[0] * layer.sources[0].pool[1]
    return sum(source.pool[0] * source.pool[1] for source in layer.sources)
