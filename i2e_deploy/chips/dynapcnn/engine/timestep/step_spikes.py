"""Spikes in time steps, as lists: what travels between layers in the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call,call-arg,var-annotated"

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.timestep.loops import list_bits
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.trace import Integers
from i2e_deploy.llvm_vectors import nonzero_64

Shape = tuple[int, int, int]
#: Unsigned indices need no test for negative ones, see `timestep.kernels`.
U = np.uint64
Addresses = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class StepSpikes:
    """One layer: those of step t stand at offsets[t]:offsets[t + 1], in any order; samples follow one another.

    Args:
        address: int32 [N], (y * W + x) * lanes + c; one may stand several times in a step.
        n: int32 [N], spikes there, >= 1.
        offsets: int64 [T + 1].
        shape: (C, H, W).
        lanes: addresses of one pixel, >= C.
        total, largest: sum and maximum of n; 0 when there is none.
    """

    address: Addresses
    n: Addresses
    offsets: NDArray[np.int64]
    shape: Shape
    lanes: int
    total: int
    largest: int

    def dense(self) -> NDArray[np.int32]:
        """Counts int32 [T, C, H, W]."""
        channels, height, width = self.shape
        counts = np.zeros((len(self.offsets) - 1, channels, height * width), np.int32)
        _scatter(self.address, self.n, self.offsets, self.lanes, counts)
        return counts.reshape(-1, channels, height, width)


def listed(address: Addresses, n: Addresses, offsets: NDArray[np.int64], shape: Shape, lanes: int) -> StepSpikes:
    """With the totals made from the lists."""
    total, largest = int(n.sum(dtype=np.int64)), int(n.max(initial=0))
    return StepSpikes(address, n, offsets, shape, lanes, total, largest)


def from_frames(frames: Integers) -> StepSpikes:
    """Counts [T, C, H, W], below 2^31, as lists."""
    steps, channels, height, width = frames.shape
    flat = np.ascontiguousarray(frames).reshape(-1)
    narrow = frames.dtype.itemsize == 1
    marks = flat.view(np.uint8) if narrow else (flat != 0).view(np.uint8)
    plane, offsets, done, count = height * width, np.zeros(steps + 1, np.int64), 0, 0
    out = np.empty((2, plane + 4096 + len(marks) // 8), np.int32)
    where = np.empty(plane + 4, np.int32)
    while True:
        done, count = _list_nonzero(done, marks, plane, channels, where, *out, offsets, count)
        if done == steps * channels:
            break
        out = np.concatenate([out, np.empty_like(out)], axis=1)
    address, n = out[:, :count]
    n = n if narrow else flat[marks.view(np.bool_)].astype(np.int32)
    return listed(address, n, offsets, (channels, height, width), channels)


def gather(sources: Sequence[Source], spikes: Mapping[str, StepSpikes], shape: Shape) -> StepSpikes:
    """All sources of a core, pooled and shifted, as one: addresses inside `shape`."""
    parts = [_route(source, spikes[source.layer], shape) for source in sources]
    step = np.concatenate([part[2] for part in parts])
    order = np.argsort(step, kind="stable")
    address, n = (np.concatenate([part[i] for part in parts])[order] for i in range(2))
    offsets = np.searchsorted(step[order], np.arange(len(spikes[sources[0].layer].offsets)))
    return listed(address.astype(np.int32), n, offsets, shape, shape[0])


def _route(source: Source, spikes: StepSpikes, shape: Shape) -> list[NDArray[np.integer[Any]]]:
    """Address, number and step of what arrives."""
    (ky, kx), (_, height, width) = source.pool, spikes.shape
    step = np.repeat(np.arange(len(spikes.offsets) - 1), np.diff(spikes.offsets))
    pixel, c = np.divmod(spikes.address, spikes.lanes)
    y, x = np.divmod(pixel, width)
    inside = (y < height // ky * ky) & (x < width // kx * kx)
    address = (y // ky * shape[2] + x // kx) * shape[0] + c + source.feature_shift
    return [address[inside], spikes.n[inside], step[inside]]


class LazySpikes(Mapping[str, Integers]):
    """Per layer int32 [B, T, C, H, W], made from the lists of groups of samples when first looked at."""

    def __init__(self, groups: Sequence[Mapping[str, StepSpikes]], batch: int) -> None:
        self._groups, self._batch = groups, batch
        self._made: dict[str, Integers] = {}

    def __getitem__(self, name: str) -> Integers:
        if name not in self._made:
            counts = np.concatenate([group[name].dense() for group in self._groups])
            self._made[name] = counts.reshape(self._batch, -1, *counts.shape[1:])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups[0])

    def __len__(self) -> int:
        return len(self._groups[0])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _scatter(address, n, offsets, lanes, counts):
    for t in range(offsets.shape[0] - 1):
        for e in range(offsets[t], offsets[t + 1]):
            pixel = address[e] // lanes
            counts[t, address[e] - pixel * lanes, pixel] += n[e]


@numba.njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
def _list_nonzero(done, marks, plane, channels, where, address, n, offsets, count):
    """Addresses of the bytes that are not zero, these bytes, and where each step ends.

    Args:
        done: planes that are listed already.
        marks: uint8 [step, channel, plane], flat.
        where: int32 [plane + 4], for its own use.
        address, n: int32 [room], written; offsets: int64 [steps + 1], written.
        count: bytes listed so far.

    Returns:
        (planes listed, bytes listed): stops early when there may be too little room for another plane.
    """
    planes = (offsets.shape[0] - 1) * channels
    while done < planes and address.shape[0] - count >= plane:
        start, channel, found = done * plane, done % channels, 0
        for i in range(0, plane // 64 * 64, 64):
            found = list_bits(nonzero_64(marks, start + i), i, where, found)
        for i in range(plane // 64 * 64, plane):
            where[found] = i
            found += marks[start + i] != 0
        for j in range(found):
            at = where[U(j)]
            address[U(count + j)], n[U(count + j)] = at * channels + channel, marks[U(start + at)]
        count += found
        offsets[U(done // channels + 1)] = count
        done += 1
    return done, count
