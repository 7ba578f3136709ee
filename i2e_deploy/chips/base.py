"""What a chip is: a profile, a check, a lowering, and programs that run.

A new chip is a TOML profile, a package, and an entry point in the group `i2e_deploy.chips` whose name is
the chip's and whose value is a callable `(name) -> Chip`. No other file changes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from i2e_deploy.chips.check import CheckReport, Finding, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.session import Session
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import AnyNetwork

ENTRY_POINTS = "i2e_deploy.chips"
#: Most events of one pixel in one step: far above any camera, and sums of them stay exact.
MAX_COUNT = 2**20


class Program(ABC):
    """One chip's integers: what is simulated, exported and compared. It contains no float."""

    #: (C, H, W) of one input frame.
    input_shape: tuple[int, ...]

    @property
    @abstractmethod
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in network order."""

    @abstractmethod
    def run(
        self,
        frames: Integers,
        semantics: str = "timestep",
        engine: str = "fast",
        states: States | None = None,
    ) -> Trace:
        """Simulate from a fresh state, or on from where an earlier run ended.

        A run cut in time into pieces, each started from the `Trace.states` of the one before, equals the whole.

        Args:
            frames: integers [B, T, C, H, W], event counts >= 0.
            semantics: what a step means; each chip names its own.
            engine: `"fast"`, or `"reference"` for the slow definition; the results are equal.
            states: `Trace.states` of an earlier run of this program with the same B; None: all zero.

        Raises:
            InputError: wrong shape or dtype, negative counts, unknown semantics or engine, states of another
                program or batch.
        """

    def session(self, semantics: str = "timestep") -> Session:
        """A session from a fresh state, to run a step at a time.

        Raises:
            InputError: at the first step, see `run`.
        """
        return Session(self, semantics)

    def run_on(self, target: str, frames: Integers, semantics: str = "timestep", step_us: int = 1000) -> Trace:
        """Run on the vendor's software (`"lava"`) or on the chip (`"board"`, `"board:NAME"`); see `run`.

        Args:
            step_us: duration of a step, for chips whose input has a time of its own.

        Raises:
            UnsupportedError: no such target for this chip.
            MissingDependency: the vendor's software is not installed.
        """
        raise UnsupportedError(f"target {target!r}: programs of this chip run on the simulator only")

    def semantics_on(self, target: str, semantics: str) -> str:
        """The semantics that a run on `target` has when `semantics` is asked for: a chip may know only one."""
        return semantics

    @abstractmethod
    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        """Arrays by name and JSON-able data, from which `Chip.program` makes an equal program."""


class Chip(ABC):
    """One chip, known by its profile."""

    profile: Profile

    @abstractmethod
    def check(self, network: AnyNetwork) -> CheckReport:
        """Every layer against every rule, and the placement on cores. Never raises for what it finds."""

    @abstractmethod
    def lower(self, network: AnyNetwork) -> Program:
        """The network as this chip's integers.

        Raises:
            UnsupportedError: a layer has no counterpart on the chip; every such layer is named.
        """

    def check_on(self, network: AnyNetwork, frames: Integers) -> tuple[Finding, ...]:
        """What only a run on frames that stand for the use can show; nothing by default.

        Args:
            network: as for `lower`.
            frames: see `Program.run`.

        Raises:
            UnsupportedError: see `lower`.
            InputError: see `Program.run`.
        """
        return ()

    def calibrated(self, path: Path) -> Chip:
        """This chip with the power coefficients of one board, which `costs` then knows.

        Raises:
            UnsupportedError: no board of this chip is calibrated.
            InputError: no such file, one that holds no coefficients, or those of another chip.
        """
        raise UnsupportedError(f"{path} holds power coefficients: {self.profile.name} takes none; leave it out")

    def costs(
        self,
        program: Program,
        frames: Integers,
        step_us: int = 1000,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs | None:
        """What the program is expected to cost on the chip; None: nothing is known of this chip.

        Args:
            frames: see `Program.run`.
            step_us: duration of a step, for chips whose input has a time of its own.
            trace: of these frames on the simulator, as the chip would run them, where there is one already.
            cores: of every layer, for chips with one layer a core; None: as the chip chooses them.

        Raises:
            InputError: see `Program.run`.
        """
        return None

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        """Files in the chip's own terms that a bundle carries, by name; none by default."""
        return {}

    @abstractmethod
    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> Program:
        """The inverse of `Program.to_tensors`.

        Raises:
            FileFormatError: the arrays or data are not those of a program of this chip.
        """


def chip_names() -> tuple[str, ...]:
    """Names of all chips, those of other installed packages included, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINTS)}))


def get(name: str) -> Chip:
    """The chip of that name, e.g. `get("speck2f")`.

    Raises:
        InputError: no such chip.
    """
    found = [point for point in entry_points(group=ENTRY_POINTS) if point.name == name]
    if not found:
        raise InputError(f"no chip {name!r}: choose one of {', '.join(chip_names())}")
    chip: Chip = found[0].load()(name)
    return chip


def check_frames(frames: Integers, input_shape: tuple[int, ...]) -> None:
    """Raise InputError unless `frames` is integers >= 0 of shape [B, T, *input_shape]."""
    wanted = f"[B, T, {', '.join(map(str, input_shape))}]"
    if frames.ndim != 2 + len(input_shape) or frames.shape[2:] != tuple(input_shape):
        raise InputError(f"frames have shape {list(frames.shape)}: this program takes {wanted}")
    if 0 in frames.shape:
        raise InputError(f"frames have shape {list(frames.shape)}: give at least one sample and one step")
    if frames.dtype.kind not in "bui":
        raise InputError(f"frames have dtype {frames.dtype}: event counts are integers; cast them first")
    if frames.dtype.kind == "i" and frames.min() < 0:
        raise InputError(f"frames hold {frames.min()}: event counts are not negative")
    if frames.dtype.itemsize > 2 and frames.max() > MAX_COUNT:
        raise InputError(f"frames hold {frames.max()}: at most {MAX_COUNT} events a pixel and step")


def check_states(states: States, shapes: Mapping[str, Mapping[str, tuple[int, ...]]], batch: int) -> None:
    """Raise InputError unless `states` has, per layer and variable of `shapes`, integers of shape [batch, *shape]."""
    for layer, variables in shapes.items():
        for name, shape in variables.items():
            value = states.get(layer, {}).get(name)
            if value is None:
                raise InputError(
                    f"states lack {name!r} of layer {layer!r}: give the `states` of a trace of this program"
                )
            if value.shape != (batch, *shape) or value.dtype.kind not in "iu":
                raise InputError(
                    f"state {name!r} of layer {layer!r} is {value.dtype} {list(value.shape)}, "
                    f"expected integers {[batch, *shape]}"
                )
