"""What a user may ask of any chip, as records: how events go in, and how a network is lowered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

#: `"fast"`, or `"reference"` for the slow definition; the results are equal.
Engine = Literal["fast", "reference"]
#: What a step means, see `Program.semantics`; a chip may know others.
Semantics = Literal["timestep", "event"] | str
#: Where a program runs, see `Program.targets`; a chip may have others, such as `"lava"` or `"board"`.
Target = Literal["simulator", "reference"] | str
#: The target that is no program: the float network itself, see `runtime.float_target`.
FLOAT = "float"
#: How the events of one step follow each other, where a chip takes them one by one.
Order = Literal["spread", "raster", "interleaved", "shuffled"]
#: Longest step, microseconds (a quarter of an hour): times of 2^24 of them fit 64 bits.
MAX_STEP_US = 10**9


@dataclass(frozen=True)
class Injection:
    """How frames become events, for chips and boards that take events one by one and at their own times.

    Args:
        order: order of injection of the events of one step.
        step_us: duration of a step, microseconds, 1 to 10^9.
        seed: of `order="shuffled"`.

    Raises:
        InputError: no such order, or a step out of range.
    """

    order: Order = "spread"
    step_us: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise InputError(f"event option order is {self.order!r}: choose one of {', '.join(get_args(Order))}")
        if not 1 <= self.step_us <= MAX_STEP_US:
            raise InputError(f"event option step_us is {self.step_us}: a step lasts 1 to {MAX_STEP_US} microseconds")


@dataclass(frozen=True, eq=False)
class LowerOptions:
    """What a network is lowered with; a chip names those that it knows in `Chip.lower_options`.

    Args:
        calibration: integers [B, T, C, H, W] on which the scale of each layer is chosen; None: one rule for all.
        split: put layers that find no core on two, where that makes the network fit.
        readout: threshold of the chip's own readout after the output layer; None: without it.
        standard_neurons: only what the chip's standard neuron computes: the closest form of others.
    """

    calibration: Integers | None = None
    split: bool = False
    readout: int | None = None
    standard_neurons: bool = False

    __repr__ = record_repr

    def given(self) -> tuple[str, ...]:
        """Names of the options that ask for something."""
        asked = {"calibration": self.calibration is not None, "split": self.split, "readout": self.readout is not None}
        asked["standard_neurons"] = self.standard_neurons
        return tuple(name for name, wanted in asked.items() if wanted)


PLAIN = LowerOptions()
