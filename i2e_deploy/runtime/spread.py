"""Samples shared by processes or machines: nothing changes but the times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from i2e_deploy.chips.base import SIMULATORS
from i2e_deploy.chips.options import FLOAT
from i2e_deploy.datasets.executors import Executor, run_tasks
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.runtime.gathering import Gathered, Task, gather, together
from i2e_deploy.text import record_repr


@dataclass(frozen=True)
class Spread:
    """Where samples run: `workers` processes, or a cluster of Ray or Dask at `address` (None: one on this machine)."""

    executor: Executor = "process"
    workers: int = 1
    address: str | None = None

    __repr__ = record_repr


def spread_over(task: Task, spread: Spread, progress: Callable[[int, int], None] | None) -> Gathered:
    """A part for each worker, joined in the order of the samples."""
    for name in task.targets:
        if name not in (*SIMULATORS, FLOAT):
            raise UnsupportedError(f"target {name!r} is one machine's: only simulations are spread over workers")
    if task.chain:
        raise UnsupportedError("states that go from sample to sample cannot be spread over workers: leave one out")
    samples, batches = len(task.frames), -(-len(task.frames) // task.batch_size)
    size = -(-batches // max(1, min(spread.workers, batches))) * task.batch_size
    starts = range(0, samples, size)
    tasks = [(start, task.part(start, min(start + size, samples))) for start in starts]
    found: dict[int, Gathered] = {}
    for start, gathered in run_tasks(_gather_at, tasks, spread.executor, spread.workers, spread.address):
        found[start] = gathered
        if progress is not None:
            progress(min(samples, size * len(found)), samples)
    whole = Gathered({name: [] for name in task.targets}, {}, {})
    for start in starts:
        for name, parts in found[start].parts.items():
            whole.parts[name].extend(parts)
        for pair, difference in found[start].divergences.items():
            whole.divergences.setdefault(pair, replace(difference, sample=difference.sample + start))
        for pair, layers in found[start].apart.items():
            whole.apart[pair] = together(layers, whole.apart.get(pair, {}))
    return whole


def _gather_at(given: tuple[int, Task]) -> tuple[int, Gathered]:
    """In a process of its own."""
    start, task = given
    return start, gather(task)
