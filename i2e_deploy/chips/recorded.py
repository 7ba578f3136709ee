"""What a real chip gave beside what we compute, as plain data: one row a thing that was compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr


@dataclass(frozen=True, eq=False)
class Recorded:
    """One row of a record.

    Args:
        title: what was compared, e.g. "digit 3".
        unit: of the values: "spikes" where they are counts that add up, else e.g. "voltage".
        ours, chip: whole numbers of one shape; counts of neurons are [C, H, W].
    """

    title: str
    unit: str
    ours: NDArray[np.int64]
    chip: NDArray[np.int64]

    __repr__ = record_repr

    @property
    def counts(self) -> bool:
        """Whether the values are spikes, which add up to totals."""
        return self.unit == "spikes"

    @property
    def differing(self) -> int:
        """How many values differ."""
        return int((self.ours != self.chip).sum())

    @property
    def apart(self) -> int:
        """Sum of the differences, each taken as positive."""
        return int(np.abs(self.ours - self.chip).sum())

    @property
    def largest(self) -> int:
        """Largest difference of one value."""
        return int(np.abs(self.ours - self.chip).max(initial=0))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        totals = {"ours": int(self.ours.sum()), "chip": int(self.chip.sum())} if self.counts else {}
        return {
            "title": self.title, "unit": self.unit, **totals, "values": self.ours.size, "differing": self.differing,
            "apart": self.apart, "largest": self.largest,
        }  # fmt: skip


def needed(folder: Path | None, name: str, what: str) -> Path:
    """A file of a record or of the recordings that went in.

    Args:
        folder: where they are; None: nobody said.
        name: path in it.
        what: for the error, e.g. "the records (--records, I2E_DEPLOY_RECORDS)".

    Raises:
        InputError: no folder, or no such file in it.
    """
    if folder is None:
        raise InputError(f"{name} is needed: name the folder of {what}")
    if not (folder / name).is_file():
        raise InputError(f"{folder} has no {name}: give the folder of {what}")
    return folder / name
