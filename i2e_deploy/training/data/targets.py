"""What samples are to give: a class by name, or values of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.listing import UNLABELLED, Listing
from i2e_deploy.datasets.name_table import read_table, values_of
from i2e_deploy.errors import InputError
from i2e_deploy.training.data.options import DataOptions


def targets_of(listing: Listing, options: DataOptions, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Targets of all samples and the names of the classes: int64 [N]; or float32 [N, V] and no names.

    Raises:
        InputError: a sample without a class, a single class, or a table that lacks a sample.
    """
    if options.values is not None:
        table = read_table(options.values, None)
        return np.array(values_of(table, listing.names, options.values), np.float32), ()
    without = np.flatnonzero(listing.labels == UNLABELLED)
    if len(without):
        raise InputError(
            f"{where}: {len(without)} of {len(listing.names)} samples are in no class, the first is "
            f"{listing.names[without[0]]!r}: expected <class>/<name>, or labels (name,label) or values in a CSV file"
        )
    if len(listing.classes) < 2:
        raise InputError(f"{where} has the one class {listing.classes[0]!r}: a network that decides needs two or more")
    return listing.labels, listing.classes
