"""A DYNAP-CNN program as the contract wants it: the integers of `program`, and what runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from i2e_deploy.chips.abilities import Part
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.deciding import Deciding
from i2e_deploy.chips.dynapcnn.estimates import connections as counted
from i2e_deploy.chips.dynapcnn.formats.program_file import to_tensors
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.frames import check_array, check_frames
from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.options import Engine, Injection, Semantics, Target
from i2e_deploy.chips.session import RunSession, Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.events import Events

if TYPE_CHECKING:
    from i2e_deploy.chips.dynapcnn.estimates.bound import Bound
    from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
    from i2e_deploy.chips.dynapcnn.targets.board.camera import ChipCamera
    from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions


@dataclass(frozen=True, eq=False, repr=False)
class DynapcnnProgram(CoreNetwork, Program):
    """A `CoreNetwork` that runs: in time steps and as events, on the simulator and on a board.

    Args:
        settled: values of `EventOptions` that one board answered (`probing`), by name: runs as events take them where
            they are given no `EventOptions`, and `bound` does not vary them.
    """

    semantics: ClassVar[tuple[str, ...]] = ("timestep", "event")
    targets: ClassVar[tuple[str, ...]] = ("simulator", "reference", "board", "board:NAME")
    camera_scheme: ClassVar[str] = "speck"
    #: Width and height of the pixels of Speck2e and Speck2f (Speck Dev Kit Datasheet, Aug 2023, 2.2).
    camera_size: ClassVar[tuple[int, int]] = (128, 128)

    settled: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, network: CoreNetwork) -> DynapcnnProgram:
        """A network that runs."""
        return cls(**{each.name: getattr(network, each.name) for each in fields(CoreNetwork)})

    @property
    def layer_names(self) -> tuple[str, ...]:
        """See `Program.layer_names`."""
        return tuple(layer.name for layer in self.layers)

    def options_of(self, injection: Injection | None) -> EventOptions:
        """How the events of `injection` run: with the chip's defaults, or as the board answered."""
        from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions

        return EventOptions.of(injection, self.settled)

    def decided_by(self, deciding: Deciding) -> DynapcnnProgram:
        """See `Program.decided_by`."""
        if deciding.of_state:
            deciding = replace(deciding, layer=self.outputs[0].layer, variable=deciding.variable or "v_mem")
        return replace(self, deciding=deciding)

    def run(
        self,
        frames: Integers,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        states: States | None = None,
        options: Injection | None = None,
    ) -> Trace:
        """See `Program.run`.

        `semantics="timestep"` equals Sinabs' discretised network bit for bit; `"event"` is the asynchronous chip
        as documented, with `options` (`EventOptions`) for what is not.

        Raises:
            UnsupportedError: a decimator or an event filter in `timestep`.
        """
        from i2e_deploy.chips.dynapcnn.engine.run import run

        return run(self, frames, semantics, engine, states, self.options_of(options))

    def run_events(
        self,
        given: Integers | Events,
        engine: Engine = "fast",
        states: States | None = None,
        options: Injection | None = None,
    ) -> Trace:
        """Frames as `run(semantics="event")`, or a recording, each event at its own time: a `Trace` with one sample.

        Args:
            given: frames, or at least one event; the first is the start of time, a step lasts `options.step_us`.

        Raises:
            InputError: an event outside the input, or see `run`.
        """
        from i2e_deploy.chips.dynapcnn.engine.run import run_as_events

        return run_as_events(self, given, engine, states, self.options_of(options))

    def run_recordings(
        self, recordings: Sequence[Events], steps: int, options: Injection | None = None, engine: Engine = "fast"
    ) -> Trace:
        """A sample a recording; times count from 0 and end after `steps` steps of `options.step_us`.

        Raises:
            InputError: no recordings, no steps, or an event outside the input of the network.
        """
        from i2e_deploy.chips.dynapcnn.engine.run import run_timed

        return run_timed(self, recordings, steps, self.options_of(options), engine)

    def simulate(
        self,
        given: Integers | Events,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        injection: Injection = Injection(),  # noqa: B008 - frozen
        states: States | None = None,
    ) -> Trace:
        """See `Program.simulate`: as events, a recording keeps its own order and times."""
        if semantics == "event":
            return self.run_events(given, engine, states, injection)
        return super().simulate(given, semantics, engine, injection, states)

    def in_steps(self, given: Integers | Events, step_us: int) -> Integers:
        """See `Program.in_steps`; a sensor that merges polarities takes them as one."""
        check_array(given)
        return super().in_steps(given if given.dtype.names is None else self.merged(cast("Events", given)), step_us)

    def run_elsewhere(
        self, kind: str, name: str, given: Integers | Events, semantics: Semantics, injection: Injection
    ) -> Trace:
        """See `Program.run_on`: `board` is a Speck board through samna; unverified on silicon.

        The chip is asynchronous, whatever `semantics` says; a recording runs at its own times, as in `run_events`.
        """
        return self.run_on_board(given, self._board_options(injection, name or None))

    def run_on_board(self, given: Integers | Events, options: BoardOptions) -> Trace:
        """Run on a board, with all that can be said of it; see `targets.board.run.run_board`."""
        from i2e_deploy.chips.dynapcnn.targets.board.run import run_board

        check_array(given)
        if given.dtype.names is None:
            check_frames(cast("Integers", given), self.input_shape)
        return run_board(self, given, options)

    def semantics_on(self, target: Target, semantics: Semantics) -> Semantics:
        """See `Program.semantics_on`: the chip itself knows no steps."""
        return "event" if target.partition(":")[0] == "board" else semantics

    def session(self, semantics: Semantics = "timestep") -> Session:
        """See `Program.session`."""
        from i2e_deploy.chips.dynapcnn.engine.timestep.session import TimestepSession

        if semantics != "timestep" or self.counts_events or self.sensor is not None or self.readout is not None:
            return RunSession(self.run, semantics)
        return TimestepSession(self)

    def job(
        self, chip: str, given: Integers | Events, injection: Injection, cores: Mapping[str, int] | None = None
    ) -> Job:
        """See `MakesJobs.job` and `targets.board.job`."""
        from i2e_deploy.chips.dynapcnn.targets.board.job import make_job

        return make_job(self, chip, given, self._board_options(injection), cores)

    def trace_of_job(self, returned: Returned, given: Integers | Events, job: Job, injection: Injection) -> Trace:
        """See `MakesJobs.trace_of_job`."""
        from i2e_deploy.chips.dynapcnn.targets.board.job import job_trace

        return job_trace(self, returned, job, self._board_options(injection))

    def _board_options(self, injection: Injection, name: str | None = None) -> BoardOptions:
        from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions

        return BoardOptions(name=name, events=self.options_of(injection))

    def bound(self, given: Integers | Events, options: Injection) -> Bound:
        """How far what public text leaves open moves the output; see `estimates.bound`."""
        from i2e_deploy.chips.dynapcnn.estimates.bound import bound

        return bound(self, given, self.options_of(options), settled=self.settled)

    def on_camera(self, part: Part | None = None) -> DynapcnnProgram:
        """The program with the chip's own pixels as its input; see `targets.board.on_camera`."""
        from i2e_deploy.chips.dynapcnn.targets.board.on_camera import on_camera

        return replace(self, **vars(on_camera(self, part)))

    def open_camera(self, board: str | None, step_us: int, pixels: bool, part: Part | None = None) -> ChipCamera:
        """See `HasCamera.open_camera`."""
        from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
        from i2e_deploy.chips.dynapcnn.targets.board.camera import ChipCamera
        from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions

        return ChipCamera(self.on_camera(part), BoardOptions(board, events=EventOptions(step_us=step_us)), pixels)

    def watch(
        self, steps: int, board: str | None, step_us: int, pixels: bool, part: Part | None = None
    ) -> tuple[Trace, Events]:
        """See `HasCamera.watch`."""
        from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
        from i2e_deploy.chips.dynapcnn.targets.board.camera import watch
        from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions

        seen = watch(self.on_camera(part), steps, BoardOptions(board, events=EventOptions(step_us=step_us)), pixels)
        return seen.trace, seen.pixels

    def connections(self) -> tuple[Connection, ...]:
        """See `ShowsConnections.connections`."""
        return counted.connections(self)

    def populations(self) -> tuple[Population, ...]:
        """See `ShowsConnections.populations`."""
        return counted.populations(self)

    def reaching(self, frames: Integers, spikes: Mapping[str, Integers]) -> tuple[Integers, ...]:
        """See `ShowsConnections.reaching`."""
        return counted.reaching(self, frames, spikes)

    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """See `Program.to_tensors`."""
        return to_tensors(self)
