"""Split a range of independent jobs over threads. The kernels release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable

from i2e_deploy.threads import on_threads, thread_count

#: Work below this many elementary operations is done at once: handing it over costs about 30 us.
WORTHWHILE = 400_000


def worthwhile(work: float) -> bool:
    """Whether so many elementary operations pay for threads."""
    return work >= WORTHWHILE


class Workers:
    """Runs `function(lo, hi, part)` over parts of a range; parts are numbered from 0 and fewer than `threads`."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or thread_count()

    def split(self, function: Callable[[int, int, int], int], count: int, align: int = 1) -> int:
        """The sum of what the parts return; parts start at multiples of `align`."""
        parts = min(self.threads, -(-count // align))
        if parts < 2:
            return int(function(0, count, 0))
        step = -(-count // (parts * align)) * align
        bounds = [(lo, min(count, lo + step)) for lo in range(0, count, step)]
        return sum(on_threads(lambda part: int(function(*bounds[part], part)), range(len(bounds)), self.threads))
