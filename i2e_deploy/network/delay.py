"""A delay of whole steps, and with it the loops of a recurrent network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.network.arguments import MAX_VALUES, spreads
from i2e_deploy.network.op import Array, Op, Shape, State, as_given, one_input

if TYPE_CHECKING:
    from torch import Tensor

#: Longest delay in steps.
MAX_DELAY = 65_535


@dataclass(frozen=True, eq=False)
class Delay(Op):
    """What it was given some steps ago; zeros before.

    A loop of a network goes through a delay of one step at least: it may stand before the layer that feeds it, and then
    it says its shape, which nothing before it does.

    Args:
        steps: float32, whole numbers from 0; one for all `()`, or spread over its input's shape as NumPy does.
        shape: of its input, where it stands before what feeds it.
    """

    arrays: ClassVar[tuple[str, ...]] = ("steps",)

    steps: Array
    shape: Shape | None = None

    def __post_init__(self) -> None:
        steps = self.steps
        if not isinstance(steps, np.ndarray) or steps.dtype != np.float32 or not steps.size:
            raise InputError(f"steps of a delay are {steps!r}: give a float32 array of whole numbers")
        if not (steps == np.rint(steps)).all() or not (steps >= 0).all() or not (steps <= MAX_DELAY).all():
            raise InputError(f"steps of a delay are {steps.min():g} to {steps.max():g}: whole ones, 0 to {MAX_DELAY}")
        sides = self.shape
        if sides is None:
            return
        if not isinstance(sides, tuple) or any(type(n) is not int for n in sides) or min(sides, default=0) < 1:
            raise InputError(f"shape of a delay is {sides!r}: give whole numbers from 1")
        if prod(sides) > MAX_VALUES or not steps.min():
            raise InputError(f"a delay in a loop has shape {sides} and {steps.min():g} steps: at least one step")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        shape = one_input(given)
        if self.shape is not None and shape != self.shape:
            raise InputError(f"says shape {list(self.shape)} and is given {list(shape)}: give it the right one")
        if not spreads(self.steps.shape, shape) or (self.steps.max() + 1) * prod(shape) > MAX_VALUES:
            raise InputError(
                f"has steps of shape {list(self.steps.shape)}, up to {self.steps.max():g}, for an input of shape "
                f"{list(shape)}: one for all or one a value, and at most {MAX_VALUES} values held"
            )
        return shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`. `held` [B, longest delay, ...]: what came before, the oldest first."""
        import torch

        (x,) = given
        longest = int(self.steps.max())
        if not longest:
            return x, {}
        held = state["held"] if state else x.new_zeros(len(x), longest, *x.shape[1:])
        row = torch.cat([held, x[:, None]], dim=1)
        steps = as_given(self.steps, x)
        assert steps is not None
        place = (longest - steps.long()).expand(x.shape[1:]).expand_as(x)
        return row.gather(1, place[:, None])[:, 0], {"held": row[:, 1:]}

    def describe(self) -> str:
        """See `Op.describe`."""
        low, high = int(self.steps.min()), int(self.steps.max())
        return f"Delay {low}" if low == high else f"Delay {low} to {high}"

    def __repr__(self) -> str:
        return f"<{self.describe()}>"
