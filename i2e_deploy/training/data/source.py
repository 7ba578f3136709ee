"""A data set before it is divided: which samples there are, and how any of them become a part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.listing import UNLABELLED, Listing
from i2e_deploy.datasets.name_table import read_table, values_of
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr
from i2e_deploy.training.data.options import DataOptions
from i2e_deploy.training.samples import Samples


@dataclass(frozen=True, eq=False)
class Source:
    """What an opener of one kind of data gives.

    Args:
        listing: all samples.
        part: numbers of samples in the listing, int64 [N], and their targets to a part of the data set.
        input_shape, steps, step_us, notes, preprocessing: see `TrainingData`.
        files: what each sample was cut from, where that may be the same of several.
        values: float32 [N, V] or [N, T, V] of a regression, where the data hold them.
    """

    listing: Listing
    part: Callable[[NDArray[np.int64], NDArray[Any]], Samples]
    input_shape: tuple[int, int, int]
    steps: int
    step_us: int | None
    notes: Sequence[str]
    preprocessing: Mapping[str, Any]
    files: Sequence[str] | None = None
    values: NDArray[np.float32] | None = field(default=None)

    __repr__ = record_repr


def targets_of(source: Source, options: DataOptions, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Targets of all samples and the names of the classes: int64 [N]; or float32 and no names.

    Raises:
        InputError: a sample without a class, a single class, or a table that lacks a sample.
    """
    listing = source.listing
    if options.values is not None:
        names = source.files or listing.names
        once = tuple(dict.fromkeys(names))
        found = dict(zip(once, values_of(read_table(options.values, None), once, options.values), strict=True))
        return np.array([found[name] for name in names], np.float32), ()
    if source.values is not None:
        return source.values, ()
    without = np.flatnonzero(listing.labels == UNLABELLED)
    if len(without):
        raise InputError(
            f"{where}: {len(without)} of {len(listing.names)} samples are in no class, the first is "
            f"{listing.names[without[0]]!r}: expected <class>/<name>, or labels (name,label) or values in a CSV file"
        )
    if len(listing.classes) < 2:
        raise InputError(f"{where} has the one class {listing.classes[0]!r}: a network that decides needs two or more")
    return listing.labels, listing.classes
