"""The float network: plain frozen records, neutral between chips and training libraries.

Arrays are float32 NumPy, layouts are torch's: `[C_out, C_in / groups, kH, kW]`, `[out, in]`. Shapes of
activations leave out batch and time: `(C, H, W)` or `(N,)`. Pairs are `(vertical, horizontal)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.network.op import Array, Op, Pair, Shape, State, as_given, image_input, left_over, one_input

if TYPE_CHECKING:
    from torch import Tensor

#: What n spikes take from the state: n thresholds, or all of it.
ResetMode = Literal["subtract", "zero"]
#: What a pooling window gives.
Pooling = Literal["sum", "average"]
#: Range of thresholds and bounds: float32 with room for products.
SMALLEST, LARGEST = 1e-30, 1e30
#: Values of one activation or of one kernel written out, at most; far above any chip.
MAX_VALUES = 2**26
#: Spikes of a neuron in a step, at most: traces hold 32 bits.
MAX_SPIKES = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Conv2d(Op):
    """Two-dimensional cross-correlation (torch's Conv2d) with zero padding."""

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

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

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (C_out, h, w)."""
        channels, *size = image_input(given)
        if channels != self.weight.shape[1] * self.groups:
            raise InputError(f"takes {self.weight.shape[1] * self.groups} channels and is given {channels}")
        reach = [d * (k - 1) + 1 for k, d in zip(self.weight.shape[2:], self.dilation, strict=True)]
        if self.weight.shape[0] * channels * prod(reach) > MAX_VALUES:
            raise InputError(f"has a kernel of {reach} with dilation: at most {MAX_VALUES} weights in all")
        window = zip(size, reach, self.stride, self.padding, strict=True)
        out = [(n + 2 * p - r) // s + 1 for n, r, s, p in window]
        left_over(size, out)
        return (self.weight.shape[0], *out)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        from torch.nn.functional import conv2d

        (x,) = given
        weight, bias = as_given(self.weight, x), as_given(self.bias, x)
        assert weight is not None
        return conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        out, inside, kh, kw = self.weight.shape
        extras = [f"stride {_pair(self.stride)}"] if self.stride != (1, 1) else []
        extras += [f"{self.groups} groups"] if self.groups > 1 else []
        return " ".join([f"Conv {inside * self.groups}->{out} {kh}x{kw}", *extras])

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """Fully connected layer on a flat input."""

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        _check_weights(self.weight, self.bias, 2)

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (N_out,)."""
        shape = one_input(given)
        if shape != self.weight.shape[1:]:
            hint = ": put a Flatten before it" if len(shape) > 1 else ""
            raise InputError(f"takes {self.weight.shape[1]} inputs and is given shape {shape}{hint}")
        return tuple(self.weight.shape[:1])

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        from torch.nn.functional import linear

        (x,) = given
        weight = as_given(self.weight, x)
        assert weight is not None
        return linear(x, weight, as_given(self.bias, x)), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        return f"Linear {self.weight.shape[1]}->{self.weight.shape[0]}"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


@dataclass(frozen=True)
class IntegrateAndFire(Op):
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
    reset: ResetMode = "subtract"

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

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        return one_input(given)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`: integrate, fire, reset, and only then hold the state at the lower bound."""
        (x,) = given
        v = state["v_mem"] + x if state else x
        spikes = (v / self.threshold).trunc().clamp(min=0, max=self.max_spikes)
        v = v - spikes * self.threshold if self.reset == "subtract" else v * (spikes == 0)
        if self.min_v is not None:  # a sum, as sinabs' lif_forward_single: a maximum rounds otherwise in float32
            v = (v - self.min_v).clamp(min=0) + self.min_v
        return spikes, {"v_mem": v}

    def describe(self) -> str:
        """See `Op.describe`."""
        return f"IF threshold {self.threshold:g}, reset {self.reset}"


@dataclass(frozen=True)
class Pool2d(Op):
    """Pooling over windows that do not overlap (stride = kernel); a rest at the border is dropped."""

    kernel: Pair
    kind: Pooling = "average"

    def __post_init__(self) -> None:
        _check_pair("pooling kernel", self.kernel, 1)
        if self.kind not in ("sum", "average"):
            raise InputError(f"kind of pooling is {self.kind!r}: choose 'sum' or 'average'")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (C, H // vertical, W // horizontal)."""
        channels, *size = image_input(given)
        out = [n // k for n, k in zip(size, self.kernel, strict=True)]
        left_over(size, out)
        return (channels, *out)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        from torch.nn.functional import avg_pool2d

        (x,) = given
        return avg_pool2d(x, self.kernel, divisor_override=1 if self.kind == "sum" else None), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        return f"{self.kind.capitalize()}Pool {_pair(self.kernel)}"


@dataclass(frozen=True)
class Flatten(Op):
    """(C, H, W) to (C * H * W,), C outermost, as torch does."""

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (N,)."""
        return (prod(one_input(given)),)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        return given[0].flatten(1), {}


@dataclass(frozen=True)
class Add(Op):
    """Elementwise sum of two or more inputs of one shape."""

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its inputs."""
        if len(given) < 2 or len(set(given)) > 1:
            raise InputError(f"adds inputs of shapes {list(given)}: they must be two or more, and equal")
        return given[0]

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        total, *rest = given
        for other in rest:
            total = total + other
        return total, {}


def _pair(pair: Pair) -> str:
    return "x".join(map(str, pair))


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
