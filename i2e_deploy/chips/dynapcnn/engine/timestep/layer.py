"""One layer in time steps, for several samples, two ways: spike by spike, or as a convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.geometry import (
    SIZE,
    STATE,
    WEIGHT,
    lay_out_bias,
    lay_out_state,
    lay_out_weights,
    padded_features,
    reach_tables,
    row_slots,
)
from i2e_deploy.chips.dynapcnn.engine.timestep.kernels import Core, divisor, fire_dense, run_steps
from i2e_deploy.chips.dynapcnn.engine.timestep.loops import (
    BUCKET_AT,
    BUCKET_BITS,
    ROW_BITS,
    ROWS_AT,
    STATE_BITS,
    WEIGHT_BITS,
)
from i2e_deploy.chips.dynapcnn.engine.timestep.step_spikes import StepSpikes, gather, listed
from i2e_deploy.chips.dynapcnn.program import CoreLayer
from i2e_deploy.chips.dynapcnn.reference.counts import fan_out
from i2e_deploy.chips.trace import Integers

if TYPE_CHECKING:
    import torch

#: States [sample, C, H, W] to start from; None: all are zero.
Start = NDArray[np.int64] | None
#: Spikes, states [sample, C, H, W], synaptic operations, states outside 16 bits.
Ran = tuple[StepSpikes, Integers, int, int]
#: Above this many values in the input of a convolution, steps are run in several parts.
CHUNK_VALUES = 2**24
FLOAT32_EXACT = 2**24
NO_LIMIT = 2**62
#: Lists that may become longer share arrays of so many values or more: 4 MiB, from where NumPy asks for huge pages.
LONG, SHARED = 2**17, 2**20


class Room:
    """Where the lists of several layers are written, one after the other.

    Long ones share arrays of 4 MiB and more: NumPy asks for huge pages for these, which are a hundredfold fewer page
    faults. `used` entries of the present arrays are written for good.
    """

    def __init__(self) -> None:
        self._arrays, self.used = np.empty((2, 0), np.int32), 0

    def take(self, size: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """At least `size` entries, two values of int32 each, after those in use."""
        if self._arrays.shape[1] - self.used < size:
            entries = size if size < LONG else max(4 * size, SHARED)
            self._arrays, self.used = np.empty((2, entries), np.int32), 0
        return self._arrays[0, self.used :], self._arrays[1, self.used :]


def scatter(layer: CoreLayer, given: StepSpikes, start: Start, samples: int, dtype: Any, room: Room) -> Ran:
    """Add every spike to the states that it reaches, which are int16 or int32 and must fit."""
    totals, step, count = np.zeros(4, np.int64), 0, 0
    source, pixels, core, widths = _tables(layer, given.shape, given.lanes, len(layer.sources) > 1)
    neurons = core.neurons
    states = _aligned(np.zeros, (samples, -(-neurons // 64) * 64), dtype)
    if start is not None:
        states[:, :neurons] = [lay_out_state(layer, v_mem, dtype) for v_mem in start]
    weights, bias = _weights(layer), lay_out_bias(layer, dtype) if layer.bias is not None else np.empty(0, dtype)
    arrays = (given.address, given.n, given.offsets)
    most_arrivals = int((given.offsets[1:] - given.offsets[:-1]).max()) * given.largest + 1
    bins = np.empty((widths + 2) * most_arrivals, np.int64), np.empty(widths + 2, np.int64), most_arrivals
    offsets = np.zeros(len(given.offsets), np.int64)
    address, fired = room.take(2 * len(given.address) + 4 * states.shape[1])
    while True:
        out = (address, fired, offsets)
        step, count = run_steps(step, arrays, source, pixels, core, bins, states, weights, bias, out, count, totals)
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
    features, height, width = layer.output_shape
    after = states[:, :neurons].reshape(samples, height, width, -1)[..., :features].transpose(0, 3, 1, 2)
    return spikes, after, reached * features, over


@lru_cache(maxsize=256)
def _tables(
    layer: CoreLayer, shape: tuple[int, int, int], source_lanes: int, routed: bool
) -> tuple[Any, NDArray[np.int64], Core, int]:
    """Geometry and numbers for the kernel, and how wide a block can be; shape and lanes of the source."""
    lanes, (_, height, width) = padded_features(layer), layer.output_shape
    pool, shift = ((1, 1), 0) if routed else (layer.sources[0].pool, layer.sources[0].feature_shift)
    rows, columns = (
        table.astype(np.int64)
        for table in reach_tables(layer, shape[1:], pool, keep_outside=False, exact=True, spare=False)
    )
    weights = len(_weights(layer)) // layer.weight.shape[1]
    most = NO_LIMIT if layer.max_spikes is None else layer.max_spikes
    tallest, widest = int(rows[:, SIZE].max(initial=0)), int(columns[:, SIZE].max(initial=0))
    core = Core(
        width * lanes, row_slots(layer, spare=False) * lanes, lanes, tallest, height * width * lanes,
        layer.threshold, layer.min_v, most, layer.reset == "zero",
    )  # fmt: skip
    words = _words(rows[:, None], columns[None, :], tallest, widest).reshape(-1)
    words += (shift - np.arange(len(words)) * source_lanes) * weights << STATE_BITS
    return (*divisor(source_lanes), weights), words, core, widest


def _words(rows: NDArray[np.int64], columns: NDArray[np.int64], tallest: int, widest: int) -> NDArray[np.int64]:
    """Words of `timestep.kernels`'s table of pixels, from what rows [y, 1, 4] and columns [1, x, 4] reach."""
    height, width = rows[..., SIZE], columns[..., SIZE]
    bucket = np.where((height == tallest) & (width == widest), widest + 1, width)
    words = (rows[..., STATE] + columns[..., STATE]) + ((rows[..., WEIGHT] + columns[..., WEIGHT]) << STATE_BITS)
    return np.where((height > 0) & (width > 0), words + (height << ROWS_AT) + (bucket << BUCKET_AT), 0)


