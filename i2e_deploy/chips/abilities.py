"""What a chip, or a program of it, may offer beyond the core: protocols, asked for with `isinstance` or `require`.

A chip has an ability when it has the methods; it declares nothing, and nobody asks for its class.

| ability | of a | what it gives |
|---|---|---|
| `FitsItself` | chip | `check --apply`: the smallest changes after which a network fits |
| `PlacesByLoad` | chip | `check --input`, `export --input`: cores chosen by what each layer does on given input |
| `LimitsRates` | chip | `train --limits chip`: synaptic operations a second that the core of each layer can do |
| `ChecksStates` | chip | `check --input`: findings that only a run can show |
| `SpreadsOverBoards` | chip | `check --board`: how many chips of a board a network takes, and what would make it fit |
| `CalibratesPower` | chip | `calibrate-power`, `--power-coefficients` |
| `TakesIntegers` | chip | networks that are its integers from the start, and their files |
| `ReadsWithOptions` | chip | `--read NAME=VALUE`: what these files leave open |
| `OffersRecipes` | chip | `train --recipe`: networks that fit it, at any input size and number of classes |
| `AnswersQuestions` | chip | `probe`, `--board-file`: what a board says of the points that public text leaves open |
| `RunsRecordings` | program | recordings in their own order and at their own times |
| `VariesOpenPoints` | program | `simulate --bound`: how far undocumented points move the output |
| `MakesJobs` | program | `export --job`, `evaluate --target results.zip`: samples for a board that is elsewhere |
| `ReplaysRecords` | chip | `compare --record NAME`: what a real chip gave, beside ours |
| `SeesPictures` | chip | `--eye`: I2E on the chip, pictures in, events straight into the network |
| `TakesPictures` | program | pictures shown to such a program |
| `ShowsConnections` | program | `evaluate --neurobench`: its weights, neurons and what reaches them, to be counted |
| `HasCamera` | program | `live --target board`, `evaluate ... SCENE`: the chip's own camera feeds its cores |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.answers import BoardAnswers
from i2e_deploy.chips.base import Chip, Program
from i2e_deploy.chips.check import CheckReport, Finding
from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.eye import Eye
from i2e_deploy.chips.integers import AnyNetwork, IntegerNetwork
from i2e_deploy.chips.jobs import Job, Returned
from i2e_deploy.chips.options import PLAIN, Engine, Injection, LowerOptions
from i2e_deploy.chips.plans import Plan
from i2e_deploy.chips.recorded import Recorded
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.conversion.vectors import Kernels
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.network.graph import Network

A = TypeVar("A")
#: left, top, width, height in pixels of a camera.
Part = tuple[int, int, int, int]


class Change(Protocol):
    """One change of a network: the layer, what it was and what it becomes."""

    @property
    def layer(self) -> str: ...  # noqa: D102
    @property
    def was(self) -> str: ...  # noqa: D102
    @property
    def becomes(self) -> str: ...  # noqa: D102
    @property
    def retrain(self) -> bool: ...  # noqa: D102


class Step(Protocol):
    """A change as it was made: how, and (before, after) of its weights and neurons."""

    @property
    def change(self) -> Change: ...  # noqa: D102
    @property
    def how(self) -> str: ...  # noqa: D102
    @property
    def weights(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def neurons(self) -> tuple[int, int]: ...  # noqa: D102


class Fitted(Protocol):
    """A network that fits, and the changes that led to it: `split` and `retrain` say what it still needs."""

    @property
    def network(self) -> Network: ...  # noqa: D102
    @property
    def steps(self) -> Sequence[Step]: ...  # noqa: D102
    @property
    def split(self) -> bool: ...  # noqa: D102
    @property
    def retrain(self) -> bool: ...  # noqa: D102
    @property
    def summary(self) -> str: ...  # noqa: D102
    def to_dict(self) -> dict[str, Any]: ...  # noqa: D102


@runtime_checkable
class FitsItself(Protocol):
    """A chip that finds the smallest changes after which a network fits."""

    def make_fit(self, network: AnyNetwork, frames: Integers | None = None) -> Fitted:
        """The changed network; `frames` [B, T, C, H, W] are typical of its use.

        Raises:
            CheckFailed: no such changes were found.
        """


@runtime_checkable
class PlacesByLoad(Protocol):
    """A chip that chooses cores by what each layer does on given input."""

    def check_under_load(
        self,
        network: AnyNetwork,
        program: Program,
        given: Integers | Events,
        options: LowerOptions,
        injection: Injection,
    ) -> tuple[CheckReport, Trace]:
        """The check of `program` again, with the load that `given` makes; and the trace of that run."""


@runtime_checkable
class LimitsRates(Protocol):
    """A chip whose cores do so many synaptic operations a second, and stall or lose events beyond."""

    def synop_rates(
        self, network: AnyNetwork, program: Program, given: Integers | Events, injection: Injection
    ) -> Mapping[str, float]:
        """By layer of `program`, which was made of `network`: the rate of the core that it is placed on by its load.

        Args:
            given: frames [B, T, C, H, W] or a recording, typical of the use.

        Raises:
            UnsupportedError: the network does not fit on the cores.
            InputError: see `Program.simulate`.
        """


@runtime_checkable
class ChecksStates(Protocol):
    """A chip with findings that only a run can show, such as the headroom of its states."""

    def findings_on(
        self, network: AnyNetwork, frames: Integers, options: LowerOptions = PLAIN, program: Program | None = None
    ) -> tuple[Finding, ...]:
        """Findings of a run on frames [B, T, C, H, W] that are typical of the use.

        Args:
            options, program: see `Chip.check`.

        Raises:
            UnsupportedError: see `Chip.lower`.
            InputError: see `Program.run`.
        """


@runtime_checkable
class SpreadsOverBoards(Protocol):
    """A chip of which boards have several, so that a network may be spread over them."""

    def board_findings(self, program: Program, board: str) -> tuple[Finding, ...]:
        """Chips and cores that a program takes on a board of the profile: an error where it has fewer.

        Raises:
            InputError: the profile has no board of that name.
        """


@runtime_checkable
class CalibratesPower(Protocol):
    """A chip whose power is calibrated on one board."""

    def calibrated(self, path: Path) -> Chip:
        """This chip with the power coefficients in a file, which `costs` then knows.

        Raises:
            InputError: no such file, one that holds no coefficients, or those of another chip.
        """

    def calibrate_power(self, readings: Sequence[Path], out: Path, source: str) -> Mapping[str, Any]:
        """Fit energy per operation to readings of a board, and write the coefficients.

        Returns:
            `idle_w`, `synop_j`, `spike_j`, `residual_w`, `readings`, `source`.

        Raises:
            InputError: too few readings, or readings that differ too little.
        """


class Asked(Protocol):
    """A question that a board can be asked: its name, what is not known, and the alternatives."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def asks(self) -> str: ...  # noqa: D102
    @property
    def alternatives(self) -> tuple[str, ...]: ...  # noqa: D102


