"""What a chip is: a profile, a check, a lowering, and programs that run.

A new chip is a package with a TOML profile, a `Chip`, and an entry point in the group `i2e_deploy.chips` whose name is
the chip's and whose value is a callable `(name) -> Chip`. No other file changes. What a chip can do beyond this core
is in `abilities`, asked for by what it offers and never by its class; `testing.chip_contract` says when it is done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from i2e_deploy.chips.check import CheckReport, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.deciding import COUNT, Deciding
from i2e_deploy.chips.frames import check_array
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import PLAIN, Engine, Injection, LowerOptions, Semantics, Target
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.rules import Rule
from i2e_deploy.chips.session import RunSession, Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events.array import Events
from i2e_deploy.events.steps import count_events
from i2e_deploy.text import LayerLine, counted, layer_table, listed, said, shape_text

#: Targets that every program has, and the engine that each is.
SIMULATORS: dict[str, Engine] = {"simulator": "fast", "reference": "reference"}
SPREAD = Injection()


class Program(ABC):
    """One chip's integers: what is simulated, exported and compared. It contains no float."""

    #: (C, H, W) of one input frame.
    input_shape: tuple[int, ...]
    #: What a step can mean; every chip knows `timestep`, its own steps.
    semantics: ClassVar[tuple[str, ...]] = ("timestep",)
    #: Where it runs; `KIND:NAME` says that KIND takes a name, e.g. of a board.
    targets: ClassVar[tuple[str, ...]] = ("simulator", "reference")

    @property
    @abstractmethod
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in network order."""

    @property
    def latencies(self) -> Mapping[str, int]:
        """By layer, steps by which what it sends is later than in the float network that it was made of; else 0."""
        return {}

    @property
    def deciding(self) -> Deciding:
        """How its output becomes a decision: `Trace.decisions` of its runs follow it."""
        return COUNT

    def decided_by(self, deciding: Deciding) -> Program:
        """The same program, whose output is read another way.

        Args:
            deciding: an empty `layer` or `variable` stands for the membrane potential of the output layer.

        Raises:
            UnsupportedError: programs of this chip are read in one way alone.
            InputError: it reads what the program does not have, or in groups into which the outputs do not fall.
        """
        if deciding == self.deciding:
            return self
        raise UnsupportedError(f"readout {deciding}: programs of this chip are read by {self.deciding.kind} alone")

    @abstractmethod
    def run(
        self,
        frames: Integers,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        states: States | None = None,
    ) -> Trace:
        """Simulate from a fresh state, or on from where an earlier run ended.

        A run cut in time into pieces, each started from the `Trace.states` of the one before, equals the whole.

        Args:
            frames: integers [B, T, C, H, W], event counts >= 0.
            semantics: what a step means, one of `semantics`.
            engine: `"fast"`, or `"reference"` for the slow definition; the results are equal.
            states: `Trace.states` of an earlier run of this program with the same B; None: where the program
                starts, which is zero unless it says otherwise.

        Raises:
            InputError: wrong shape or dtype, negative counts, unknown semantics or engine, states of another
                program or batch.
        """

    @abstractmethod
    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """Arrays by name and JSON-able data, from which `Chip.program` makes an equal program."""

    def __repr__(self) -> str:
        layers = f"{counted(len(self.layer_names), 'layer')}: {listed(self.layer_names)}"
        return said(self, f"input {shape_text(self.input_shape)}", layers)

    def layer_lines(self) -> Sequence[LayerLine]:
        """The layers in `summary`, in network order; a chip says more than their names."""
        return [LayerLine(name) for name in self.layer_names]

    def summary(self) -> str:
        """What it is, then a line a layer: name, kind, shape of the output, parameters; as aligned text."""
        return layer_table(f"{type(self).__name__}: input {shape_text(self.input_shape)}", self.layer_lines())

    def session(self, semantics: Semantics = "timestep") -> Session:
        """A session from a fresh state, to run a step at a time.

        Raises:
            InputError: at the first step, see `run`.
        """
        return RunSession(self.run, semantics)

    def in_steps(self, given: Integers | Events, step_us: int) -> Integers:
        """Frames as they are; a recording counted into steps, [1, T, C, H, W].

        Raises:
            InputError: see `count_events`, or a program that takes no images.
        """
        check_array(given)
        if given.dtype.names is None:
            return cast("Integers", given)
        if len(self.input_shape) != 3:
            raise InputError(f"this program takes {list(self.input_shape)} values, not images: give frames (.npy)")
        channels, height, width = self.input_shape
        return count_events(cast("Events", given), (channels, height, width), step_us)

    def simulate(
        self,
        given: Integers | Events,
        semantics: Semantics = "timestep",
        engine: Engine = "fast",
        injection: Injection = SPREAD,
        states: States | None = None,
    ) -> Trace:
        """Run frames, or a recording: in its own order and at its own times where the semantics have any.

        Args:
            given: frames as `run` takes them, or an event array.
            injection: how frames become events, and the duration of a step.
            states: see `run`.

        Raises:
            InputError: see `run` and `in_steps`.
        """
        return self.run(self.in_steps(given, injection.step_us), semantics, engine, states)

    def run_on(
        self,
        target: Target,
        given: Integers | Events,
        semantics: Semantics = "timestep",
        injection: Injection = SPREAD,
    ) -> Trace:
        """Run on one of `targets`, each sample from a fresh state; see `simulate` for the arguments.

        Raises:
            UnsupportedError: no such target for this chip.
            MissingDependency: the vendor's software is not installed.
        """
        if target in SIMULATORS:
            return self.simulate(given, semantics, SIMULATORS[target], injection)
        kind, _, name = target.partition(":")
        if kind not in self.targets or (name and f"{kind}:NAME" not in self.targets):
            raise UnsupportedError(f"target {target!r}: choose one of {', '.join(self.targets)}")
        return self.run_elsewhere(kind, name, given, semantics, injection)

    def run_elsewhere(
        self, kind: str, name: str, given: Integers | Events, semantics: Semantics, injection: Injection
    ) -> Trace:
        """Run on a target of the chip's own; see `run_on`, which has looked `kind` up in `targets`."""
        raise UnsupportedError(f"target {kind!r}: programs of this chip run on the simulator only")

    def semantics_on(self, target: Target, semantics: Semantics) -> Semantics:
        """The semantics that a run on `target` has when `semantics` is asked for: a chip may know only one."""
        return semantics


