"""Spikes of one sample in time steps, as lists: what travels between layers in the fast time-stepped engine."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.chips.trace import Integers

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class StepSpikes:
    """One sample, one layer: those of step t stand at offsets[t]:offsets[t + 1], in any order.

    Args:
        c, y, x: int16 [N], addresses; one address may stand several times in a step.
        n: int32 [N], spikes there, >= 1.
        offsets: int64 [T + 1].
        shape: (C, H, W).
    """

    c: NDArray[np.int16]
    y: NDArray[np.int16]
    x: NDArray[np.int16]
    n: NDArray[np.int32]
    offsets: NDArray[np.int64]
    shape: Shape

    def dense(self) -> NDArray[np.int32]:
        """Counts int32 [T, C, H, W]."""
        counts = np.zeros((len(self.offsets) - 1, *self.shape), np.int32)
        _scatter(self.c, self.y, self.x, self.n, self.offsets, counts)
        return counts

    def total(self) -> int:
        """Spikes of all steps."""
        return int(self.n.sum(dtype=np.int64))


def from_frames(frames: Integers) -> StepSpikes:
    """Counts [T, C, H, W], below 2^31, as lists."""
    steps, channels, height, width = frames.shape
    flat = np.ascontiguousarray(frames).reshape(steps, -1)
    size = flat.shape[1]
    if frames.dtype.itemsize == 1 and size % 8 == 0:  # 8 pixels a look: most are empty
        where = _nonzero_bytes(flat.reshape(-1).view(np.uint64), flat.reshape(-1).view(np.uint8))
    else:
        where = np.flatnonzero(flat)
    n = flat.reshape(-1)[where].astype(np.int32)
    offsets = np.searchsorted(where, np.arange(steps + 1) * size)
    plane = where % (height * width)
    c, y = where // (height * width) % channels, plane // width
    return StepSpikes(
        c.astype(np.int16), y.astype(np.int16), (plane - y * width).astype(np.int16), n, offsets,
        (channels, height, width),
    )  # fmt: skip


def gather(sources: Sequence[Source], spikes: Mapping[str, StepSpikes], shape: Shape) -> StepSpikes:
    """All sources of a core, pooled and shifted, as one: addresses inside `shape`."""
    parts = [(_route(source, spikes[source.layer]), spikes[source.layer].offsets) for source in sources]
    step = np.concatenate([part[4] for part, _ in parts])
    order = np.argsort(step, kind="stable")
    c, y, x, n = (np.concatenate([part[i] for part, _ in parts])[order] for i in range(4))
    offsets = np.searchsorted(step[order], np.arange(len(parts[0][1])))
    return StepSpikes(c, y, x, n, offsets, shape)


def _route(source: Source, spikes: StepSpikes) -> list[NDArray[np.integer[Any]]]:
    (ky, kx), (_, height, width) = source.pool, spikes.shape
    step = np.repeat(np.arange(len(spikes.offsets) - 1), np.diff(spikes.offsets))
    inside = (spikes.y < height // ky * ky) & (spikes.x < width // kx * kx)
    c, y, x, n, step = (a[inside] for a in (spikes.c, spikes.y, spikes.x, spikes.n, step))
    return [c + np.int16(source.feature_shift), y // np.int16(ky), x // np.int16(kx), n, step]


class LazySpikes(Mapping[str, Integers]):
    """Per layer int32 [B, T, C, H, W], made from the lists when first looked at."""

    def __init__(self, samples: Sequence[Mapping[str, StepSpikes]]) -> None:
        self._samples = samples
        self._made: dict[str, Integers] = {}

    def __getitem__(self, name: str) -> Integers:
        if name not in self._made:
            self._made[name] = np.stack([sample[name].dense() for sample in self._samples])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples[0])

    def __len__(self) -> int:
        return len(self._samples[0])


@numba.njit(cache=True, nogil=True)
def _scatter(c, y, x, n, offsets, counts):
    for t in range(offsets.shape[0] - 1):
        for e in range(offsets[t], offsets[t + 1]):
            counts[t, c[e], y[e], x[e]] += n[e]


@numba.njit(cache=True, nogil=True)
def _nonzero_bytes(words, values):
    """Indices of bytes that are not zero; `words` are the same bytes, eight at a time."""
    count = 0
    for i in range(words.shape[0]):
        if words[i]:
            for j in range(8):
                count += values[8 * i + j] != 0
    found = np.empty(count, np.int64)
    count = 0
    for i in range(words.shape[0]):
        if words[i]:
            for j in range(8):
                if values[8 * i + j]:
                    found[count] = 8 * i + j
                    count += 1
    return found
