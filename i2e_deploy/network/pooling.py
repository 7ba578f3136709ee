"""Pooling: sums, averages and maxima of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import check_pair, pair_text
from i2e_deploy.network.op import Op, Pair, Shape, State, image_input, left_over

if TYPE_CHECKING:
    from torch import Tensor

#: What a pooling window gives.
Pooling = Literal["sum", "average"]


@dataclass(frozen=True)
class Pool2d(Op):
    """Pooling over windows that do not overlap (stride = kernel); a rest at the border is dropped."""

    kernel: Pair
    kind: Pooling = "average"

    def __post_init__(self) -> None:
        check_pair("pooling kernel", self.kernel, 1)
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
        return f"{self.kind.capitalize()}Pool {pair_text(self.kernel)}"


@dataclass(frozen=True)
class MaxPool2d(Op):
    """The largest value of each window (torch's MaxPool2d, without dilation and ceil_mode)."""

    kernel: Pair
    stride: Pair
    padding: Pair = (0, 0)

    def __post_init__(self) -> None:
        for name, pair, lowest in (
            ("kernel", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
        ):
            check_pair(f"{name} of max pooling", pair, lowest)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel, strict=True)):
            raise InputError(f"padding of max pooling is {self.padding}: at most half the kernel {self.kernel}")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: (C, h, w)."""
        channels, *size = image_input(given)
        window = zip(size, self.kernel, self.stride, self.padding, strict=True)
        out = [(n + 2 * p - k) // s + 1 for n, k, s, p in window]
        left_over(size, out)
        return (channels, *out)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        from torch.nn.functional import max_pool2d

        (x,) = given
        return max_pool2d(x, self.kernel, self.stride, self.padding), {}

    def describe(self) -> str:
        """See `Op.describe`."""
        stride = "" if self.stride == self.kernel else f" stride {pair_text(self.stride)}"
        return f"MaxPool {pair_text(self.kernel)}{stride}"