@lru_cache(maxsize=256)
def fits_words(layer: CoreLayer) -> bool:
    """Whether the words of the kernel's table can hold what a spike reaches."""
    _, height, width = layer.output_shape
    lanes, (kh, kw) = padded_features(layer), layer.weight.shape[2:]
    sizes = (height * width * lanes, STATE_BITS), (len(_weights(layer)), WEIGHT_BITS)
    return all(size < 1 << bits for size, bits in (*sizes, (kh, ROW_BITS), (kw + 1, BUCKET_BITS)))


@lru_cache(maxsize=256)
def _weights(layer: CoreLayer) -> NDArray[np.int8]:
    laid = lay_out_weights(layer, np.int8, spare=False)
    aligned = _aligned(np.empty, laid.shape, np.int8)
    aligned[:] = laid
    return aligned


def _aligned(make: Callable[..., NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array at a multiple of 64 bytes, a line of the cache."""
    size = prod(shape) * np.dtype(dtype).itemsize
    raw = make(size + 64, np.uint8)
    skip = -raw.__array_interface__["data"][0] % 64
    aligned: NDArray[Any] = raw[skip : skip + size].view(dtype).reshape(shape)
    return aligned


def convolve(layer: CoreLayer, given: StepSpikes, start: Start, samples: int) -> Ran:
    """All steps at once; only firing goes step by step."""
    arriving = (
        given if len(layer.sources) > 1 else gather(layer.sources, {layer.sources[0].layer: given}, layer.input_shape)
    )
    frames = arriving.dense()
    steps, neurons = len(frames), prod(layer.output_shape)
    v, offsets = np.zeros((samples, neurons), np.int64), np.zeros(steps + 1, np.int64)
    if start is not None:
        v[:] = start.reshape(samples, -1)
    out, count, over = np.empty((2, 2 * neurons + 1024), np.int32), 0, 0
    part = max(1, CHUNK_VALUES // prod(layer.input_shape))
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
    return spikes, v.reshape(samples, *layer.output_shape), synops, over


def _convolution(layer: CoreLayer, frames: NDArray[np.int32]) -> NDArray[Any]:
    """Exact sums as floats: [T, C_in, H, W] -> [T, C_out, h, w]."""
    import torch

    dtype = _exact_dtype(layer, int(frames.max(initial=0)))
    inputs = torch.from_numpy(frames).to(dtype)
    weight = torch.from_numpy(layer.weight).to(dtype)
    bias = None if layer.bias is None else torch.from_numpy(layer.bias).to(dtype)
    with torch.no_grad():
        current = torch.nn.functional.conv2d(inputs, weight, bias, layer.stride, layer.padding)
    return np.asarray(current.numpy())


def _exact_dtype(layer: CoreLayer, largest: int) -> torch.dtype:
    """float32 when no order of summation can leave its exact integers, else float64."""
    import torch

    weights = np.abs(layer.weight.astype(np.int64)).sum(axis=(1, 2, 3))
    bias = 0 if layer.bias is None else np.abs(layer.bias.astype(np.int64))
    bound = int((weights * largest + bias).max())
    return torch.float32 if bound < FLOAT32_EXACT else torch.float64
