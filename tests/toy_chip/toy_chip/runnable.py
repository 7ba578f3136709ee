"""A program of the chip as the contract wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.trace import Integers, States, Trace
from toy_chip.engine import run
from toy_chip.formats import to_tensors
from toy_chip.program import SEMANTICS, Crossbars


@dataclass(frozen=True, eq=False)
class ToyProgram(Program):
    """`Crossbars` that run."""

    semantics: ClassVar[tuple[str, ...]] = SEMANTICS

    crossbars: Crossbars

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one frame: (C, H, W) or (N,)."""
        return self.crossbars.input_shape

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(core.name for core in self.crossbars.cores)

    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        """See `Program.run`; spikes are [B, T, neurons]. A line carries one bit: a count above 1 is 1."""
        return run(self.crossbars, frames, semantics, engine, states)

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        return to_tensors(self.crossbars)
