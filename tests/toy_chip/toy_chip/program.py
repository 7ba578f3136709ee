"""The integers of the chip: one matrix a core."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

#: Range of a state.
LOW, HIGH = -128, 127
#: `timestep`: a spike reaches the next core in its own step; `pipeline`: in the step after it.
SEMANTICS = ("timestep", "pipeline")


@dataclass(frozen=True, eq=False)
class Core:
    """One core.

    Args:
        name: unique in the program.
        weight: int8 [neurons, axons] of -1, 0 and 1.
        threshold: 0..126; a neuron with `v > threshold` fires, and goes back to zero.
        leak: 0..127; what a state loses towards zero at the start of every step.
    """

    name: str
    weight: NDArray[np.int8]
    threshold: int
    leak: int


@dataclass(frozen=True, eq=False)
class Crossbars:
    """Cores in a row; the last one's spikes leave the chip. `input_shape` is of one frame, without batch and time."""

    input_shape: tuple[int, ...]
    cores: tuple[Core, ...]

    @property
    def axons(self) -> int:
        """Lines into the first core."""
        return prod(self.input_shape)

    def state_shapes(self, semantics: str) -> dict[str, dict[str, tuple[int, ...]]]:
        """Of every core: `v`, and in `pipeline` the spikes on their way; shapes without the batch."""
        names = ("v", "sent") if semantics == "pipeline" else ("v",)
        return {core.name: {name: (len(core.weight),) for name in names} for core in self.cores}
