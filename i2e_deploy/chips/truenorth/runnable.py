"""A TrueNorth program as the contract wants it: the integers of `program`, and what runs them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.options import Engine, Injection, Semantics
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.chips.truenorth.engine.plan import Plan, make_plan
from i2e_deploy.chips.truenorth.formats.program_file import to_tensors
from i2e_deploy.chips.truenorth.program import CoreNetwork
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.text import LayerLine, counted


@dataclass(frozen=True, eq=False, repr=False)
class TrueNorthProgram(Program):
    """Cores that run; see `CoreNetwork`. A step is a tick of the chip."""

    targets: ClassVar[tuple[str, ...]] = ("simulator", "reference", "ranc")

    network: CoreNetwork

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one frame: (C, H, W) or (N,)."""
        return self.network.input_shape

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(layer.name for layer in self.network.layers)

    @property
    def latencies(self) -> dict[str, int]:
        """See `Program.latencies`: a spike takes a tick to the next core."""
        return {layer.name: layer.latency for layer in self.network.layers if layer.latency}

    @property
    def deciding(self) -> Deciding:
        """See `Program.deciding`: spikes are counted from the latency of the output on."""
        return self.network.deciding

    def decided_by(self, deciding: Deciding) -> TrueNorthProgram:
        """See `Program.decided_by`."""
        if deciding.of_state:
            raise UnsupportedError(f"readout {deciding}: what leaves TrueNorth is spikes; choose count or step")
        deciding.check(self.network.layers[-1].size)
        return TrueNorthProgram(replace(self.network, deciding=deciding))

    def layer_lines(self) -> list[LayerLine]:
        """See `Program.layer_lines`."""
        lines = []
        for layer in self.network.layers:
            cores, late = counted(layer.last - layer.first, "core"), counted(layer.latency, "tick")
            lines.append(LayerLine(layer.name, f"{cores}, {late} late", layer.shape))
        return lines

    @cached_property
    def _plan(self) -> Plan:
        return make_plan(self.network)

    def run(
        self,
        frames: Integers,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        states: States | None = None,
    ) -> Trace:
        """See `Program.run`: a line carries one bit a tick; what is lost by that is among `Trace.incidents`."""
        from i2e_deploy.chips.truenorth.engine.run import run

        trace = run(self.network, frames, semantics, engine, states, self._plan if engine == "fast" else None)
        if not (lag := self.deciding.lag):
            return trace
        none = np.zeros((len(frames), lag, *frames.shape[2:]), frames.dtype)
        on = run(self.network, none, semantics, engine, trace.states, self._plan if engine == "fast" else None)
        return replace(trace, read=np.concatenate([trace.output, on.output], axis=1)[:, lag:])

    def session(self, semantics: Semantics = "timestep") -> Session:
        """See `Program.session`."""
        from i2e_deploy.chips.truenorth.engine.session import CoreSession

        return CoreSession(self.network, semantics, self._plan)

    def run_elsewhere(
        self, kind: str, name: str, given: Integers | Events, semantics: Semantics, injection: Injection
    ) -> Trace:
        """See `Program.run_on`: `ranc` is RANC's own simulator."""
        from i2e_deploy.chips.frames import check_frames
        from i2e_deploy.chips.truenorth.targets.ranc import run_ranc

        frames = self.in_steps(given, injection.step_us)
        check_frames(frames, self.input_shape)
        flat, lag = frames.reshape(*frames.shape[:2], -1), self.deciding.lag
        if not lag:
            return run_ranc(self.network, flat)
        trace = run_ranc(self.network, flat)
        later = run_ranc(self.network, np.pad(flat, ((0, 0), (0, lag), (0, 0))))
        return replace(trace, read=later.output[:, lag:])

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        return to_tensors(self.network)
