"""Split a range of independent jobs over threads. The kernels release the interpreter lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

#: Work below this many elementary operations is done at once: handing it over costs about 30 us.
WORTHWHILE = 400_000


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """One pool a process and size; a forked child makes its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix="loihi2")


def worthwhile(work: float) -> bool:
    """Whether so many elementary operations pay for threads."""
    return work >= WORTHWHILE


class Workers:
    """Runs `function(lo, hi, part)` over parts of a range; parts are numbered from 0 and fewer than `threads`."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or os.cpu_count() or 1

    def split(self, function: Callable[[int, int, int], int], count: int, align: int = 1) -> int:
        """The sum of what the parts return; parts start at multiples of `align`."""
        parts = min(self.threads, -(-count // align))
        if parts < 2:
            return int(function(0, count, 0))
        step = -(-count // (parts * align)) * align
        bounds = [(lo, min(count, lo + step)) for lo in range(0, count, step)]
        pool = _pool(self.threads, os.getpid())
        futures = [pool.submit(function, *ends, part) for part, ends in enumerate(bounds[1:], 1)]
        first = function(*bounds[0], 0)
        return int(first) + sum(int(future.result()) for future in futures)
