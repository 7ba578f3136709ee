"""The batches of an epoch: the same samples in the same global batches for any number of devices."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.text import record_repr
from i2e_deploy.training.mixing import Mixed, Mixing, mixed_batch
from i2e_deploy.training.samples import Samples

#: Batches that are prepared while others are computed.
AHEAD = 2


@dataclass(frozen=True, eq=False)
class Part:
    """What one device does of a batch.

    Args:
        mixed: its samples.
        weights: float32 [B]: 1, or 0 for a sample that stands in where a batch has fewer samples than devices.
        whole: samples of the whole batch, over all devices.
        number: of the batch, from 0.
    """

    mixed: Mixed
    weights: NDArray[np.float32]
    whole: int
    number: int

    __repr__ = record_repr


def draw_of(seed: int, epoch: int) -> int:
    """The draw (`Samples.batch`) of an epoch, counted from 0."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)[0]) >> 1


def count(samples: int, batch_size: int) -> int:
    """Batches of an epoch; the last may be smaller."""
    return -(-samples // batch_size)


def parts(
    samples: Samples, batch_size: int, seed: int, epoch: int, mixing: Mixing, rank: int = 0, ranks: int = 1
) -> Iterator[Part]:
    """What device `rank` of `ranks` does in an epoch, counted from 0; samples are prepared ahead, in a thread."""
    order = np.random.default_rng(np.random.SeedSequence((seed, epoch))).permutation(len(samples))
    draw = draw_of(seed, epoch)

    def prepare(number: int) -> Part:
        whole = order[number * batch_size : (number + 1) * batch_size]
        mine, partners = (np.asarray(of[rank::ranks], np.int64) for of in (whole, np.roll(whole, 1)))
        weights = np.ones(max(len(mine), 1), np.float32)
        if not len(mine):
            mine, partners, weights[:] = whole[:1].astype(np.int64), whole[:1].astype(np.int64), 0
        return Part(mixed_batch(samples, mine, partners, draw, mixing), weights, len(whole), number)

    numbers = iter(range(count(len(samples), batch_size)))
    with ThreadPoolExecutor(1, "batches") as pool:
        waiting: list[Future[Part]] = [pool.submit(prepare, n) for _, n in zip(range(AHEAD), numbers, strict=False)]
        try:
            while waiting:
                part = waiting.pop(0).result()
                waiting += [pool.submit(prepare, n) for _, n in zip(range(1), numbers, strict=False)]
                yield part
        finally:
            for future in waiting:
                future.cancel()
