"""How many threads an engine takes."""

from __future__ import annotations

import os
import sys


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
