"""What the layers of a program are made of, for figures that count it: weights, neurons, and what reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.layers import Linear
from i2e_deploy.text import listed, record_repr, said, shape_text


@dataclass(frozen=True, eq=False)
class Connection:
    """The synapses by which one layer is fed.

    Args:
        layer: that is fed.
        op: what they compute, without bias; weights are whole numbers for a program.
        shape: of what reaches them, without batch and time, as `op` takes it.
        stored: the weights as they are deployed, in the dtype in which they are held.
    """

    layer: str
    op: Conv2d | Conv1d | Linear
    shape: tuple[int, ...]
    stored: NDArray[np.generic]

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Population:
    """The neurons of one layer.

    Args:
        layer: its name.
        shape: of what they send, without batch and time.
        membrane: the state variable that is their membrane potential.
        stored: biases, thresholds, decays and so on as they are deployed, in the dtypes in which they are held.
    """

    layer: str
    shape: tuple[int, ...]
    membrane: str
    stored: Mapping[str, NDArray[np.generic]]

    def __repr__(self) -> str:
        return said(self, repr(self.layer), f"neurons {shape_text(self.shape)}", f"stored {listed(list(self.stored))}")


def as_stored(values: Integers, even: bool = False) -> Integers:
    """Integers in the smallest signed dtype that holds them.

    Args:
        even: weights that share an exponent: a factor of two that all of them have is left out.
    """
    whole = np.asarray(values, np.int64)
    while even and whole.any() and not (whole % 2).any():
        whole = whole // 2
    low, high = int(whole.min(initial=0)), int(whole.max(initial=0))
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return whole.astype(dtype)
    return whole
