"""Ours beside a record of a real chip: spikes counted by neuron, and how many neurons differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError


@dataclass(frozen=True)
class BesideChip:
    """One comparison.

    Args:
        ours, chip: spikes in all.
        neurons: how many were compared.
        differing: how many of them differ.
        spikes_apart: sum of the differences, each taken as positive.
        largest: largest difference of one neuron.
    """

    ours: int
    chip: int
    neurons: int
    differing: int
    spikes_apart: int
    largest: int

    @property
    def excess(self) -> float:
        """Ours over the chip's, less one; NaN where the chip gave no spike."""
        return self.ours / self.chip - 1 if self.chip else float("nan")

    def __str__(self) -> str:
        return (
            f"chip {self.chip:,}, ours {self.ours:,} ({100 * self.excess:+.2f} %), "
            f"{self.differing:,} of {self.neurons:,} neurons differ, by {self.largest} at most"
        )


def beside_chip(ours: NDArray[Any], chip: NDArray[Any]) -> BesideChip:
    """Compare counts of spikes, neuron by neuron.

    Args:
        ours: whole numbers, any shape, e.g. `trace.spikes[layer].sum(axis=(0, 1))`, [C, H, W].
        chip: of the same shape; floats are taken where they are whole, as records are often stored.

    Raises:
        InputError: other shapes, nothing to compare, or counts that are not whole or below zero.
    """
    if ours.shape != chip.shape or not ours.size:
        raise InputError(f"counts have shapes {list(ours.shape)} and {list(chip.shape)}: give equal ones, not empty")
    for name, counts in (("ours", ours), ("the record", chip)):
        if counts.dtype.kind not in "iuf" or not np.isfinite(counts).all() or (counts < 0).any():
            raise InputError(f"counts of {name}, dtype {counts.dtype}, hold a value that is no count of 0 or more")
        if (counts != np.rint(counts)).any():
            raise InputError(f"counts of {name} hold fractions: give spikes counted, not rates")
    apart = np.abs(ours.astype(np.int64) - chip.astype(np.int64))
    return BesideChip(
        int(ours.sum()), int(chip.sum()), ours.size, int((apart > 0).sum()), int(apart.sum()), int(apart.max())
    )
