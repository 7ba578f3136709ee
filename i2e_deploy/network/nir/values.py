"""Numbers of a node: whole ones, pairs, float32 arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.op import Array, Pair

#: Strides, paddings, sides.
MOST = 2**16


def whole(node: Guarded, name: str, low: int, high: int) -> NDArray[np.int64]:
    """Whole numbers of any shape, flat: a fraction is refused, not cut."""
    numbers = node.numbers(name).reshape(-1)
    if (numbers != np.floor(numbers)).any() or numbers.min() < low or numbers.max() > high:
        raise node.error(f"holds {numbers.min():g}..{numbers.max():g}: whole numbers of {low}..{high} can be", name)
    return numbers.astype(np.int64)


def one_whole(node: Guarded, name: str, low: int, high: int) -> int:
    """One whole number."""
    values = whole(node, name, low, high)
    if len(values) != 1:
        raise node.error(f"holds {len(values)} numbers, expected one", name)
    return int(values[0])


def pair(node: Guarded, name: str, low: int) -> Pair:
    """(vertical, horizontal) of two numbers or of one for both."""
    values = whole(node, name, low, MOST).tolist()
    if len(values) not in (1, 2):
        raise node.error(f"holds {len(values)} numbers, expected one or two", name)
    return values[0], values[-1]


def array(node: Guarded, name: str) -> Array:
    """float32 of any shape."""
    with np.errstate(over="ignore"):
        return node.numbers(name).astype(np.float32)


def bias(node: Guarded) -> Array | None:
    """A bias; zeros are none."""
    found = array(node, "bias") if "bias" in node else None
    return found if found is not None and (found.any() or found.ndim != 1) else None
