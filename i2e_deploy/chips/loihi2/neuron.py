"""What a kind of neuron is: a frozen record that knows its state and how it is written, and a register of kinds.

Compare `network.op.Op`, which does the same for layers of a float network. What a kind does in a step is in
`reference.neurons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_array, checked_integer

N = TypeVar("N", bound="Neuron")
Ints = NDArray[np.int64]
#: Least and largest value, by field.
Limits = Mapping[str, tuple[int, int]]

_KINDS: dict[str, type[Neuron]] = {}


@dataclass(frozen=True)
class Reset:
    """The state is set to zero in the steps t = 1, 2, ... with `t % interval == offset % interval`."""

    interval: int
    offset: int = 0


class Neuron:
    """One kind of neuron: a frozen dataclass, known by the name of its class, in files too."""

    #: State variables, one value a neuron, in the order in which traces have them.
    variables: ClassVar[tuple[str, ...]]
    #: The one of them that a readout by state looks at, where none is named.
    membrane: ClassVar[str]
    #: Fields and what a file may hold in them: int64 [1] or [C] from least to largest, integers alike, words.
    arrays: ClassVar[Limits] = {}
    integers: ClassVar[Limits] = {}
    words: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Arrays may also have one value a neuron, C outermost.
    by_neuron: ClassVar[bool] = False

    #: Periodic reset of the whole population; a field of the kinds that have it.
    reset: Reset | None = None

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        _KINDS[cls.__name__] = cls

    def pack(self) -> tuple[dict[str, Ints], dict[str, Any]]:
        """Arrays by field, and the other fields as JSON holds them: from these `unpack` makes an equal one."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: values.pop(name) for name in self.arrays}, values

    @classmethod
    def unpack(cls: type[N], arrays: Mapping[str, Any], options: Mapping[str, Any], channels: int, size: int) -> N:
        """The inverse of `pack`, of what a file holds; `channels` and neurons (`size`) of the population.

        Raises:
            KeyError, TypeError, ValueError: a value is missing, or wrong.
        """
        values: dict[str, Any] = {name: checked_array(arrays[name], *limits) for name, limits in cls.arrays.items()}
        for name, array in values.items():
            allowed_sizes = dict.fromkeys((1, channels, size) if cls.by_neuron else (1, channels))
            if array.ndim != 1 or len(array) not in allowed_sizes:
                expected = " or ".join(f"[{n}]" for n in allowed_sizes)
                raise ValueError(f"{name} has shape {list(array.shape)}, expected {expected}")
        for name, allowed in cls.words.items():
            if options[name] not in allowed:
                raise ValueError(f"{name} {options[name]!r}: expected one of {', '.join(allowed)}")
            values[name] = options[name]
        return cls(**values, **{name: checked_integer(options[name], *limits) for name, limits in cls.integers.items()})


def pack_reset(reset: Reset | None) -> list[int] | None:
    """As JSON holds it."""
    return None if reset is None else [reset.interval, reset.offset]


def unpack_reset(row: Any) -> Reset | None:
    """The inverse of `pack_reset`, checked."""
    return None if row is None else Reset(checked_integer(row[0], 1), checked_integer(row[1]))


def kind_of(name: str) -> type[Neuron]:
    """The kind of that name; ValueError where there is none."""
    if name not in _KINDS:
        raise ValueError(f"neurons of kind {name!r} are not known; known are {', '.join(sorted(_KINDS))}")
    return _KINDS[name]
