"""Checks of what a layer of a network is given: weights, pairs of whole numbers, and limits on sizes."""

from __future__ import annotations

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.network.op import Array, Pair, Shape

#: Values of one activation or of one kernel written out, at most; far above any chip.
MAX_VALUES = 2**26


def pair_text(pair: Pair) -> str:
    """`3x3`."""
    return "x".join(map(str, pair))


def check_weights(weight: Array, bias: Array | None, dimensions: int) -> None:
    """Weights and bias are finite float32 of these dimensions, the bias one value an output; else InputError."""
    for name, array, wanted in (("weight", weight, dimensions), ("bias", bias, 1)):
        if array is None:
            continue
        if array.dtype != np.float32 or array.ndim != wanted or not array.size:
            raise InputError(f"{name} is {array.dtype} {array.shape}: expected float32 with {wanted} dimensions")
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds values that are not finite: was the training stable?")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InputError(f"bias has {bias.size} values for {weight.shape[0]} outputs")


def check_pair(name: str, pair: Pair, lowest: int) -> None:
    """Two whole numbers, each `lowest` at least; else InputError."""
    if not isinstance(pair, tuple) or len(pair) != 2 or any(type(n) is not int or n < lowest for n in pair):
        raise InputError(f"{name} is {pair!r}: give two whole numbers from {lowest}")


def spreads(given: Shape, shape: Shape) -> bool:
    """Whether an array spreads over values of `shape` as NumPy does, without making more of them."""
    try:
        return np.broadcast_shapes(given, shape) == shape
    except ValueError:
        return False
