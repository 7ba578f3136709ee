"""The neurons of the chip as a kind of layer, for networks that are trained with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from i2e_deploy.errors import InputError
from i2e_deploy.network.op import Op, Shape, State, one_input

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class TernaryNeuron(Op):
    """Neurons behind weights of -1, 0 and 1: at most one spike a step, then back to zero.

    Args:
        threshold: 0 to 126; a neuron fires where its state is above it.
        leak: 0 to 127; what a state loses towards zero at the start of every step.

    Raises:
        InputError: a value out of range.
    """

    threshold: int
    leak: int = 0

    def __post_init__(self) -> None:
        for name, high in (("threshold", 126), ("leak", 127)):
            value = getattr(self, name)
            if type(value) is not int or not 0 <= value <= high:
                raise InputError(f"{name} of ternary neurons is {value!r}: give a whole number from 0 to {high}")

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        return one_input(given)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        (x,) = given
        v = x if not state else state["v"].sign() * (state["v"].abs() - self.leak).clamp(min=0) + x
        spikes = (v > self.threshold).to(x)
        return spikes, {"v": v * (spikes == 0)}
