"""Refusals: what is too large is a finding, what has no counterpart names its layer, and wrong input is one line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

import numpy as np
import pytest

from i2e_deploy import bundle
from i2e_deploy.chips import CheckReport, LowerOptions
from i2e_deploy.chips.check import Severity
from i2e_deploy.chips.integers import IntegerNetwork
from i2e_deploy.errors import CheckFailed, InputError, UnsupportedError
from i2e_deploy.network import INPUT, Layer, Network, Op
from i2e_deploy.network.op import Shape, State, one_input
from i2e_deploy.testing.contract.same import assert_one_line
from i2e_deploy.testing.contract.subject import STEPS, Drawn, Part, drawn

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class UnheardOf(Op):
    """A kind of layer that no chip knows; its output is its input."""

    def output_shape(self, given: Sequence[Shape]) -> Shape:
        """See `Op.output_shape`."""
        return one_input(given)

    def step(self, given: Sequence[Tensor], state: State) -> tuple[Tensor, State]:
        """See `Op.step`."""
        return given[0], {}


@dataclass(frozen=True)
class OfNobody(IntegerNetwork):
    """Integers that no chip takes."""

    kind: ClassVar[str] = "of_nobody"
    title: ClassVar[str] = "the integers of nobody"
    input_shape: tuple[int, ...] = (2, 8, 8)


def _without_last(drawn: Drawn) -> Any:
    return drawn.frames[..., :-1]


#: Frames that are wrong, by what is wrong with them.
WRONG_FRAMES: dict[str, Callable[[Drawn], Any]] = {
    "too small": _without_last,
    "too large": lambda case: np.concatenate([case.frames, case.frames], axis=2),
    "no sample": lambda case: case.frames[:0],
    "no step": lambda case: case.frames[:, :0],
    "floats": lambda case: case.frames.astype(np.float32),
    "texts": lambda case: case.frames.astype(str),
    "negative": lambda case: case.frames.astype(np.int64) - 2,
}


class Refusals(Part):
    """A chip says what it cannot do, where, and how to mend it."""

    def test_a_network_that_fits_is_reported_whole(self, seed: int) -> None:
        """Every finding is of a layer of the program or of the network, and every layer has its place."""
        case, options = drawn(self.subject, seed), self.subject.options
        for report in (self.chip.check(case.network, options), self.chip.check(case.network, options, case.program)):
            assert report.fits, f"draw networks that fit: {report.errors}"
            assert report.chip == self.subject.chip
            assert report.layers == case.program.layer_names
            _assert_findings(report)
            cores = {core.index for core in self.chip.profile.cores}
            for slot in report.placement:
                assert slot.layer in report.layers
                assert slot.core in cores, f"no core {slot.core}"
                over = [kind for kind, used in slot.used.items() if used > slot.available[kind]]
                assert not over, f"core {slot.core} has not that much {over}"

    def test_too_large_networks_are_findings(self, too_large: str, tmp_path: Path) -> None:
        """The check says why and does not raise; nothing is written."""
        case = self.subject.too_large[too_large]
        network = case.network()
        report = self.chip.check(network)
        assert not report.fits
        _assert_findings(report)
        named = [finding for finding in report.errors if finding.layer == case.layer]
        assert named, f"no error of layer {case.layer!r}: {[str(finding) for finding in report.errors]}"
        with pytest.raises(CheckFailed) as found:
            report.raise_if_unfit()
        assert_one_line(found.value, self.subject.chip, case.layer)
        frames = np.zeros((1, 2, *network.input_shape), np.uint8)
        with pytest.raises((CheckFailed, UnsupportedError)) as refused:
            bundle.write(tmp_path / "bundle", self.chip, network, frames)
        assert_one_line(refused.value, case.layer)
        assert not any(tmp_path.iterdir()), "something was written"

    def test_unsupported_layers_are_named(self, unsupported: str) -> None:
        """By the check, which does not raise, and by lowering, which does."""
        case = self.subject.unsupported[unsupported]
        self._assert_unsupported(case.network(), case.layer)

    def test_a_layer_of_an_unknown_kind_is_never_passed_over(self) -> None:
        """Wherever it stands: before the first layer, between two, after the last."""
        network = self.subject.deployed()
        if not isinstance(network, Network):
            pytest.skip("takes no float networks")
        for place in range(len(network.layers) + 1):
            self._assert_unsupported(_with_unknown(network, place), "unheard of")

    def test_integers_of_another_chip_are_refused(self) -> None:
        """And called what they are."""
        self._assert_unsupported(OfNobody(), OfNobody.title)

    def test_options_that_it_does_not_have_are_refused(self) -> None:
        """By name; see `Chip.lower_options`."""
        network, chip = self.subject.deployed(), self.chip
        frames = self.subject.frames(network, 0, 1, 2)
        asked = (LowerOptions(calibration=frames), LowerOptions(split=True), LowerOptions(readout=1))
        for options in asked:
            (name,) = options.given()
            if name in chip.lower_options:
                continue
            with pytest.raises(UnsupportedError) as found:
                chip.lower(network, options)
            assert_one_line(found.value, name, self.subject.chip)

    @pytest.mark.parametrize("what", WRONG_FRAMES)
    def test_wrong_frames_are_refused(self, semantics: str, what: str) -> None:
        """InputError in one line, by both engines and by a session."""
        for case in (drawn(self.subject, seed) for seed in range(self.subject.seeds)):
            if what == "negative" and self.subject.signed(case.network):
                continue
            frames = WRONG_FRAMES[what](case)
            for engine in ("fast", "reference"):
                with pytest.raises(InputError) as found:
                    case.program.run(frames, semantics, engine)
                assert_one_line(found.value)
            if frames.shape[0] and frames.shape[1]:
                with pytest.raises(InputError) as found:
                    case.program.session(semantics).step(frames[0, 0])
                assert_one_line(found.value)

    def test_wrong_words_are_refused(self, seed: int) -> None:
        """Semantics, engines and targets that are none; the error names what was asked for."""
        case = drawn(self.subject, seed)
        program, frames = case.program, case.frames
        for asked in (("nothing", "fast"), ("nothing", "reference"), (self.subject.semantics[0], "nothing")):
            with pytest.raises(InputError) as found:
                program.run(frames, *asked)
            assert_one_line(found.value, "nothing")
        with pytest.raises(InputError) as found:
            program.session("nothing").step(frames[0, 0])
        assert_one_line(found.value, "nothing")
        for target in ("nothing", "simulator:name", ""):
            with pytest.raises(UnsupportedError) as unsupported:
                program.run_on(target, frames)
            assert_one_line(unsupported.value, repr(target))
        assert {"simulator", "reference"} <= set(program.targets)

    def test_states_of_other_runs_are_refused(self, seed: int, semantics: str) -> None:
        """Of another batch, of another shape, with a layer or a variable missing, or no integers."""
        case = drawn(self.subject, seed)
        states = case.program.run(case.frames[:1, : STEPS // 2], semantics).states
        changes = (lambda a: np.repeat(a, 2, axis=0), lambda a: a[..., None], lambda a: a.astype(np.float64))
        changed = [
            {name: {key: change(value) for key, value in variables.items()} for name, variables in states.items()}
            for change in changes
        ]
        wrong: tuple[Any, ...] = ({}, {name: {} for name in states}, *changed)
        for given in wrong:
            for engine in ("fast", "reference"):
                with pytest.raises(InputError) as found:
                    case.program.run(case.frames[:1], semantics, engine, given)
                assert_one_line(found.value)

    def _assert_unsupported(self, network: Any, named: str) -> None:
        report = self.chip.check(network)
        assert not report.fits
        told = [finding for finding in report.errors if finding.layer == named or named in str(finding)]
        assert told, f"the check does not name {named!r}: {[str(finding) for finding in report.errors]}"
        _assert_findings(report)
        with pytest.raises(UnsupportedError) as found:
            self.chip.lower(network)
        assert_one_line(found.value, named)


def _assert_findings(report: CheckReport) -> None:
    """Plain data, each of a known severity, in one line."""
    json.dumps(report.to_dict())
    for finding in report.findings:
        assert finding.severity in get_args(Severity), f"severity {finding.severity!r}"
        assert finding.rule, "a finding without a rule"
        assert "\n" not in str(finding), f"a finding of several lines: {finding}"
        if report.fits:
            assert not finding.layer or finding.layer in report.layers, f"no such layer: {finding}"


def _with_unknown(network: Network, place: int) -> Network:
    """The network with a layer of an unknown kind before the layer at that place; past the last, after it."""
    layers = list(network.layers)
    source = layers[place].inputs[0] if place < len(layers) else layers[-1].name
    unknown = Layer("unheard of", UnheardOf(), (source,))
    if place < len(layers):
        moved = (unknown.name, *layers[place].inputs[1:])
        layers[place] = replace(layers[place], inputs=moved)
    layers.insert(place, unknown)
    assert source == INPUT or any(layer.name == source for layer in layers[:place])
    return Network(network.input_shape, tuple(layers))
