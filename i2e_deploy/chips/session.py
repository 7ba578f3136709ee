"""A program run a step at a time: what live input needs, where the next step is not known yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers, LayerCounts, States

if TYPE_CHECKING:
    from i2e_deploy.chips.base import Program


class Session:
    """One stream through a program, on `Program.run`: any chip, any semantics.

    T calls of `step` equal one `Program.run` over these T steps, whatever chip: the outputs step by step, and the
    counts and the state in the end. A chip may have a faster one (`Program.session`).

    Args:
        program: what runs.
        semantics: see `Program.run`.
    """

    def __init__(self, program: Program, semantics: str) -> None:
        self._program, self._semantics = program, semantics
        self._states: States | None = None
        self._counts: dict[str, LayerCounts] = {}

    def start(self, state: Any = None) -> None:
        """Go on from what `state` returned earlier, None: from a fresh state. Counts start at 0."""
        self._states, self._counts = state, {}

    def state(self) -> Any:
        """The state now, for `start` of a session of the same program and semantics; None: fresh."""
        return self._states

    def step(self, frame: Integers) -> NDArray[np.int32]:
        """Run one step.

        Args:
            frame: integers [C, H, W], event counts >= 0.

        Returns:
            int32 [N], what left the network in this step.

        Raises:
            InputError: as `Program.run`.
        """
        trace = self._program.run(frame[None, None], self._semantics, states=self._states)
        self._states = trace.states
        for name, count in trace.counts.items():
            self._counts[name] = self._counts[name] + count if name in self._counts else count
        return np.asarray(trace.output[0, 0], np.int32)

    def counts(self) -> dict[str, LayerCounts]:
        """Totals per layer since `start`; empty before the first step."""
        return self._counts
