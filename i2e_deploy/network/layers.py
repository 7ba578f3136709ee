"""The float network: plain frozen records, neutral between chips and training libraries.

Arrays are float32 NumPy, layouts are torch's: `[C_out, C_in / groups, kH, kW]`, `[out, in]`. Shapes of
activations leave out batch and time: `(C, H, W)` or `(N,)`. Pairs are `(vertical, horizontal)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Pair = tuple[int, int]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Two-dimensional cross-correlation (torch's Conv2d) with zero padding."""

    weight: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1


@dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected layer on a flat input."""

    weight: Array
    bias: Array | None = None


@dataclass(frozen=True)
class IntegrateAndFire:
    """Integrate-and-fire neurons without leak.

    Args:
        threshold: spike threshold, in the units of the weights; > 0.
        min_v: lower bound of the membrane potential; None = no bound.
        max_spikes: most spikes a neuron may emit in one step; None = as many as the threshold fits in.
        reset: after n spikes, `"subtract"` takes n thresholds off, `"zero"` sets the state to zero.
    """

    threshold: float = 1.0
    min_v: float | None = None
    max_spikes: int | None = None
    reset: Literal["subtract", "zero"] = "subtract"


@dataclass(frozen=True)
class Pool2d:
    """Pooling over windows that do not overlap (stride = kernel); a rest at the border is dropped."""

    kernel: Pair
    kind: Literal["sum", "average"] = "average"


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C * H * W,), C outermost, as torch does."""


@dataclass(frozen=True)
class Add:
    """Elementwise sum of two or more inputs of one shape."""


Op = Conv2d | Linear | IntegrateAndFire | Pool2d | Flatten | Add
