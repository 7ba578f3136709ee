"""A session that is planned once; large programs share their cores over threads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.frames import check_array, check_frames
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.chips.truenorth.engine.plan import Plan, make_plan
from i2e_deploy.chips.truenorth.engine.run import check_given, turned
from i2e_deploy.chips.truenorth.program import NEURONS, CoreNetwork
from i2e_deploy.chips.truenorth.reference.counts import TrueNorthCounts, layer_counts
from i2e_deploy.chips.truenorth.reference.states import Held, held, states_of
from i2e_deploy.errors import InputError
from i2e_deploy.threads import on_threads, thread_count

#: Cores from which a tick is shared over threads: handing work over takes some 30 us.
MANY = 512


class CoreSession(Session):
    """See `Session`. One step is one tick.

    Args:
        network: what runs.
        semantics: `timestep`.
        plan: of the network, where there is one already.
    """

    def __init__(self, network: CoreNetwork, semantics: str, plan: Plan | None = None) -> None:
        self._network, self._semantics, self._plan = network, semantics, plan
        self._states: States | None = None
        self._now: Held | None = None
        #: By thread, ways of the spikes of the last tick, which are delivered in the next one.
        self._sent: list[NDArray[np.int32]] = []
        self._ticks = 0

    def start(self, state: States | None = None) -> None:
        """See `Session.start`."""
        self._states, self._now, self._ticks = state, None, 0

    def state(self) -> States | None:
        """See `Session.state`."""
        from i2e_deploy.chips.truenorth.engine.kernels import deliver, end

        if self._now is None:
            return self._states
        now = self._now
        for ways in self._sent:
            deliver(0, len(self._network.cores), (self._ticks - 1) & 15, ways, now.arriving.reshape(-1))
        self._sent = []
        end(now.v.reshape(-1), self._short, self._narrow)
        return states_of(self._network, Held(now.v, turned(now.arriving, self._ticks), now.random))

    def step(self, frame: Integers) -> NDArray[np.int32]:
        """See `Session.step`."""
        from i2e_deploy.chips.truenorth.engine.kernels import feed, read

        if self._semantics != "timestep":
            raise InputError(f"semantics {self._semantics!r}: choose timestep")
        check_array(frame)
        check_frames(frame[None, None], self._network.input_shape)
        plan, now, slot = *self._begun(), self._ticks & 15
        arriving = now.arriving.reshape(-1)
        feed(frame.reshape(-1), plan.input_line, plan.input_axon, plan.input_delay, arriving, slot)
        self._cores(plan, now, slot)
        self._ticks += 1
        output = np.empty(self._network.layers[-1].size, np.uint8)
        read(self._fired, self._network.layers[-1].neurons, output)
        return output.astype(np.int32)

    def counts(self) -> Mapping[str, TrueNorthCounts]:
        """See `Session.counts`."""
        return {} if self._now is None else layer_counts(self._network, self._counts.reshape(-1, 4))

    def _begun(self) -> tuple[Plan, Held]:
        from i2e_deploy.chips.truenorth.engine.kernels import WAYS, begin

        if self._plan is None:
            self._plan = make_plan(self._network)
        if self._now is None:
            if self._states is not None:
                check_given(self._network, self._states, 1)
            self._now = held(self._network, self._states, 1)
            cores = len(self._network.cores)
            self._short, self._narrow = np.zeros(cores * NEURONS, np.int16), np.zeros(cores, np.uint8)
            begin(self._now.v.reshape(-1), self._short, self._plan.limit, self._narrow)
            self._fired = np.zeros(cores * NEURONS // 64, np.uint64)
            self._ways = np.zeros((2, cores * WAYS), np.int32)
            self._sent = []
            self._counts = np.zeros(cores * 4, np.int64)
        return self._plan, self._now

    def _cores(self, plan: Plan, now: Held, slot: int) -> None:
        from i2e_deploy.chips.truenorth.engine.kernels import WAYS, deliver, run_cores

        cores, arriving = len(self._network.cores), now.arriving.reshape(-1)
        parts = thread_count() if cores >= MANY else 1
        edges = [cores * part // parts for part in range(parts + 1)]
        # Spikes are delivered by the thread that needs them, in the next tick: threads then meet once a tick.
        before, into, v = self._sent, self._ways[self._ticks & 1], now.v.reshape(-1)

        def compute(ends: tuple[int, int]) -> NDArray[np.int32]:
            for ways in before:
                deliver(*ends, (slot - 1) & 15, ways, arriving)
            sent = into[ends[0] * WAYS : ends[1] * WAYS]
            spikes: int = run_cores(
                *ends, slot, arriving, plan.rows, plan.types, plan.table, plan.short, plan.weight, plan.offsets,
                plan.limit, plan.plain, plan.chance, plan.kind, plan.sizes, plan.owned, plan.way, v, self._short,
                self._narrow, now.random[0], self._fired, sent, self._counts,
            )  # fmt: skip
            found: NDArray[np.int32] = sent[:spikes]
            return found

        self._sent = on_threads(compute, list(pairwise(edges)), parts)
