"""One layer in time steps, for several samples, two ways: spike by spike, or as a convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.counts import fan_out
from i2e_deploy.chips.dynapcnn.geometry import (
    REACHED,
    SIZE,
    STATE,
    WEIGHT,
    Table,
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    read_state,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.program import CoreLayer, Pair
from i2e_deploy.chips.dynapcnn.step_kernel import fire_dense, run_steps
from i2e_deploy.chips.dynapcnn.step_spikes import StepSpikes, gather, listed

#: Spikes, states [sample, C, H, W], synaptic operations, states outside 16 bits.
Ran = tuple[StepSpikes, NDArray[np.int64], int, int]
#: Above this many values in the input of a convolution, steps are run in several parts.
CHUNK_VALUES = 2**24
FLOAT32_EXACT = 2**24
NO_LIMIT = 2**62
#: Blocks of one size may be so much larger than what spikes reach: the loops over them are foretold better.
WASTE = 1.5
#: Lists that may become longer share arrays of so many values or more: 4 MiB, from where NumPy asks for huge pages.
LONG, SHARED = 2**17, 2**20


class Room:
    """Where the lists of several layers are written, one behind the other.

    Long ones share arrays of 4 MiB and more: NumPy asks for huge pages for these, which are a hundredfold fewer page
    faults. `used` entries of the present arrays are written for good.
    """

    def __init__(self) -> None:
        self._arrays, self.used = np.empty((2, 0), np.int32), 0

    def take(self, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """At least `size` entries, two values of int32 each, behind those in use."""
        if self._arrays.shape[1] - self.used < size:
            entries = size if size < LONG else max(4 * size, SHARED)
            self._arrays, self.used = np.empty((2, entries), np.int32), 0
        return self._arrays[0, self.used :], self._arrays[1, self.used :]


def scatter(layer: CoreLayer, given: StepSpikes, start: NDArray[np.int64], dtype: Any, room: Room) -> Ran:
    """Add every spike to the states that it reaches, which are int16 or int32 and must fit."""
    samples, totals, step, count = len(start), np.zeros(4, np.int64), 0, 0
    edge, tables, core = _tables(layer, given.shape, len(layer.sources) > 1)
    laid = [lay_out_state(layer, v_mem, dtype) for v_mem in start]
    states = _aligned(np.zeros, (samples, -(-laid[0].size // 64) * 64), dtype)
    states[:, : laid[0].size] = laid
    weights = _weights(layer, dtype)
    arrays, source = (given.address, given.n, given.offsets), (given.lanes, given.shape[2])
    most_arrivals = int(np.diff(given.offsets).max(initial=0)) * given.largest
    blocks = np.empty((most_arrivals + 1, 2), np.int64)
    offsets = np.zeros(len(given.offsets), np.int64)
    address, fired = room.take(2 * len(given.address) + 4 * states.shape[1])
    while True:
        out = (address, fired, offsets)
        step, count = run_steps(step, arrays, source, edge, tables, blocks, states, weights, core, out, count, totals)
        if step == len(offsets) - 1:
            break
        longer = room.take(2 * len(address))
        longer[0][:count], longer[1][:count] = address[:count], fired[:count]
        address, fired = longer
    room.used += count
    reached, over, total, largest = totals.tolist()
    spikes = StepSpikes(
        address[:count], fired[:count], offsets, layer.output_shape, padded_features(layer), total, largest
    )
    after = np.stack([read_state(layer, v[: laid[0].size]) for v in states]).astype(np.int64)
    return spikes, after, reached * layer.output_shape[0], over


@lru_cache(maxsize=256)
def _tables(layer: CoreLayer, shape: tuple[int, int, int], routed: bool) -> tuple[Any, Any, Any]:
    """Geometry and numbers for the kernel; `shape` of the source."""
    source = layer.sources[0]
    pool, shift = ((1, 1), 0) if routed else (source.pool, source.feature_shift)
    exact = _mostly_outside(layer, shape[1:], pool)
    rows, columns = reach_tables(layer, shape[1:], pool, keep_outside=False, exact=exact)
    channels, lanes, (_, height, width) = layer.weight.shape[1], padded_features(layer), layer.output_shape
    edge = (len(lay_out_weights(layer, np.int16)) // channels, shift)
    steps = (width * lanes, row_slots(layer) * lanes)
    most = NO_LIMIT if layer.max_spikes is None else layer.max_spikes
    core = (height * width * lanes, lanes, int(layer.bias is not None), layer.threshold, layer.min_v, most)
    tables = (_packed(rows, 1 << 32), _packed(columns, lanes))
    return edge, tables, (*steps, *core, int(layer.reset == "zero"))


def _packed(table: Table, unit: int) -> NDArray[np.int64]:
    """[coordinate, 3]: offsets in states (low 32 bits) and weights (high), size in `unit`s, pixels reached."""
    wide = table.astype(np.int64)
    return np.stack([wide[:, STATE] + (wide[:, WEIGHT] << 32), wide[:, SIZE] * unit, wide[:, REACHED]], axis=1)


def _mostly_outside(layer: CoreLayer, shape: Pair, pool: Pair) -> bool:
    """Whether so much of blocks of one size would lie outside the neurons that blocks of exact size cost less."""
    whole, reached = 1.0, 1.0
    for table in reach_tables(layer, shape, pool, keep_outside=False, exact=False):
        whole, reached = whole * table[:, SIZE].mean(), reached * table[:, REACHED].mean()
    return whole > WASTE * reached


@lru_cache(maxsize=256)
def _weights(layer: CoreLayer, dtype: Any) -> NDArray[Any]:
    """Weights, and behind them the bias."""
    values = np.concatenate([lay_out_weights(layer, dtype), lay_out_bias(layer, dtype)])
    aligned = _aligned(np.empty, values.shape, dtype)
    aligned[:] = values
    return aligned


def _aligned(make: Callable[..., NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array at a multiple of 64 bytes, a line of the cache."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = make(size + 64, np.uint8)
    skip = -raw.__array_interface__["data"][0] % 64
    aligned: NDArray[Any] = raw[skip : skip + size].view(dtype).reshape(shape)
    return aligned


def convolve(layer: CoreLayer, given: StepSpikes, start: NDArray[np.int64]) -> Ran:
    """All steps at once; only firing goes step by step."""
    arriving = (
        given if len(layer.sources) > 1 else gather(layer.sources, {layer.sources[0].layer: given}, layer.input_shape)
    )
    frames = arriving.dense()
    samples, steps, neurons = len(start), len(frames), int(np.prod(layer.output_shape))
    v, offsets = start.reshape(samples, -1).copy(), np.zeros(steps + 1, np.int64)
    out, count, over = np.empty((2, 2 * neurons + 1024), np.int32), 0, 0
    part = max(1, CHUNK_VALUES // int(np.prod(layer.input_shape)))
    for first in range(0, steps, part):
        for step, current in enumerate(_convolution(layer, frames[first : first + part]), first):
            if out.shape[1] - count < neurons:
                out = np.concatenate([out, np.empty_like(out)], axis=1)
            count, more = fire_dense(
                current.reshape(-1), v[step * samples // steps], layer.threshold, layer.min_v,
                NO_LIMIT if layer.max_spikes is None else layer.max_spikes, layer.reset == "zero",
                out, offsets, step, count,
            )  # fmt: skip
            over += int(more)
    c, pixel = np.divmod(out[0, :count], np.int32(layer.output_shape[1] * layer.output_shape[2]))
    features = layer.output_shape[0]
    spikes = listed(pixel * np.int32(features) + c, out[1, :count].copy(), offsets, layer.output_shape, features)
    per_pixel = frames.sum(axis=(0, 1), dtype=np.int64)
    synops = layer.output_shape[0] * int((per_pixel * fan_out(layer)).sum())
    return spikes, v.reshape(start.shape), synops, over


def _convolution(layer: CoreLayer, frames: NDArray[np.int32]) -> NDArray[Any]:
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
