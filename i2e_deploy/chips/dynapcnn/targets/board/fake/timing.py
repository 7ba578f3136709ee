"""When spikes leave the fake chip: a queue before every core, and one before the host.

As `estimates.congestion` has it, with what a core began before carried over to the next events.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.estimates.congestion import queue_ends, work_by_stimulus
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event import as_spikes, merge
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import Spikes, Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character
from i2e_deploy.network import INPUT

#: Cores that compute in parallel.
PARALLEL = (0, 1)
Times = NDArray[np.float64]


class Timing:
    """The queues, empty at first, on the stop watch's clock."""

    def __init__(self, character: Character, options: EventOptions) -> None:
        self._character, self._options = character, options
        self._free: dict[str, float] = {}
        self._out_free = 0.0

    def done(self, program: CoreNetwork, stimuli: Stimuli, spikes: Mapping[str, Spikes]) -> dict[str, Times]:
        """By core, when its work on each stimulus ends, microseconds."""
        start = stimuli["t"].astype(np.float64)
        known, done = {INPUT: as_spikes(stimuli), **spikes}, {INPUT: start}
        for layer in program.layers:
            work = work_by_stimulus(layer, merge(program, layer, known, self._options), len(stimuli))
            parallel = int(layer.name) in PARALLEL
            rate = self._character.parallel_rate if parallel else self._character.synops_rate
            arrival = np.max([done[source.layer] for source in layer.sources], axis=0) + self._character.core_us
            arrival = np.maximum(arrival, self._free.get(layer.name, 0.0))
            done[layer.name] = queue_ends(arrival, work * (1e6 / rate))
            self._free[layer.name] = float(done[layer.name][-1])
        return done

    def leave(self, times: list[float]) -> list[int | None]:
        """When spikes that were ready at these times, in order, leave for the host; None: it was lost."""
        gap, found = 1e6 / self._character.events_rate, list[int | None]()
        for ready in times:
            begins = max(self._out_free, ready)
            if gap and (begins - ready) / gap > self._character.queue:
                found.append(None)
                continue
            self._out_free = begins + gap
            found.append(round(self._out_free))
        return found
