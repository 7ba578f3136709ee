"""A program run a step at a time: what live input needs, where the next step is not known yet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.options import Semantics
from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace
from i2e_deploy.text import counted, said


class Session(ABC):
    """One stream through a program.

    T calls of `step` equal one `Program.run` over these T steps, whatever chip: the outputs step by step, and the
    counts and the state in the end.
    """

    @abstractmethod
    def start(self, state: States | None = None) -> None:
        """Go on from what `state` returned earlier, None: from a fresh state. Counts start at 0."""

    @abstractmethod
    def state(self) -> States | None:
        """The state now, for `start` of a session of the same program and semantics; None: fresh."""

    @abstractmethod
    def step(self, frame: Integers) -> NDArray[np.int32]:
        """Run one step.

        Args:
            frame: integers [C, H, W], event counts >= 0.

        Returns:
            int32 [N], what left the network in this step.

        Raises:
            InputError: as `Program.run`.
        """

    def __repr__(self) -> str:
        counts = self.counts()
        spikes = counted(sum(count.spikes for count in counts.values()), "spike")
        return said(self, *([counted(len(counts), "layer"), f"{spikes} since its start"] if counts else ["fresh"]))

    @abstractmethod
    def counts(self) -> Mapping[str, LayerCounts]:
        """Totals per layer since `start`."""


class Run(Protocol):
    """`Program.run`, as far as a session needs it."""

    def __call__(self, frames: Integers, semantics: Semantics, *, states: States | None) -> Trace: ...  # noqa: D102


class RunSession(Session):
    """A session on whole runs of one step each: any chip, any semantics. A chip may have a faster one.

    Args:
        run: `Program.run` of the program.
        semantics: see `Program.run`.
    """

    def __init__(self, run: Run, semantics: Semantics) -> None:
        self._run, self._semantics = run, semantics
        self._states: States | None = None
        self._counts: dict[str, LayerCounts] = {}

    def start(self, state: States | None = None) -> None:
        """See `Session.start`."""
        self._states, self._counts = state, {}

    def state(self) -> States | None:
        """See `Session.state`."""
        return self._states

    def step(self, frame: Integers) -> NDArray[np.int32]:
        """See `Session.step`."""
        trace = self._run(frame[None, None], self._semantics, states=self._states)
        self._states = trace.states
        for name, count in trace.counts.items():
            self._counts[name] = self._counts[name] + count if name in self._counts else count
        return np.asarray(trace.output[0, 0], np.int32)

    def counts(self) -> dict[str, LayerCounts]:
        """See `Session.counts`; empty before the first step."""
        return self._counts
