"""Training samples made by worker processes: the same samples, on more cores than one interpreter keeps busy."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.executors import die_with_parent
from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.text import counted, one_line, said
from i2e_deploy.training.samples import Batch, Samples, TrainingData

#: What this process makes, where it is a worker: one entry.
_SAMPLES: list[Samples] = []


class SpreadSamples:
    """Samples whose batches are made by processes, each a part of every batch.

    What a sample draws depends on the draw and its number alone (`Samples.batch`), so the bits are those of `samples`.

    Args:
        samples: what is made; it is sent to each process once.
        pool: the processes, started with `_begin`.
        workers: how many.
    """

    def __init__(self, samples: Samples, pool: ProcessPoolExecutor, workers: int) -> None:
        self._samples, self._pool, self._workers = samples, pool, workers

    def __len__(self) -> int:
        return len(self._samples)

    def __repr__(self) -> str:
        return said(self, counted(self._workers, "process"), repr(self._samples))

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`.

        Raises:
            SourceLost: a process was killed.
        """
        shares = [share for share in np.array_split(chosen, self._workers) if len(share)]
        if len(shares) < 2:
            return self._samples.batch(chosen, draw)
        try:
            made = [future.result() for future in [self._pool.submit(_make, share, draw) for share in shares]]
        except BrokenProcessPool:
            raise SourceLost(
                f"one of {self._workers} processes that make samples was killed, perhaps for want of memory: train "
                "again with fewer workers; the training goes on after its last whole epoch"
            ) from None
        recordings = [events for batch in made for events in batch.recordings or ()]
        frames, targets = (np.concatenate([getattr(batch, name) for batch in made]) for name in ("frames", "targets"))
        return Batch(frames, targets, recordings if made[0].recordings is not None else None)


@contextmanager
def made_by(data: TrainingData, workers: int) -> Iterator[TrainingData]:
    """The same data, whose training samples are made by so many processes; they end with the context.

    Args:
        data: any but data sets of other libraries that cannot be pickled.
        workers: 0: this process alone, on its threads.

    Raises:
        InputError: the samples cannot be sent to another process.
    """
    if not workers:
        yield data
        return
    context = multiprocessing.get_context("spawn")  # not fork: threads of torch and numba would not live on
    pool = ProcessPoolExecutor(workers, context, _begin, (data.train, os.getpid()))
    try:
        try:
            pool.submit(os.getpid).result()
        except BrokenProcessPool:
            raise
        except Exception as error:  # pickling raises whatever the objects raise
            what = f"{data.train!r} cannot be sent to a process ({one_line(error)})"
            raise InputError(f"workers: {what}: leave workers out") from None
        yield replace(data, train=SpreadSamples(data.train, pool, workers))
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(samples: Samples, parent: int) -> None:
    """A worker begins; it has one thread, since there is a worker for every core that is to work."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    die_with_parent(parent)
    _SAMPLES.append(samples)


def _make(chosen: NDArray[np.int64], draw: int | None) -> Batch:
    return _SAMPLES[0].batch(chosen, draw)
