"""The DYNAP-CNN family as a `Chip`: check and lowering over a profile, and what this family can do beyond that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from i2e_deploy.chips.base import SPREAD, Chip, Program
from i2e_deploy.chips.check import CheckReport, Slot
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.dynapcnn.checks import recipes
from i2e_deploy.chips.dynapcnn.checks.activity import activity_of, channel_spikes
from i2e_deploy.chips.dynapcnn.checks.examine import Asked, examine, unreadable
from i2e_deploy.chips.dynapcnn.checks.fit import Fitted, make_fit, with_proposal
from i2e_deploy.chips.dynapcnn.checks.placement import layer_rates
from i2e_deploy.chips.dynapcnn.checks.split import split_to_fit
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.lowering.quantise import Quantised, core_layer, quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange, sensor_of
from i2e_deploy.chips.dynapcnn.peripherals import Readout
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.runnable import DynapcnnProgram
from i2e_deploy.chips.integers import AnyNetwork, IntegerNetwork
from i2e_deploy.chips.options import PLAIN, Injection, LowerOptions
from i2e_deploy.chips.plans import Plan
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.recorded import Recorded
from i2e_deploy.chips.rules import load_rules
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.events import Events
from i2e_deploy.network import Network

if TYPE_CHECKING:
    from i2e_deploy.chips.abilities import Asked as Question
    from i2e_deploy.chips.answers import BoardAnswers
    from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients
    from i2e_deploy.chips.dynapcnn.probing.use import Used


class DynapcnnChip(Chip):
    """A chip of the family, by the name of its profile.

    Args:
        coefficients: of the power of one board, for `costs`.
        answers: of one board to the questions of `probing`; its programs and costs follow them.

    Raises:
        InputError: no such profile, or answers of another chip.
    """

    lower_options: ClassVar[frozenset[str]] = frozenset({"calibration", "split", "readout"})
    why_not: ClassVar[Mapping[str, str]] = {
        "SeesPictures": "its events carry no value and its thresholds are constants, so that the largest and the "
        "smallest grey level of a picture, and so the threshold, are out of reach; see docs/eye.md; convert the "
        "pictures on the host"
    }
    recipes: ClassVar[Mapping[str, str]] = recipes.RECIPES
    probe_targets: ClassVar[tuple[str, ...]] = ("board", "board:NAME", "fake-board", "fake-board:SEED")

    replayable: ClassVar[tuple[str, ...]] = ("first-layer", "four-layers", "leak")
    own_semantics: ClassVar[str] = "event"

    def __init__(
        self, name: str, coefficients: Coefficients | None = None, answers: BoardAnswers | None = None
    ) -> None:
        self.profile, self.coefficients, self.answers = load_profile(name), coefficients, answers
        self.rules = load_rules(__package__)
        if answers is None:
            return
        if answers.chip != name:
            raise InputError(f"the answers are of a board with {answers.chip}, not {name}: probe a board of it")
        used = self._used(answers)
        self.profile = used.profile(self.profile)
        self.coefficients = coefficients or used.power()

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        """See `Chip.check`."""
        return self.check_asked(network, Asked(options.split, None if program is None else _cores(program)))

    def check_under_load(
        self,
        network: AnyNetwork,
        program: Program,
        given: Integers | Events,
        options: LowerOptions = PLAIN,
        injection: Injection = SPREAD,
    ) -> tuple[CheckReport, Trace]:
        """See `PlacesByLoad`: as the asynchronous chip would run it, so that rules know the load of each core."""
        cores = self.settle(program)
        trace = cores.simulate(given, "event", injection=injection)
        return self.check_asked(network, Asked(options.split, cores, activity_of(trace, injection.step_us))), trace

    def synop_rates(
        self, network: AnyNetwork, program: Program, given: Integers | Events, injection: Injection = SPREAD
    ) -> dict[str, float]:
        """See `LimitsRates`."""
        report, _ = self.check_under_load(network, program, given, injection=injection)
        return layer_rates(report, self.profile)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> DynapcnnProgram:
        """See `Chip.lower`, and `quantise` (one scale a layer, as Sinabs) or, with `calibration`, `calibrate`."""
        if options.calibration is not None:
            from i2e_deploy.chips.dynapcnn.lowering.calibrate import calibrate

            cores = calibrate(_float(network), options.calibration)
        else:
            cores = _quantised(_float(network))
        if options.split:
            cores = split_to_fit(cores, self.profile)
        if options.readout is not None:
            cores = cores.with_readout(Readout(options.readout))
        return self.settle(DynapcnnProgram.of(cores))

    def make_fit(self, network: AnyNetwork, frames: Integers | None = None) -> Fitted:
        """See `FitsItself`; `frames` say which channels are most active, and those are kept.

        Raises:
            CheckFailed: no such changes were found.
        """
        spikes = None if frames is None else channel_spikes(self.lower(network), frames)
        return make_fit(_float(network), self.profile, spikes)

    def replay_record(self, name: str, records: Path | None, data: Path | None, semantics: str) -> tuple[Recorded, ...]:
        """See `ReplaysRecords` and `records`."""
        from i2e_deploy.chips.dynapcnn.records import REPLAYS

        return REPLAYS[name](records, data, semantics)

    def calibrated(self, path: Path) -> DynapcnnChip:
        """See `CalibratesPower` and `power_file`."""
        from i2e_deploy.chips.dynapcnn.estimates.power_file import read_coefficients

        return DynapcnnChip(self.profile.name, read_coefficients(path, self.profile.name), self.answers)

    def calibrate_power(self, readings: Sequence[Path], out: Path, source: str) -> dict[str, Any]:
        """See `CalibratesPower`, `power_file` and `power.calibrate_power`."""
        from i2e_deploy.chips.dynapcnn.estimates.power import calibrate_power
        from i2e_deploy.chips.dynapcnn.estimates.power_file import read_coefficients, read_readings, write_coefficients

        found = [reading for path in readings for reading in read_readings(path)]
        text = source or f"power monitor, {len(found)} readings in {', '.join(path.name for path in readings)}"
        write_coefficients(calibrate_power(found, text), self.profile.name, out)
        return asdict(read_coefficients(out, self.profile.name))

    def questions(self) -> Sequence[Question]:
        """See `AnswersQuestions`."""
        from i2e_deploy.chips.dynapcnn.probing.probe import questions

        return questions()

    def probe(
        self,
        target: str,
        repeats: int | None = None,
        only: Sequence[str] = (),
        progress: Callable[[int, str], None] = lambda *_: None,
    ) -> BoardAnswers:
        """See `AnswersQuestions`; `fake-board:SEED` is a fake board with hidden options drawn by that seed."""
        from i2e_deploy.chips.dynapcnn.probing.probe import REPEATS, probe_target

        return probe_target(self.profile.name, target, REPEATS if repeats is None else repeats, only, progress)

    def as_answered(self, answers: BoardAnswers) -> DynapcnnChip:
        """See `AnswersQuestions`."""
        return DynapcnnChip(self.profile.name, self.coefficients, answers)

    def settle(self, program: Program) -> DynapcnnProgram:
        """See `AnswersQuestions`."""
        runs = program if isinstance(program, DynapcnnProgram) else DynapcnnProgram.of(_cores(program))
        if self.answers is None:
            return runs
        used = self._used(self.answers)
        return replace(DynapcnnProgram.of(used.program(runs)), settled=used.options)

    def told(self) -> tuple[str, ...]:
        """See `AnswersQuestions`."""
        return () if self.answers is None else self._used(self.answers).told()

    @staticmethod
    def _used(answers: BoardAnswers) -> Used:
        from i2e_deploy.chips.dynapcnn.probing.use import use

        return use(answers)

    def costs(
        self,
        program: Program,
        given: Integers | Events,
        injection: Injection = SPREAD,
        trace: Trace | None = None,
        cores: Mapping[str, int] | None = None,
    ) -> Costs | None:
        """See `Chip.costs` and `estimates.costs`; a time-stepped trace says nothing of an asynchronous chip."""
        from i2e_deploy.chips.dynapcnn.estimates.costs import costs

        if trace is not None and trace.events is None:
            return None
        options = self.settle(program).options_of(injection)
        return costs(_cores(program), self.profile, given, options, trace, cores, self.coefficients)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> dict[str, bytes]:
        """`speck2f.json`: the chip's complete configuration, see `formats.config`."""
        from i2e_deploy.chips.dynapcnn.formats.config import build_config

        cores = {slot.layer: slot.core for slot in placement}
        data = build_config(_cores(program), cores, self.profile.name)
        return {f"{self.profile.name}.json": json.dumps(data, separators=(",", ":")).encode()}

    def plan(self, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
        """See `OffersRecipes`."""
        return recipes.plan(self.profile, recipe, input_shape, classes)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> DynapcnnProgram:
        """See `Chip.program`."""
        return self.settle(DynapcnnProgram.of(from_tensors(tensors, data)))

    def check_asked(self, network: AnyNetwork, asked: Asked) -> CheckReport:
        """The check of what is asked, e.g. of a program under a load that is known already."""
        try:
            whole = _float(network)
        except UnsupportedError as error:
            return unreadable(self.profile, error)
        report = examine(whole, self.profile, asked)
        if report.fits or not report.layers:
            return report
        return with_proposal(report, whole, self.profile)


def _cores(program: Program) -> CoreNetwork:
    if not isinstance(program, CoreNetwork):
        raise UnsupportedError(f"{type(program).__name__} is a program of another chip, not of the DYNAP-CNN family")
    return program


def _quantised(network: Network) -> CoreNetwork:
    stages, outputs = arrange(network)
    integers = [quantise(stage) for stage in stages]
    _refuse_unusable(stages, integers)
    channels, height, width = network.input_shape
    layers = tuple(core_layer(stage, q) for stage, q in zip(stages, integers, strict=True))
    return CoreNetwork((channels, height, width), layers, outputs, sensor_of(network))


def _float(network: AnyNetwork) -> Network:
    if isinstance(network, IntegerNetwork):
        raise UnsupportedError(f"this chip takes float networks of integrate-and-fire neurons, not {network.title}")
    return network


def _refuse_unusable(stages: Sequence[Stage], integers: Sequence[Quantised]) -> None:
    bad = [
        f"layer {stage.name!r}: the threshold {stage.neuron.threshold:g} rounds to 0 beside weights up to "
        f"{np.abs(stage.weight).max():g} and lower bound {stage.neuron.min_v}: "
        + (
            "min_v_mem=None asks for the whole 16-bit range; set e.g. min_v_mem=-1.0"
            if stage.neuron.min_v is None
            else "scale the weights down or raise spike_threshold"
        )
        for stage, q in zip(stages, integers, strict=True)
        if q.threshold < 1
    ]
    if bad:
        raise UnsupportedError("; ".join(bad))
