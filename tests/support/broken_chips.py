"""The toy chip with one thing wrong, in many ways: what the contract suite must find.

`caught_by` are the tests that must fail, and what they then say (a regular expression).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from toy_chip.chip import ToyChip
from toy_chip.runnable import ToyProgram

from i2e_deploy.chips import AnyNetwork, CheckReport, LowerOptions, Program, Trace
from i2e_deploy.chips.check import Finding, Slot
from i2e_deploy.chips.options import PLAIN
from i2e_deploy.chips.session import RunSession, Session
from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Network
from i2e_deploy.testing.contract.refusals import UnheardOf

Run = Callable[[Integers, str, str, "States | None"], Trace]
Caught = tuple[tuple[str, str], ...]


class Sound(ToyChip):
    """Nothing is wrong: the toy chip by another name, with programs of a class that the others replace."""

    made: ClassVar[type[ToyProgram]] = ToyProgram
    caught_by: ClassVar[Caught] = ()

    def __init__(self, name: str) -> None:
        super().__init__("toy")
        self.profile = replace(self.profile, name=name)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return self.made(super().lower(network, options).crossbars)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        return self.made(super().program(tensors, data).crossbars)


def running(change: Callable[[Run, Integers, str, str, States | None], Trace]) -> type[ToyProgram]:
    """Programs that run as `change` says; it gets the sound `run`, and what that would get."""

    @dataclass(frozen=True, eq=False)
    class _Program(ToyProgram):
        def run(
            self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
        ) -> Trace:
            return change(super().run, frames, semantics, engine, states)

    return _Program


def one_more(trace: Trace, wanted: bool = True) -> Trace:
    """Where wanted, one spike more of one neuron, in the last step of the first sample."""
    last = list(trace.spikes)[-1]
    spikes = trace.spikes[last].copy()
    spikes[0, -1, 0] += wanted
    return replace(trace, spikes={**trace.spikes, last: spikes}, output=spikes)


# ---- runs


class EngineWithASpikeMore(Sound):
    made = running(lambda run, frames, s, engine, states: one_more(run(frames, s, engine, states), engine == "fast"))
    caught_by = (
        ("test_the_engine_equals_the_reference", "engine and reference: .*differs first at step 7, sample 0"),
        ("test_a_bundle_from_export_to_report", "verify .*: exit 1"),
        ("test_simulate_compare", "compare .*: exit 1"),
    )


def _miscounts(run: Run, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    trace = run(frames, semantics, engine, states)
    return replace(trace, counts={n: replace(c, synops=c.synops + (engine == "fast")) for n, c in trace.counts.items()})


class EngineThatMiscounts(Sound):
    made = running(_miscounts)
    caught_by = (("test_the_engine_equals_the_reference", "counts of 'fc"),)


def _stateless(run: Run, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    trace = run(frames, semantics, engine, states)
    return trace if engine == "reference" else replace(trace, states={name: {} for name in trace.states})


class EngineWithoutStates(Sound):
    made = running(_stateless)
    caught_by = (("test_the_engine_equals_the_reference", "layer0_v.* is missing"),)


def _forgets(run: Run, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    """The states of the last core, on both engines."""
    if states:
        last = list(states)[-1]
        states = {**states, last: {key: value * 0 for key, value in states[last].items()}}
    return run(frames, semantics, engine, states)


class RunsThatForgetStates(Sound):
    made = running(_forgets)
    caught_by = (("test_a_run_cut_in_time_is_the_whole_run", "pieces on fast, fast, fast and the whole run"),)


class RunsThatDiffer(Sound):
    runs: ClassVar[Any] = count()
    made = running(
        lambda run, *given: one_more(run(*given), given[3] is not None and next(RunsThatDiffer.runs) % 2 > 0)
    )
    caught_by = (("test_a_run_twice_is_the_same", "second run and first"),)


class RunsThatDependOnThreads(Sound):
    made = running(lambda run, *given: one_more(run(*given), os.cpu_count() == 5))
    caught_by = (("test_threads_change_nothing", "5 threads and reference"),)


class RunsThatDependOnTheDtype(Sound):
    made = running(lambda run, *given: one_more(run(*given), given[0].dtype == np.int32))
    caught_by = (("test_the_form_of_frames_changes_nothing", "frames of int32"),)


def _leaks(run: Run, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    """A sample's last frame reaches the next sample, on both engines."""
    run(frames, semantics, engine, states)
    mixed = frames.copy()
    mixed[1:, -1] = np.maximum(mixed[1:, -1], frames[:-1, -1])
    return run(mixed, semantics, engine, states)


class SamplesThatLeak(Sound):
    made = running(_leaks)
    caught_by = (("test_samples_know_nothing_of_each_other", r"samples \[.*\] and the whole batch"),)