class Chip(ABC):
    """One chip, known by its profile."""

    profile: Profile
    #: Names of the fields of `LowerOptions` that this chip knows.
    lower_options: ClassVar[frozenset[str]] = frozenset()
    #: By ability that this chip cannot have, why; for the error of who asks for it.
    why_not: ClassVar[Mapping[str, str]] = {}
    #: What its findings mean, see `rules.load_rules`; without them findings have no codes.
    rules: tuple[Rule, ...] = ()

    @abstractmethod
    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        """Every layer against every rule, and the placement on cores. Never raises for what it finds.

        Args:
            options: see `lower`.
            program: what was made of the network, if not by `lower`: its integers are looked at.
        """

    @abstractmethod
    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> Program:
        """The network as this chip's integers.

        Args:
            options: fields that are not in `lower_options` must be left at their defaults.

        Raises:
            UnsupportedError: a layer has no counterpart on the chip; every such layer is named. Or an option that
                this chip does not know.
            CheckFailed: with `split`, it does not help.
        """

    @abstractmethod
    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> Program:
        """The inverse of `Program.to_tensors`.

        Raises:
            FileFormatError: the arrays or data are not those of a program of this chip.
        """

    def costs(
        self,
        program: Program,
        given: Integers | Events,
        injection: Injection = SPREAD,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs | None:
        """What the program is expected to cost on the chip; None: nothing is known of this chip, or of this run.

        Args:
            given: see `Program.simulate`.
            injection: order of events and duration of a step, for chips whose input has a time of its own.
            trace: of these inputs on the simulator, where there is one already.
            cores: of every layer, for chips with one layer a core; None: as the chip chooses them.

        Raises:
            InputError: see `Program.simulate`.
        """
        return None

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        """Files in the chip's own terms that a bundle carries, by name; none by default."""
        return {}

    def refuse_unknown(self, options: LowerOptions) -> None:
        """Raise UnsupportedError where an option asks for what this chip does not have."""
        unknown = [name for name in options.given() if name not in self.lower_options]
        if unknown:
            known = ", ".join(sorted(self.lower_options)) or "none"
            raise UnsupportedError(
                f"{self.profile.name} has no option {', '.join(unknown)} for lowering (it has: {known}); leave it out"
            )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.profile.name!r}, {len(self.profile.cores)} cores)"
