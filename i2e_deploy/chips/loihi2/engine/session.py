"""A session on `Stream`: planned once, so that a step costs what the engine's own single step costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.frames import check_states
from i2e_deploy.chips.loihi2.engine.inputs import flat_frames, semantics_named
from i2e_deploy.chips.loihi2.engine.simulator import Stream
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.loihi2.reference.neurons import state_shapes
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, LayerCounts, States


class StreamSession(Session):
    """See `Session`. The first step plans the network; a start costs no more than zeros, or the states given.

    Args:
        network: what runs.
        semantics: see `LoihiProgram.run`.
    """

    def __init__(self, network: BlockNetwork, semantics: str) -> None:
        self._network, self._semantics = network, semantics
        self._states: States | None = None
        self._stream: Stream | None = None
        #: The stream from the first step after `start` on; until then `_states` says all.
        self._running: Stream | None = None

    def start(self, state: States | None = None) -> None:
        """See `Session.start`."""
        self._states, self._running = state, None

    def state(self) -> States | None:
        """See `Session.state`."""
        return self._states if self._running is None else self._running.states()

    def step(self, frame: Integers) -> NDArray[np.int32]:
        """See `Session.step`; any shape of as many values is taken, as by `LoihiProgram.run`."""
        semantics = semantics_named(self._semantics)
        flat = flat_frames(frame[None, None], self._network)
        self._running = self._running or self._started(semantics)
        output: NDArray[np.int32] = self._running.advance(flat)[0, 0]
        return output

    def counts(self) -> Mapping[str, LayerCounts]:
        """See `Session.counts`."""
        return {} if self._running is None else self._running.counts()

    def _started(self, semantics: str) -> Stream:
        """The stream, where the next step goes on from."""
        if self._stream is None:
            self._stream = Stream(self._network, 1, semantics, resumes=True)
        if self._states is not None:
            check_states(self._states, state_shapes(self._stream.layers), 1)
        self._stream.start(self._states)
        return self._stream
