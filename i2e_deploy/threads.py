"""How many threads an engine takes, and one pool for all engines. Results never depend on either."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
#: Most threads of the pool; they start when there is work for them.
MOST = 256


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """Torch's number where torch is loaded; before that the one it would start with, from OMP_NUM_THREADS or the cores.

    `torch.set_num_threads` sets the threads of our engines too. Nobody can have called it before torch is loaded, and
    loading torch to ask takes longer than a small run.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    cores = usable_cores()
    return min(int(wanted), cores) if wanted.isdecimal() and int(wanted) else cores


def on_threads(function: Callable[[T], R], items: Sequence[T], threads: int) -> list[R]:
    """`function` of each item, in order, on at most `threads` threads, this one included.

    It must release the interpreter's lock to gain by that. Items are begun in order. After an error none is begun; of
    several errors that of the first item is raised.
    """
    if min(threads, len(items)) < 2:
        return [function(item) for item in items]
    waiting, done, failed = iter(range(len(items))), dict[int, R](), dict[int, BaseException]()

    def work() -> None:
        i = 0
        try:
            for i in waiting:  # the interpreter's lock guards it
                done[i] = function(items[i])
        except BaseException as error:  # raised below
            failed[i] = error
            deque(waiting, maxlen=0)

    helpers = [_pool(os.getpid()).submit(work) for _ in range(min(threads, len(items)) - 1)]
    work()
    for helper in helpers:
        if not helper.cancel():  # one that has not begun finds no work
            helper.result()
    if failed:
        raise failed[min(failed)]
    return [done[i] for i in range(len(items))]


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """Of this process: in a forked child the threads of its parent do not run."""
    return ThreadPoolExecutor(MOST, thread_name_prefix="i2e-deploy")