@runtime_checkable
class AnswersQuestions(Protocol):
    """A chip whose boards can be asked about the points that public text leaves open."""

    #: Where they are reached, e.g. `board` or `board:NAME`.
    probe_targets: ClassVar[tuple[str, ...]]

    def questions(self) -> Sequence[Asked]:
        """All of them, in the order in which they are asked."""

    def probe(
        self, target: str, repeats: int | None, only: Sequence[str], progress: Callable[[int, str], None]
    ) -> BoardAnswers:
        """Ask.

        Args:
            target: one of `probe_targets`.
            repeats: of each question, 3 to 1000; None: as many as make sense on that target.
            only: names of questions; none: all.
            progress: called with the number of questions done and the name of the next.

        Raises:
            InputError: no such target or question.
            MissingDependency, BoardNotFound, SourceLost: see the target.
        """

    def as_answered(self, answers: BoardAnswers) -> Chip:
        """This chip as that board answered: its costs, and what it lowers, follow the answers.

        Raises:
            InputError: answers of another chip.
        """

    def settle(self, program: Program) -> Program:
        """A program of this chip as the board of `as_answered` runs it."""

    def told(self) -> tuple[str, ...]:
        """What of the board's answers is used and what is not, a sentence each; nothing without answers."""


@runtime_checkable
class TakesIntegers(Protocol):
    """A chip with networks that are its integers from the start."""

    #: Endings of their files, e.g. `.net`.
    integer_suffixes: ClassVar[tuple[str, ...]]
    #: See `IntegerNetwork.kind`.
    integer_kind: ClassVar[str]

    def read_integers(self, path: Path, input_shape: tuple[int, ...] | None = None) -> IntegerNetwork:
        """Read such a file; `input_shape` for one that does not say it.

        Raises:
            InputError: no such file.
            FileFormatError: damaged, or not of this kind.
        """

    def from_module(
        self, module: Any, input_shape: tuple[int, ...] | None = None, example: Any = None
    ) -> IntegerNetwork:
        """A trained module of the chip's own training library.

        Args:
            example: frames [B, T, *input_shape] on which the module's own forward and the program must agree; None:
                not compared.

        Raises:
            UnsupportedError: a layer that cannot run exactly on the chip, or that gives something else there.
            InputError: the module is not one of that library.
        """

    def pack_integers(self, network: IntegerNetwork) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Arrays by name and JSON-able data, from which `unpack_integers` makes an equal network."""

    def unpack_integers(self, tensors: Mapping[str, Any], data: Mapping[str, Any]) -> IntegerNetwork:
        """The inverse of `pack_integers`.

        Raises:
            FileFormatError: a key, a type, a shape or a range is wrong.
        """


@runtime_checkable
class ReadsWithOptions(Protocol):
    """A `TakesIntegers` whose files leave open what options say."""

    #: By name what makes an option's value of a text (ValueError: it is none).
    read_options: ClassVar[Mapping[str, Callable[[str], Any]]]

    def read_integers(self, path: Path, input_shape: tuple[int, ...] | None = None, **options: Any) -> IntegerNetwork:
        """See `TakesIntegers.read_integers`."""


@runtime_checkable
class OffersRecipes(Protocol):
    """A chip that proposes networks by name, sized so that they fit."""

    #: What each recipe is, in a line, by name; the first is what is taken where none is asked for.
    recipes: ClassVar[Mapping[str, str]]

    def plan(self, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
        """The recipe for inputs (C, H, W); a network of this shape passes `check`.

        Raises:
            InputError: no such recipe, or sizes below 1.
            UnsupportedError: no network of this recipe fits for such inputs and classes.
        """


@runtime_checkable
class RunsRecordings(Protocol):
    """A program that takes events one by one, each in its own order and at its own time."""

    def run_events(
        self,
        given: Integers | Events,
        engine: Engine = "fast",
        states: States | None = None,
        options: Injection | None = None,
    ) -> Trace:
        """Frames by `options`, or a recording as one sample, from its first event on."""

    def run_recordings(
        self, recordings: Sequence[Events], steps: int, options: Injection | None = None, engine: Engine = "fast"
    ) -> Trace:
        """A sample a recording; times count from 0 and end after `steps` steps."""


@runtime_checkable
class VariesOpenPoints(Protocol):
    """A program of a chip with points that no public text settles."""

    def bound(self, given: Integers | Events, options: Injection) -> Any:
        """Run every alternative: `variants` (name, changed, largest_shift), `samples`, `firm`, `to_dict()`."""


@runtime_checkable
class MakesJobs(Protocol):
    """A program that can be carried to a machine with a board on which this project is not."""

    def job(
        self, chip: str, given: Integers | Events, injection: Injection, cores: Mapping[str, int] | None = None
    ) -> Job:
        """What a script needs to run these samples on that chip.

        Args:
            chip: name of its profile.
            given: frames [B, T, C, H, W], or one recording.
            injection: order of the events of frames, and duration of a step.
            cores: of every layer, as it was placed; None: the chip chooses.

        Raises:
            UnsupportedError: no script runs this program.
        """

    def trace_of_job(self, returned: Returned, given: Integers | Events, job: Job, injection: Injection) -> Trace:
        """The trace of what came back of `job`, which was made of `given` and `injection`.

        Raises:
            FileFormatError: an array is missing, or is none that the script writes.
        """


@runtime_checkable
class ReplaysRecords(Protocol):
    """A chip with public records of silicon whose network and input can be run again."""

    #: Names of those records, as the profile has them.
    replayable: ClassVar[tuple[str, ...]]
    #: The semantics of the chip itself.
    own_semantics: ClassVar[str]

    def replay_record(self, name: str, records: Path | None, data: Path | None, semantics: str) -> tuple[Recorded, ...]:
        """What the chip gave, and what we compute in that semantics.

        Args:
            name: one of `replayable`.
            records, data: folders of the records, and of the recordings that went in; None: not named.

        Raises:
            InputError: a file is not there, or an unknown semantics.
            FileFormatError: a file is not of the record.
        """


@runtime_checkable
class SeesPictures(Protocol):
    """A chip that makes the events of pictures itself (I2E), for the networks that run on it."""

    def with_eye(
        self, program: Program, ratio: Fraction | float | str, kernels: Kernels | None = None, channels: int = 3
    ) -> Program:
        """The program with an eye before it: what it computes of pictures is what `program` computes of their events.

        It has the ability `TakesPictures`.

        Args:
            program: takes frames (2, H, W).
            ratio: S_th0, see `conversion.as_ratio`.
            kernels: the moves of the eye, see `conversion.convert`; None: the canonical eight.
            channels: 3: pictures are red, green and blue; 1: they are V, the largest of the three, by the host.

        Raises:
            InputError: the program takes no such frames, or has an eye; or a wrong ratio or kernels.
            UnsupportedError: more steps than the chip can tell apart, or a network that does not stand still meanwhile.
        """


@runtime_checkable
class TakesPictures(Protocol):
    """A program with an eye: frames are pictures."""

    @property
    def eye(self) -> Eye:
        """What it sees, and how."""

    def frames_of(self, images: NDArray[np.uint8] | NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
        """Images as `conversion.convert` takes them, as frames [B, T, *input_shape] of this program.

        Raises:
            InputError: wrong shape, dtype or range of values, or pictures of another size.
        """

    def see(
        self,
        images: NDArray[np.uint8] | NDArray[np.floating[Any]],
        semantics: str = "timestep",
        engine: Engine = "fast",
    ) -> Trace:
        """A run from zero on images, until the last of what they cause has left: [B, T + `deciding.lag`, ...].

        Raises:
            InputError: see `frames_of` and `Program.run`.
        """


@runtime_checkable
class ShowsConnections(Protocol):
    """A program that shows what its layers are made of, so that figures can count it."""

    def connections(self) -> Sequence[Connection]:
        """All synapses, layer by layer."""

    def populations(self) -> Sequence[Population]:
        """All neurons, in network order."""

    def reaching(self, frames: Integers, spikes: Mapping[str, Integers]) -> Sequence[Integers]:
        """What reaches each of `connections` in every step, [B, T, *shape].

        Args:
            frames: as `Program.run` takes them, [B, T, *input_shape].
            spikes: `Trace.spikes` of that run.
        """


class Seen(Protocol):
    """What a chip's camera sent since the last read: its events, and the board's time when this read began."""

    @property
    def pixels(self) -> Events: ...  # noqa: D102
    @property
    def now_us(self) -> int: ...  # noqa: D102


class Camera(Protocol):
    """A program that runs on a board, fed by the board's own camera; a context manager, which starts it."""

    #: Irregularities of the run, counted by kind.
    incidents: Counter[str]

    def __enter__(self) -> Camera: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def quiet_us(self) -> int:
        """The longest time that spikes take to the host, us."""

    def elapsed_us(self) -> int:
        """Time of the board, as the host computes it."""

    def read(self, timeout: float) -> Seen:
        """What has arrived: at once if there is something, else after `timeout` seconds.

        Raises:
            SourceLost: the board went away or stopped answering.
        """

    def window(self, start_us: int, end_us: int, steps: int) -> tuple[Trace, int]:
        """Output spikes of a window as a trace of `steps` steps, and how many came too late for the one before."""


