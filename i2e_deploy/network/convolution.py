"""Convolutions over images and over rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import MAX_VALUES, check_pair, check_weights, pair_text
from i2e_deploy.network.op import Array, Op, Pair, Shape, State, as_given, image_input, left_over, one_input

if TYPE_CHECKING:
    from torch import Tensor


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
        check_weights(self.weight, self.bias, 4)
        pairs = (("stride", self.stride, 1), ("padding", self.padding, 0), ("dilation", self.dilation, 1))
        for name, pair, lowest in pairs:
            check_pair(name, pair, lowest)
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
        extras = [f"stride {pair_text(self.stride)}"] if self.stride != (1, 1) else []
        extras += [f"{self.groups} groups"] if self.groups > 1 else []
        return " ".join([f"Conv {inside * self.groups}->{out} {kh}x{kw}", *extras])

    def __repr__(self) -> str:
        return f"<{self.describe()}>"


@dataclass(frozen=True, eq=False)
class Conv1d(Op):
    """One-dimensional cross-correlation (torch's Conv1d) over (C, L), with zero padding on both sides."""

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array | None = None
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        check_weights(self.weight, self.bias, 3)
        for name, value, lowest in (
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ):
            check_pair(name, (value, value), lowest)
        if type(self.groups) is not int or self.groups < 1 or self.weight.shape[0] % self.groups:
            raise InputError(f"groups is {self.groups!r}: it must divide the {self.weight.shape[0]} output channels")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (C_out, l)."""
        shape = one_input(given)
        if len(shape) != 2:
            raise InputError(f"needs an input (C, L) and is given shape {shape}")
        channels, length = shape
        if channels != self.weight.shape[1] * self.groups:
            raise InputError(f"takes {self.weight.shape[1] * self.groups} channels and is given {channels}")
        reach = self.dilation * (self.weight.shape[2] - 1) + 1
        if self.weight.shape[0] * channels * reach > MAX_VALUES:
            raise InputError(f"has a kernel of {reach} with dilation: at most {MAX_VALUES} weights in all")
        out = (length + 2 * self.padding - reach) // self.stride + 1
        if out < 1:
            raise InputError(f"leaves nothing of an input of length {length}: output [{out}]")
        return (self.weight.shape[0], out)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        from torch.nn.functional import conv1d

        (x,) = given
        weight, bias = as_given(self.weight, x), as_given(self.bias, x)
        assert weight is not None
        return conv1d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        out, inside, size = self.weight.shape
        return f"Conv {inside * self.groups}->{out} of {size}"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"
