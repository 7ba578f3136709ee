"""A Loihi 2 program as the contract wants it: the integers of `program`, and what runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import Program
from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.loihi2.estimates import connections as counted
from i2e_deploy.chips.loihi2.eye.shown import frames_of
from i2e_deploy.chips.loihi2.formats.program_file import to_tensors
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.chips.options import Engine, Injection
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.text import LayerLine

#: What a step means, see `LoihiProgram.run`.
LoihiSemantics = Literal["timestep", "chip", "lava"] | str


@dataclass(frozen=True, eq=False, repr=False)
class LoihiProgram(Program):
    """A network of integer blocks that runs; see `BlockNetwork`."""

    semantics: ClassVar[tuple[str, ...]] = ("timestep", "chip", "lava")
    targets: ClassVar[tuple[str, ...]] = ("simulator", "reference", "lava", "board")

    network: BlockNetwork

    @property
    def input_shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of one frame: (C, H, W) or (N,)."""
        return self.network.input_shape

    @property
    def deciding(self) -> Deciding:
        """See `Program.deciding`."""
        return self.network.deciding

    def decided_by(self, deciding: Deciding) -> LoihiProgram:
        """See `Program.decided_by`."""
        return replace(self, network=self.network.decided_by(deciding))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(block.name for block in self.network.blocks)

    @property
    def latencies(self) -> dict[str, int]:
        """See `Program.latencies`."""
        return {block.name: block.latency for block in self.network.blocks if block.latency}

    def layer_lines(self) -> list[LayerLine]:
        """See `Program.layer_lines`."""
        return self.network.layer_lines()

    def run(
        self,
        frames: Integers,
        semantics: LoihiSemantics = "timestep",
        engine: Engine = "fast",
        states: States | None = None,
    ) -> Trace:
        """See `Program.run`. States hold the currents in flight too, and the step where a layer has resets.

        Args:
            frames: integers [B, T, *input_shape], or any shape after [B, T] with as many values. Signed values are
                taken by networks with an input layer or `input_message_bits` > 0.
            semantics: `"chip"` (also `"timestep"`) runs the integers of the program; `"lava"` runs what netx and
                Lava's `fixed_pt` models make of them, bit for bit. They differ where `check` reports a defect.
            engine: see `Program.run`.
        """
        from i2e_deploy.chips.loihi2.engine.reading import read_late
        from i2e_deploy.chips.loihi2.engine.run import run

        trace = run(self.network, frames, semantics, engine, states)
        return replace(trace, read=read_late(self.network, trace, frames, semantics, engine, states))

    def session(self, semantics: str = "timestep") -> Session:
        """See `Program.session`; semantics as in `run`."""
        from i2e_deploy.chips.loihi2.engine.session import StreamSession

        return StreamSession(self.network, semantics)

    def run_elsewhere(
        self, kind: str, name: str, given: Integers | Events, semantics: LoihiSemantics, injection: Injection
    ) -> Trace:
        """See `Program.run_on`: `lava` is Lava's CPU models, `board` the chip through Intel's extension."""
        from i2e_deploy.chips.loihi2.engine.inputs import flat_frames, semantics_named
        from i2e_deploy.chips.loihi2.targets.lava.run import run_lava

        frames = flat_frames(self.in_steps(given, injection.step_us), self.network)
        trace = run_lava(self.network, frames, semantics_named(semantics), hardware=kind == "board")
        deciding = self.deciding
        if deciding.kind == "state-mean" or not deciding.lag:
            return trace
        longer = np.pad(frames, ((0, 0), (0, deciding.lag), (0, 0)))
        later = run_lava(self.network, longer, semantics_named(semantics), hardware=kind == "board")
        state = later.states[deciding.layer][deciding.variable] if deciding.of_state else None
        return replace(trace, read=later.output[:, deciding.lag :] if state is None else state)

    def job(
        self, chip: str, given: Integers | Events, injection: Injection, cores: Mapping[str, int] | None = None
    ) -> Job:
        """See `MakesJobs.job` and `targets.lava.job`; Intel's compiler places the layers."""
        from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
        from i2e_deploy.chips.loihi2.targets.lava.job import make_job

        return make_job(self.network, flat_frames(self.in_steps(given, injection.step_us), self.network))

    def trace_of_job(self, returned: Returned, given: Integers | Events, job: Job, injection: Injection) -> Trace:
        """See `MakesJobs.trace_of_job`."""
        from i2e_deploy.chips.loihi2.engine.inputs import flat_frames
        from i2e_deploy.chips.loihi2.targets.lava.job import job_trace

        frames = flat_frames(self.in_steps(given, injection.step_us), self.network)
        return job_trace(self.network, returned, frames)

    def connections(self) -> tuple[Connection, ...]:
        """See `ShowsConnections.connections`."""
        return counted.connections(self.network)

    def populations(self) -> tuple[Population, ...]:
        """See `ShowsConnections.populations`."""
        return counted.populations(self.network)

    def reaching(self, frames: Integers, spikes: Mapping[str, Integers]) -> tuple[Integers, ...]:
        """See `ShowsConnections.reaching`."""
        return counted.reaching(self.network, frames, spikes)

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        return to_tensors(self.network)


@dataclass(frozen=True, eq=False, repr=False)
class EyeProgram(LoihiProgram):
    """A program that makes the events of pictures itself; see `TakesPictures` and `loihi2.eye`.

    Raises:
        InputError: the network has no eye.
    """

    def __post_init__(self) -> None:
        if self.network.eye is None:
            raise InputError("the network has no eye: give it one (Loihi2Chip.with_eye)")

    @property
    def eye(self) -> Eye:
        """See `TakesPictures.eye`."""
        assert self.network.eye is not None
        return self.network.eye

    def in_steps(self, given: Integers | Events, step_us: int) -> Integers:
        """See `Program.in_steps`; a recording is refused."""
        if given.dtype.names is not None:
            raise InputError("a program with an eye takes pictures, not recordings: give these to one without")
        return super().in_steps(given, step_us)

    def frames_of(self, images: NDArray[np.uint8] | NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """See `TakesPictures.frames_of`."""
        return frames_of(self.eye, images)

    def see(
        self,
        images: NDArray[np.uint8] | NDArray[np.floating[Any]],
        semantics: str = "timestep",
        engine: Engine = "fast",
    ) -> Trace:
        """See `TakesPictures.see`."""
        from i2e_deploy.chips.loihi2.engine.run import run

        frames, deciding = self.frames_of(images), self.deciding
        later = np.zeros((len(frames), deciding.lag, *frames.shape[2:]), frames.dtype)
        whole = run(self.network, np.concatenate([frames, later], axis=1), semantics, engine)
        if deciding.kind == "state-mean":
            return replace(whole, read=self.run(frames, semantics, engine).read)
        state = whole.states[deciding.layer][deciding.variable] if deciding.of_state else None
        return replace(whole, read=whole.output[:, deciding.lag :] if state is None else state)


def program_of(network: BlockNetwork) -> LoihiProgram:
    """The program of integer blocks, with an eye or without."""
    return LoihiProgram(network) if network.eye is None else EyeProgram(network)
