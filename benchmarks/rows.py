"""What the short form of a benchmark gives, and the line that names the machine.

A benchmark that `check.py` runs has a function `short() -> Iterator[Row | NotRun]` of a minute or so. A row with a
peer is a ratio, measured in turns with the peer; a row without one is a figure of this machine.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Literal

Better = Literal["higher", "lower"]
#: Unit of a ratio to something measured in the same process: all other units are figures of the machine.
RATIO = "x"


@dataclass(frozen=True)
class Row:
    """One figure.

    Args:
        name: unique in its benchmark; never changes with the machine.
        value: above 0.
        unit: `RATIO`, or what the figure is in, e.g. "ns an event".
        better: which direction is faster.

    Raises:
        ValueError: the value is not a number above 0, or the direction is neither.
    """

    name: str
    value: float
    unit: str = RATIO
    better: Better = "higher"

    def __post_init__(self) -> None:
        if not (isfinite(self.value) and self.value > 0):
            raise ValueError(f"row {self.name!r} is {self.value} {self.unit}: a figure is finite and above 0")
        if self.better not in ("higher", "lower"):
            raise ValueError(f"row {self.name!r}, better {self.better!r}: choose 'higher' or 'lower'")


@dataclass(frozen=True)
class NotRun:
    """Why rows of this benchmark are not there: an optional peer, data or a device is absent."""

    reason: str


def cpu() -> str:
    """The processor's name, its family and model where Linux says them, and its vectors."""
    seen = dict(_cpuinfo())
    name = seen.get("model name") or platform.processor() or platform.machine()
    numbers = [f"{key} {seen[label]}" for key, label in (("family", "cpu family"), ("model", "model")) if label in seen]
    flags = seen.get("flags", "").split()
    vectors = ["AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"] if flags else []
    return ", ".join([name, *numbers, *vectors])


def machine() -> str:
    """One line: processor, cores, versions."""
    versions = [f"{package} {_version(package)}" for package in ("numpy", "numba", "torch")]
    return ", ".join([cpu(), f"{os.cpu_count()} cores", f"Python {platform.python_version()}", *versions])


def _cpuinfo() -> Iterator[tuple[str, str]]:
    """Label and value of the first processor in Linux's list; nothing elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                label, _, value = line.partition(":")
                if not label.strip():  # an empty line ends a processor
                    return
                yield label.strip(), value.strip()
    except OSError:
        return


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
