"""What a kind of layer is: a frozen record that knows its output shape, what it computes in a time step and how it is
written; and a register of kinds.

Another package adds a kind by a subclass and an entry point in the group `i2e_deploy.layers`, whose name is
the class's: files that hold it are then read wherever that package is installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.float32]
Pair = tuple[int, int]
Shape = tuple[int, ...]
#: What a layer keeps from one time step to the next: variables [B, ...] by name.
State = Mapping[str, "Tensor"]

ENTRY_POINTS = "i2e_deploy.layers"
_KINDS: dict[str, type[Op]] = {}


class Op(ABC):
    """One kind of layer: a frozen dataclass, known by the name of its class, in files too."""

    #: Fields that are arrays; all others are plain data that JSON holds, tuples as lists.
    arrays: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        _KINDS[cls.__name__] = cls

    @abstractmethod
    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """Shape of the output, without batch and time.

        Args:
            given: shapes of the inputs, in order, one at least.

        Raises:
            InputError: shapes that it does not take; the message begins with what it does or needs.
        """

    @abstractmethod
    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """What it computes in one time step: the definition of the layer.

        Args:
            given: the inputs [B, ...], in order, floating point of one dtype and device.
            state: what the step before returned; empty before the first one.

        Returns:
            the output [B, ...], and the state for the next step; empty for a layer that keeps nothing.
        """

    def describe(self) -> str:
        """What it is, in a few words for people, e.g. `Conv 2->8 3x3`."""
        return type(self).__name__

    def pack(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """Arrays and options, from which `unpack` makes an equal one."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        held = {name: values.pop(name) for name in self.arrays}
        return {name: array for name, array in held.items() if array is not None}, values

    @classmethod
    def unpack(cls, arrays: Mapping[str, Array], options: Mapping[str, Any]) -> Op:
        """The inverse of `pack`, of what a file holds.

        Raises:
            InputError, TypeError: a value that it does not take.
        """
        values = {name: _tuples(value) for name, value in options.items()}
        return cls(**values, **{name: arrays.get(name) for name in cls.arrays})


def kind_of(name: str) -> type[Op]:
    """The kind of that name, from another installed package where we do not have it.

    Raises:
        InputError: no such kind.
    """
    if name not in _KINDS:
        for point in entry_points(group=ENTRY_POINTS):
            if point.name == name:
                point.load()
    if name not in _KINDS:
        raise InputError(f"layers of kind {name!r} are not known: install the package that has them")
    return _KINDS[name]


def one_input(given: Sequence[Shape]) -> Shape:
    """The only input's shape; InputError where there are several."""
    if len(given) != 1:
        raise InputError(f"has {len(given)} inputs: join them with an Add layer first")
    return given[0]


def as_given(array: Array | None, given: Tensor) -> Tensor | None:
    """Weights in the dtype and on the device of an input."""
    import torch

    if array is None:
        return None
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(given)


def image_input(given: Sequence[Shape]) -> tuple[int, int, int]:
    """The only input's (C, H, W); InputError where it is none."""
    shape = one_input(given)
    if len(shape) != 3:
        raise InputError(f"needs an input (C, H, W) and is given shape {shape}")
    return shape[0], shape[1], shape[2]


def left_over(size: Sequence[int], out: Sequence[int]) -> None:
    """Raise InputError where an output has no pixel."""
    if min(out) < 1:
        raise InputError(f"leaves nothing of an input of {size[0]}x{size[1]} pixels: output {list(out)}")


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
