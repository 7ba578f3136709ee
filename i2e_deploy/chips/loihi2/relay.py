"""A neuron for Loihi 2's programmable pipeline that carries a value: a sum of a residual network, or a difference.

It keeps nothing from step to step: what arrives, with a bias, is cut to its bounds and sent on as a message. lava-nc
0.10.0 sends sums in this way (`proc/sdn/models.py:31-57`, without bounds); how the chip's program would be written is
not public: `check` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from i2e_deploy.chips.loihi2.neuron import Ints, Limits, Neuron
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

#: Largest magnitude of a 24-bit word.
WHOLE = 2**23 - 1


def _least() -> Ints:
    return np.full(1, -WHOLE)


def _most() -> Ints:
    return np.full(1, WHOLE)


@dataclass(frozen=True, eq=False)
class Relay(Neuron):
    """Sends what arrives in this step, in every step: no spikes, no memory.

    One step: `v = a + bias` (not shifted by 6 as in leaky neurons) clipped to 24 bits, then to `lowest..highest`; the
    message is `v >> shift`, rounding down, clipped to `bits`. Both clips of words are counted as saturations, the
    bounds are not: they are what the neuron computes.

    Args:
        shift: 0..22: bits of the value that the message leaves out.
        bits: 2..24: of a message, the sign included.
        lowest, highest: int64 [1], [C] or [N], bounds of the value: 0 and none make a rectifier, 0 and 0 a neuron that
            never sends.

    Raises:
        InputError: a value that is out of its range, or a lowest above its highest.
    """

    variables, membrane = ("v",), "v"
    by_neuron = True
    arrays: ClassVar[Limits] = {"lowest": (-WHOLE, WHOLE), "highest": (-WHOLE, WHOLE)}
    integers: ClassVar[Limits] = {"shift": (0, 22), "bits": (2, 24)}

    shift: int = 0
    bits: int = 24
    lowest: Ints = field(default_factory=_least)
    highest: Ints = field(default_factory=_most)

    __repr__ = record_repr

    def __post_init__(self) -> None:
        for name, (low, high) in self.integers.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise InputError(f"{name} is {value!r}: give a whole number in {low}..{high}")
        for name, (low, high) in self.arrays.items():
            values = getattr(self, name)
            fits = values.ndim == 1 and values.size and values.dtype.kind in "iu"
            if not fits or values.min() < low or values.max() > high:
                raise InputError(f"{name} is {values}: give integers [1], [C] or [N] in {low}..{high}")
        same = 1 in (self.lowest.size, self.highest.size) or self.lowest.size == self.highest.size
        if same and bool((self.lowest > self.highest).any()):
            raise InputError("lowest is above highest: give bounds with room between them, or equal ones")

    @property
    def sends_values(self) -> bool:
        """Whether a message may hold something else than 1: always."""
        return True

    @property
    def sent(self) -> str:
        """What a message holds, in words."""
        return "its sum" if self.lowest.min() < 0 else "its sum where that is above 0"

    def beyond_standard(self) -> list[str]:
        """What the standard neuron (`CubaLif`) cannot do, in words."""
        return [f"sends {self.sent} in every step"]


#: Neurons that need a program of their own on the chip.
Programmable = ProgrammableLif | Relay


def message_step(neuron: Neuron) -> float | None:
    """What one step of a message is worth, in steps of the weights that made it; None: messages are spikes."""
    if isinstance(neuron, Relay):
        return 2.0**neuron.shift
    voltage = isinstance(neuron, ProgrammableLif) and neuron.sends == "voltage"
    return 2.0 ** (neuron.shift - 6) if voltage else None  # type: ignore[attr-defined]