def _writes(run: Run, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    trace = run(frames, semantics, engine, states)
    if frames.flags.writeable:
        frames[:] = 0
    return trace


class RunsThatWriteOnFrames(Sound):
    made = running(_writes)
    caught_by = (("test_a_run_twice_is_the_same", "second run and first|changed its frames"),)


def _wide(run: Run, *given: Any) -> Trace:
    trace = run(*given)
    return replace(trace, output=trace.output.astype(np.int64))


class OutputsOfAnotherDtype(Sound):
    made = running(_wide)
    caught_by = (("test_a_trace_is_what_it_says", "int64"),)


class NetworksThatAreSilent(Sound):
    made = running(lambda run, frames, *given: run(frames * 0, *given))
    caught_by = (("test_the_networks_prove_something", "most networks are silent"),)


# ---- sessions


class _Forgetful(RunSession):
    def step(self, frame: Integers) -> NDArray[np.int32]:
        self._states = None
        return super().step(frame)


class _StartsAfresh(RunSession):
    def start(self, state: States | None = None) -> None:
        super().start(None)


class _CountsOn(RunSession):
    def start(self, state: States | None = None) -> None:
        self._states = state


def with_session(kind: Callable[..., Session]) -> type[ToyProgram]:
    """Programs with a session of that kind."""

    @dataclass(frozen=True, eq=False)
    class _Program(ToyProgram):
        def session(self, semantics: str = "timestep") -> Session:
            return kind(self.run, semantics)

    return _Program


class SessionThatForgetsItsState(Sound):
    made = with_session(_Forgetful)
    caught_by = (("test_a_session_is_a_run", "outputs differ at step|states differ"),)


class SessionThatStartsAfresh(Sound):
    made = with_session(_StartsAfresh)
    caught_by = (("test_a_session_goes_on", "session that goes on and run"),)


class SessionThatCountsOn(Sound):
    made = with_session(_CountsOn)
    caught_by = (("test_a_session_is_a_run", "counts of 'fc"),)


class ProgramsWithoutASession(Sound):
    made = with_session(Session)  # it takes no arguments
    caught_by = (("test_live", "takes no arguments"),)


# ---- files


def written(change: Callable[[dict[str, Any]], Any]) -> type[ToyProgram]:
    """Programs whose data are changed when they are written."""

    @dataclass(frozen=True, eq=False)
    class _Program(ToyProgram):
        def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
            tensors, data = super().to_tensors()
            return tensors, change(data)

    return _Program


class ProgramsThatDropAField(Sound):
    made = written(lambda data: {**data, "cores": [{**row, "leak": 0} for row in data["cores"]]})
    caught_by = (("test_a_program_survives_json", "program after a round trip, and reference"),)


class ProgramsWithFloats(Sound):
    made = written(lambda data: {**data, "scale": 0.5})
    caught_by = (("test_a_program_is_integers", "data hold floats at"),)


class ProgramsReadWithoutAField(Sound):
    caught_by = (("test_a_program_survives_json", "data differ"),)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        rows = [{**row, "threshold": min(row["threshold"], 1)} for row in data["cores"]]
        return super().program(tensors, {**data, "cores": rows})


class ProgramsThatCrash(Sound):
    caught_by = (("test_damaged_programs_are_refused", "expected FileFormatError"),)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        assert data["cores"][0]["leak"] is not None
        return super().program(tensors, data)


class LoweringThatDiffers(Sound):
    """Every second program has all its weights reversed."""

    lowered: ClassVar[Any] = count()
    caught_by = (("test_a_network_survives_its_file", "network from a file, lowered: array 'fc"),)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        program = super().lower(network, options)
        if next(self.lowered) % 2:
            return program
        cores = tuple(replace(core, weight=-core.weight) for core in program.crossbars.cores)
        return self.made(replace(program.crossbars, cores=cores))


class FilesThatDiffer(Sound):
    caught_by = (("test_a_bundle_survives_the_disk", "give another bundle"),)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        return {"toy.bin": os.urandom(8)}


class FilesThatCannotBeMade(Sound):
    caught_by = (("test_export_without_input", "no space for this program"),)

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        raise ValueError("no space for this program")


class ProfileOfAnotherName(Sound):
    caught_by = (("test_the_profile_is_the_chips", "'toy' == "),)

    def __init__(self, name: str) -> None:
        super().__init__("toy")


class ProfileThatIsNoJson(Sound):
    caught_by = (("test_profiles", "not JSON serializable"),)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        leak = replace(self.profile.limit("leak"), value=np.int64(127))  # type: ignore[arg-type]
        self.profile = replace(self.profile, limits={**self.profile.limits, "leak": leak})


# ---- refusals


class RunsThatTakeNegatives(Sound):
    made = running(
        lambda run, frames, *given: run(np.maximum(frames, 0) if frames.dtype.kind == "i" else frames, *given)
    )
    caught_by = (("test_wrong_frames_are_refused", "DID NOT RAISE"),)


class RunsThatTakeAnyStates(Sound):
    made = running(lambda run, f, s, e, states: Trace({}, {}, f, {}) if states == {} else run(f, s, e, states))
    caught_by = (("test_states_of_other_runs_are_refused", "DID NOT RAISE"),)


class WordsThatAreNotRead(Sound):
    made = running(lambda run, frames, s, e, states: run(frames, "timestep" if s == "nothing" else s, e, states))
    caught_by = (
        ("test_wrong_words_are_refused", "DID NOT RAISE"),
        ("test_simulate_refuses", "exit 0, expected 2"),
    )


class OptionsThatAreIgnored(Sound):
    caught_by = (("test_options_that_it_does_not_have_are_refused", "DID NOT RAISE"),)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return super().lower(network)


class Checking(Sound):
    """What is checked before, and found after: for those whose check is wrong."""

    def before(self, network: AnyNetwork) -> AnyNetwork:
        return network

    def after(self, report: CheckReport) -> CheckReport:
        return report

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        return self.after(super().check(self.before(network), options, program))


class RefusalsWithoutALayer(Checking):
    caught_by = (("test_unsupported_layers_are_named", "does not name 'pool'"),)

    def after(self, report: CheckReport) -> CheckReport:
        return replace(report, findings=tuple(replace(finding, layer="") for finding in report.findings))


class RefusalsOfManyLines(Sound):
    caught_by = (("test_unsupported_layers_are_named", "an error of several lines"),)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        try:
            return super().lower(network, options)
        except UnsupportedError as error:
            raise UnsupportedError(f"it cannot be lowered:\n{error}") from error


class LoweringThatNamesNoLayer(Sound):
    caught_by = (("test_unsupported_layers_are_named", "the error does not name 'pool'"),)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        try:
            return super().lower(network, options)
        except UnsupportedError as error:
            raise UnsupportedError("a layer has no counterpart on this chip") from error


class ChecksThatRaise(Checking):
    caught_by = (("test_unsupported_layers_are_named", "does not fit"),)

    def after(self, report: CheckReport) -> CheckReport:
        report.raise_if_unfit()
        return report


class ChecksThatFindNothing(Checking):
    caught_by = (
        ("test_too_large_networks_are_findings", "assert not True"),
        ("test_check_of_what_is_too_large", "assert 0 == 1"),
    )

    def after(self, report: CheckReport) -> CheckReport:
        return replace(report, findings=tuple(f for f in report.findings if f.severity == "ok"))


class PlacesThatAreNone(Checking):
    caught_by = (("test_a_network_that_fits_is_reported_whole", "no core 100"),)

    def after(self, report: CheckReport) -> CheckReport:
        return replace(report, placement=tuple(replace(slot, core=slot.core + 100) for slot in report.placement))


class IntegersTakenForFloats(Checking):
    caught_by = (("test_integers_of_another_chip_are_refused", "has no attribute 'layers'"),)

    def before(self, network: AnyNetwork) -> AnyNetwork:
        assert network.layers  # type: ignore[union-attr]
        return network


class LayersThatArePassedOver(Checking):
    caught_by = (("test_a_layer_of_an_unknown_kind_is_never_passed_over", "assert not True"),)

    def before(self, network: AnyNetwork) -> AnyNetwork:
        """The network without the layers that the chip does not know."""
        if not isinstance(network, Network):
            return network
        source = {layer.name: layer.inputs[0] for layer in network.layers if isinstance(layer.op, UnheardOf)}
        kept = (layer for layer in network.layers if layer.name not in source)
        layers = tuple(replace(layer, inputs=tuple(source.get(name, name) for name in layer.inputs)) for layer in kept)
        return Network(network.input_shape, layers)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return super().lower(self.before(network), options)


class ChecksThatTakeNoFrames(Sound):
    caught_by = (("test_check", "exit 2"),)

    def findings_on(
        self, network: AnyNetwork, frames: Integers, options: LowerOptions = PLAIN, program: Program | None = None
    ) -> tuple[Finding, ...]:
        raise UnsupportedError("no frames, please")


#: By the name of its entry point.
BROKEN: dict[str, type[Sound]] = {
    kind.__name__.lower(): kind for kind in list(vars().values()) if Sound in getattr(kind, "__mro__", ())
}
del BROKEN["checking"]
