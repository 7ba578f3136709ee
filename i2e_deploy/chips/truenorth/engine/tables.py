"""Rows of 256 values, one a neuron, as the kernels read them: a row of one value is stored once for all cores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.program import NEURONS

#: Values that the widest vector takes at once, and how often the value of a uniform row is stored.
LANES = 32
#: Offsets of a core: 10 rows of parameters, 4 of weights, and room up to a cache line.
OFFSETS = 16


def make_table(rows: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows int32 [K, 256] each, into one flat table.

    Returns:
        table: int32 [n]; for each value of a uniform row `LANES` times that value, then all other rows whole.
        offsets: int32 [K, rows]: a multiple of `LANES`, where the row begins, and 1 more where it is whole.
    """
    first = np.stack([row[:, 0] for row in rows], axis=1)
    whole = np.stack([(row != row[:, :1]).any(axis=1) for row in rows], axis=1)
    values, which = np.unique(first[~whole], return_inverse=True)
    offsets = np.zeros(first.shape, np.int32)
    offsets[~whole] = which.reshape(-1) * LANES
    start = len(values) * LANES
    parts = [np.repeat(values, LANES)]
    for column, row in enumerate(rows):
        own = whole[:, column]
        offsets[own, column] = start + np.arange(own.sum(), dtype=np.int32) * NEURONS + 1
        start += int(own.sum()) * NEURONS
        parts.append(row[own].reshape(-1))
    return np.concatenate(parts).astype(np.int32), offsets


assert NEURONS % LANES == 0
