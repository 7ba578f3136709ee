"""Ways to run the same function over many tasks: this machine's cores, Ray, or Dask.

Each takes tasks and yields results in any order. What is computed does not depend on which is chosen;
they only carry tasks and reports.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Any, Literal, TypeVar

from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.requirements import install_command

#: What carries the tasks: processes of this machine, or a cluster.
Executor = Literal["process", "ray", "dask"]
Task = TypeVar("Task")
Result = TypeVar("Result")


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    executor: Executor = "process",
    workers: int = 1,
    address: str | None = None,
) -> Iterator[Result]:
    """Apply `function` to every task.

    Args:
        function: defined at the top of a module, so that other processes can import it.
        tasks: picklable.
        executor: `"process"` (with one worker: this process), `"ray"` or `"dask"`.
        workers: processes to start; with `address`, what the cluster has is used.
        address: of a running Ray or Dask cluster; default: start one on this machine.

    Yields:
        Results, as they come.

    Raises:
        InputError: an unknown executor, or fewer than one worker.
        MissingDependency: ray or distributed is not installed.
    """
    if workers < 1:
        raise InputError(f"number of workers is {workers}: give 1 or more")
    if executor == "process":
        return map(function, tasks) if workers == 1 else _run_processes(function, tasks, workers)
    if executor == "ray":
        return _run_ray(function, tasks, workers, address)
    if executor == "dask":
        return _run_dask(function, tasks, workers, address)
    raise InputError(f"executor is {executor!r}: give 'process', 'ray' or 'dask'")


def _run_processes(function: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[Result]:
    # Not fork: the parent may hold threads (torch, numba), and a forked child then may deadlock.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, die_with_parent, (os.getpid(),)) as pool:
        waiting = iter(tasks)
        running: set[Future[Result]] = set()
        try:
            while True:
                while len(running) < 2 * workers and (task := next(waiting, None)) is not None:
                    running.add(pool.submit(function, task))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def die_with_parent(parent: int) -> None:
    """A worker whose parent was killed would wait for tasks for ever: leave within a second."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run_ray(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, address: str | None
) -> Iterator[Result]:
    try:
        import ray
    except ImportError:
        raise MissingDependency("ray", "the executor 'ray'", install_command("ray")) from None
    if address is None:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, configure_logging=False)
    else:
        ray.init(address=address, log_to_driver=False)
    try:
        remote = ray.remote(function)
        waiting = iter(tasks)
        running: list[Any] = []
        limit = 2 * max(1, int(ray.cluster_resources().get("CPU", workers)))
        while True:
            while len(running) < limit and (task := next(waiting, None)) is not None:
                running.append(remote.remote(task))
            if not running:
                return
            done, running = ray.wait(running)
            yield from ray.get(done)
    finally:
        ray.shutdown()


def _run_dask(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, address: str | None
) -> Iterator[Result]:
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError:
        raise MissingDependency("distributed", "the executor 'dask'", install_command("distributed")) from None
    if address is not None:
        with Client(address) as client:
            yield from (future.result() for future in as_completed(client.map(function, tasks, pure=False)))
        return
    options = {"host": "127.0.0.1", "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(n_workers=workers, **options) as cluster, Client(cluster) as client:
        yield from (future.result() for future in as_completed(client.map(function, tasks, pure=False)))
