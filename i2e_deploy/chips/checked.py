"""Values out of a file, checked one by one; who reads the file turns a ValueError into a `FileFormatError`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_integer(value: Any, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    """`value`; ValueError unless it is an integer (True is none) in low..high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r}: expected an integer in {low}..{high}")
    return value


def checked_array(array: Any, low: int, high: int, shape: tuple[int, ...] | None = None) -> NDArray[np.int64]:
    """`array` as int64; ValueError unless it holds integers in low..high, one at least, in that shape (None: any)."""
    values = np.asarray(array)
    if values.dtype.kind not in "iu" or not values.size or (shape is not None and values.shape != shape):
        raise ValueError(f"{values.dtype} of shape {values.shape}, expected integers {shape or ''}")
    if values.min() < low or values.max() > high:
        raise ValueError(f"{values.min()}..{values.max()}, allowed {low}..{high}")
    return values.astype(np.int64)


def yes_or_no(text: str) -> bool:
    """An option's value as a word; ValueError unless it is yes or no."""
    if text not in ("yes", "no"):
        raise ValueError(f"{text!r}: write yes or no")
    return text == "yes"
