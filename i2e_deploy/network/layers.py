"""Layers that combine and rearrange values: linear ones, sums, scales, shapes. See `convolution`, `pooling`, `neurons`.

The float network is of plain frozen records, neutral between chips and training libraries. Arrays are float32 NumPy,
layouts are torch's: `[C_out, C_in / groups, kH, kW]`, `[out, in]`. Shapes of activations leave out batch and time:
`(C, H, W)` or `(N,)`. Pairs are `(vertical, horizontal)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import check_weights, spreads
from i2e_deploy.network.op import Array, Op, Shape, State, as_given, one_input

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Linear(Op):
    """Fully connected layer on a flat input."""

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        check_weights(self.weight, self.bias, 2)

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


@dataclass(frozen=True)
class Concat(Op):
    """Its inputs side by side along the first axis, channels of images; the other axes must be equal."""

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (sum of C, ...)."""
        if len(given) < 2 or len({shape[1:] for shape in given}) > 1:
            raise InputError(f"joins inputs of shapes {list(given)}: two or more, equal but for the first axis")
        return (sum(shape[0] for shape in given), *given[0][1:])

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        import torch

        return torch.cat(list(given), dim=1), {}


@dataclass(frozen=True)
class Reshape(Op):
    """The same values, in the same order, in another shape (torch's Unflatten, or Flatten of some axes)."""

    shape: Shape

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple) or any(type(n) is not int or n < 1 for n in self.shape) or not self.shape:
            raise InputError(f"shape is {self.shape!r}: give whole numbers from 1")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: its own."""
        shape = one_input(given)
        if prod(shape) != prod(self.shape):
            raise InputError(f"gives shape {list(self.shape)} and is given {list(shape)}: another number of values")
        return self.shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        return given[0].reshape(len(given[0]), *self.shape), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        return f"Reshape to {'x'.join(map(str, self.shape))}"


@dataclass(frozen=True, eq=False)
class Scale(Op):
    """Each value times a factor, plus an offset; both spread over the input as NumPy does.

    Args:
        weight: float32 `()`, `(C, 1, 1)` or the input's shape.
        bias: the same; None = 0.
    """

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array | None = None

    def __post_init__(self) -> None:
        for name, array in (("weight", self.weight), ("bias", self.bias)):
            if array is not None and (array.dtype != np.float32 or not array.size or not np.isfinite(array).all()):
                raise InputError(f"{name} of a scale is {array.dtype} {array.shape}: give finite float32 values")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        shape = one_input(given)
        for array in (self.weight, self.bias):
            if array is not None and not spreads(array.shape, shape):
                raise InputError(f"scales by {list(array.shape)} an input of shape {list(shape)}: they must fit")
        return shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        (x,) = given
        weight, bias = as_given(self.weight, x), as_given(self.bias, x)
        assert weight is not None
        return weight * x if bias is None else weight * x + bias, {}

    def describe(self) -> str:
        """See `Op.describe`."""
        return "Scale" if self.bias is None else "Scale and offset"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"