@runtime_checkable
class HasCamera(Protocol):
    """A program of a chip with a camera on it."""

    #: Scheme of the camera's scenes in `evaluate`, e.g. `speck`, and its (width, height).
    camera_scheme: ClassVar[str]
    camera_size: ClassVar[tuple[int, int]]

    def on_camera(self, part: Part | None = None) -> Program:
        """The program with the chip's own pixels as its input.

        Raises:
            UnsupportedError: the camera does not have these pixels.
            InputError: a part outside the camera.
        """

    def open_camera(self, board: str | None, step_us: int, pixels: bool, part: Part | None = None) -> Camera:
        """The camera of the first free board, or of `board`; `pixels`: send its own events too."""

    def watch(
        self, steps: int, board: str | None, step_us: int, pixels: bool, part: Part | None = None
    ) -> tuple[Trace, Events]:
        """Let the chip see for `steps` steps, from zero states: its trace, and the camera's own events."""


def require(thing: object, ability: type[A], wanted: str) -> A:
    """`thing`, which must have the ability.

    Args:
        wanted: what the user asked for, for the error, e.g. "--apply".

    Raises:
        UnsupportedError: it does not have it.
    """
    if isinstance(thing, ability):
        return thing
    chip = thing.profile.name if isinstance(thing, Chip) else "the chip of this program"
    why = thing.why_not.get(ability.__name__, "") if isinstance(thing, Chip) else ""
    because = f": {why}" if why else ""
    raise UnsupportedError(f"{wanted}: {chip} does not offer that ({ability.__name__}){because}; leave it out")
