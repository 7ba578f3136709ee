"""Float layers whose populations send values: sums, differences, and the potentials of leaky integrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from i2e_deploy.errors import InputError
from i2e_deploy.network.neurons import LeakyIntegrateAndFire
from i2e_deploy.network.op import Array, Op, Shape, State, as_given, one_input

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Carried(Op):
    """What it is given, by a population that sends its sum."""

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        return one_input(given)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        return given[0], {}


@dataclass(frozen=True, eq=False)
class Rectified(Op):
    """What is above 0 of its input, where it is open: float32 1 or 0, of the input's shape."""

    arrays: ClassVar[tuple[str, ...]] = ("open",)

    open: Array

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`: that of its input."""
        if one_input(given) != self.open.shape:
            raise InputError(f"is open at {self.open.shape} and is given {one_input(given)}")
        return self.open.shape

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        (x,) = given
        gate = as_given(self.open, x)
        assert gate is not None
        return x.clamp(min=0) * gate, {}


@dataclass(frozen=True, eq=False)
class Integrating(LeakyIntegrateAndFire):
    """A leaky integrator whose potential goes on to other layers, in every step."""

    __repr__ = LeakyIntegrateAndFire.__repr__


#: They keep nothing from step to step.
VALUES = (Carried, Rectified)
#: All that send values.
GRADED = (*VALUES, Integrating)
