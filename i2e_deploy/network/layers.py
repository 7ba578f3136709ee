"""The float network: plain frozen records, neutral between chips and training libraries.

Arrays are float32 NumPy, layouts are torch's: `[C_out, C_in / groups, kH, kW]`, `[out, in]`. Shapes of
activations leave out batch and time: `(C, H, W)` or `(N,)`. Pairs are `(vertical, horizontal)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.network.sensor import Sensor

Array = NDArray[np.float32]
Pair = tuple[int, int]
Shape = tuple[int, ...]

#: Range of thresholds and bounds: float32 with room for products.
SMALLEST, LARGEST = 1e-30, 1e30
#: Values of one activation or of one kernel written out, at most; a Speck core has 2^16 neurons, Loihi chips 2^20.
MAX_VALUES = 2**26
#: Spikes of a neuron in a step, at most: traces hold 32 bits.
MAX_SPIKES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Conv2d:
    """Two-dimensional cross-correlation (torch's Conv2d) with zero padding."""

    weight: Array
    bias: Array | None = None
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        _check_weights(self.weight, self.bias, 4)
        pairs = (("stride", self.stride, 1), ("padding", self.padding, 0), ("dilation", self.dilation, 1))
        for name, pair, lowest in pairs:
            _check_pair(name, pair, lowest)
        if type(self.groups) is not int or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise InputError(f"groups is {self.groups!r}: it must divide the {self.weight.shape[0]} output channels")


@dataclass(frozen=True, eq=False)
class Linear:
    """Fully connected layer on a flat input."""

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        _check_weights(self.weight, self.bias, 2)


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

    def __post_init__(self) -> None:
        if not SMALLEST <= self.threshold <= LARGEST:
            raise InputError(f"spike threshold is {self.threshold:.3g}: it must be above 0 and within float32")
        if self.min_v is not None and not -LARGEST <= self.min_v <= 0:
            raise InputError(
                f"lower bound min_v is {self.min_v:.3g}: it must be 0 or below and within float32, or None"
            )
        if self.max_spikes is not None and (type(self.max_spikes) is not int or not 1 <= self.max_spikes <= MAX_SPIKES):
            raise InputError(f"max_spikes is {self.max_spikes!r}: give a whole number from 1 to {MAX_SPIKES}, or None")
        if self.reset not in ("subtract", "zero"):
            raise InputError(f"reset is {self.reset!r}: choose 'subtract' or 'zero'")


@dataclass(frozen=True)
class Pool2d:
    """Pooling over windows that do not overlap (stride = kernel); a rest at the border is dropped."""

    kernel: Pair
    kind: Literal["sum", "average"] = "average"

    def __post_init__(self) -> None:
        _check_pair("pooling kernel", self.kernel, 1)
        if self.kind not in ("sum", "average"):
            raise InputError(f"kind of pooling is {self.kind!r}: choose 'sum' or 'average'")


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C * H * W,), C outermost, as torch does."""


@dataclass(frozen=True)
class Add:
    """Elementwise sum of two or more inputs of one shape."""


def _check_weights(weight: Array, bias: Array | None, dimensions: int) -> None:
    for name, array, wanted in (("weight", weight, dimensions), ("bias", bias, 1)):
        if array is None:
            continue
        if array.dtype != np.float32 or array.ndim != wanted or not array.size:
            raise InputError(f"{name} is {array.dtype} {array.shape}: expected float32 with {wanted} dimensions")
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds values that are not finite: was the training stable?")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise InputError(f"bias has {bias.size} values for {weight.shape[0]} outputs")


def _check_pair(name: str, pair: Pair, lowest: int) -> None:
    if not isinstance(pair, tuple) or len(pair) != 2 or any(type(n) is not int or n < lowest for n in pair):
        raise InputError(f"{name} is {pair!r}: give two whole numbers from {lowest}")


Op = Conv2d | Linear | IntegrateAndFire | Pool2d | Flatten | Add | Sensor
