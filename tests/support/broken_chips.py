"""The toy chip with one thing wrong, in many ways: what the contract suite must find."""

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


class Sound(ToyChip):
    """Nothing is wrong: the toy chip by another name, with programs of a class that mutants replace."""

    made: ClassVar[type[ToyProgram]] = ToyProgram
    #: Tests of the suite that must fail, and what they then say (a regular expression).
    caught_by: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str) -> None:
        super().__init__("toy")
        self.profile = replace(self.profile, name=name)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return self.made(super().lower(network, options).crossbars)

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        return self.made(super().program(tensors, data).crossbars)


def _one_more(trace: Trace, sample: int = 0) -> Trace:
    """One spike more of one neuron, in the last step of a sample."""
    last = list(trace.spikes)[-1]
    spikes = trace.spikes[last].copy()
    spikes[sample, -1, 0] += 1
    return replace(trace, spikes={**trace.spikes, last: spikes}, output=spikes)


@dataclass(frozen=True, eq=False)
class _Extra(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return _one_more(trace) if engine == "fast" else trace


class EngineWithASpikeMore(Sound):
    made, caught_by = (
        _Extra,
        {
            "test_the_engine_equals_the_reference": "engine and reference: .*differs first at step 7, sample 0",
            "test_a_bundle_from_export_to_report": "verify .*: exit 1",
            "test_simulate_compare": "compare .*: exit 1|False is True",
        },
    )


@dataclass(frozen=True, eq=False)
class _Miscounting(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        more = {name: replace(c, synops=c.synops + (engine == "fast")) for name, c in trace.counts.items()}
        return replace(trace, counts=more)


class EngineThatMiscounts(Sound):
    made, caught_by = (
        _Miscounting,
        {
            "test_the_engine_equals_the_reference": "counts of 'fc",
        },
    )


@dataclass(frozen=True, eq=False)
class _WithoutStates(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return trace if engine == "reference" else replace(trace, states={n: {} for n in trace.states})


class EngineWithoutStates(Sound):
    made, caught_by = (
        _WithoutStates,
        {
            "test_the_engine_equals_the_reference": "layer0_v.* is missing",
        },
    )


@dataclass(frozen=True, eq=False)
class _FromZero(ToyProgram):
    """The states of the last core are lost where a run goes on, on both engines."""

    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        if states and self.layer_names[-1] in states:
            last = {key: value * 0 for key, value in states[self.layer_names[-1]].items()}
            states = {**states, self.layer_names[-1]: last}
        return super().run(frames, semantics, engine, states)

    def session(self, semantics: str = "timestep") -> Session:
        return RunSession(super().run, semantics)


class RunsThatForgetStates(Sound):
    made, caught_by = (
        _FromZero,
        {
            "test_a_run_cut_in_time_is_the_whole_run": "pieces on fast, fast, fast and the whole run",
        },
    )


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


def _with_session(kind: Callable[..., Session]) -> type[ToyProgram]:
    @dataclass(frozen=True, eq=False)
    class _Program(ToyProgram):
        def session(self, semantics: str = "timestep") -> Session:
            return kind(self.run, semantics)

    return _Program


class SessionThatForgetsItsState(Sound):
    made, caught_by = (
        _with_session(_Forgetful),
        {
            "test_a_session_is_a_run": "outputs differ at step|states differ",
        },
    )


class SessionThatStartsAfresh(Sound):
    made, caught_by = (
        _with_session(_StartsAfresh),
        {
            "test_a_session_goes_on": "session that goes on and run",
        },
    )


class SessionThatCountsOn(Sound):
    made, caught_by = (
        _with_session(_CountsOn),
        {
            "test_a_session_is_a_run": "counts of 'fc",
        },
    )


@dataclass(frozen=True, eq=False)
class _Different(ToyProgram):
    runs: ClassVar[Any] = count()

    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return _one_more(trace) if states is not None and next(self.runs) % 2 else trace


class RunsThatDiffer(Sound):
    made, caught_by = (
        _Different,
        {
            "test_a_run_twice_is_the_same": "second run and first",
        },
    )


@dataclass(frozen=True, eq=False)
class _ByThreads(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return _one_more(trace) if os.cpu_count() == 5 else trace


class RunsThatDependOnThreads(Sound):
    made, caught_by = (
        _ByThreads,
        {
            "test_threads_change_nothing": "5 threads and reference",
        },
    )


@dataclass(frozen=True, eq=False)
class _Leaking(ToyProgram):
    """A sample's first frame reaches the next sample, on both engines."""

    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        super().run(frames, semantics, engine, states)
        mixed = frames.copy()
        mixed[1:, -1] |= frames[:-1, -1]
        return super().run(mixed, semantics, engine, states)


class SamplesThatLeak(Sound):
    made, caught_by = (
        _Leaking,
        {
            "test_samples_know_nothing_of_each_other": r"samples \[.*\] and the whole batch",
        },
    )


@dataclass(frozen=True, eq=False)
class _Rewriting(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        if frames.flags.writeable:
            frames[:] = 0
        return trace


class RunsThatWriteOnFrames(Sound):
    made, caught_by = (
        _Rewriting,
        {
            "test_a_run_twice_is_the_same": "second run and first|changed its frames",
        },
    )


@dataclass(frozen=True, eq=False)
class _BytesOnly(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return _one_more(trace) if frames.dtype == np.int32 else trace


class RunsThatDependOnTheDtype(Sound):
    made, caught_by = (
        _BytesOnly,
        {
            "test_the_form_of_frames_changes_nothing": "frames of int32",
        },
    )


@dataclass(frozen=True, eq=False)
class _Careless(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        allowed = frames if frames.dtype.kind != "i" else np.maximum(frames, 0)
        return super().run(allowed, semantics, engine, states)


class RunsThatTakeNegatives(Sound):
    made, caught_by = (
        _Careless,
        {
            "test_wrong_frames_are_refused": "DID NOT RAISE",
        },
    )


@dataclass(frozen=True, eq=False)
class _Trusting(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        return Trace({}, {}, frames, {}) if states == {} else super().run(frames, semantics, engine, states)


class RunsThatTakeAnyStates(Sound):
    made, caught_by = (
        _Trusting,
        {
            "test_states_of_other_runs_are_refused": "DID NOT RAISE",
        },
    )


@dataclass(frozen=True, eq=False)
class _LosingLeak(ToyProgram):
    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        tensors, data = super().to_tensors()
        return tensors, {**data, "cores": [{**row, "leak": 0} for row in data["cores"]]}


class ProgramsThatDropAField(Sound):
    made, caught_by = (
        _LosingLeak,
        {
            "test_a_program_survives_json": "program after a round trip, and reference",
        },
    )


class ProgramsReadWithoutAField(Sound):
    caught_by = {
        "test_a_program_survives_json": "data differ",
    }

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        rows = [{**row, "threshold": min(row["threshold"], 1)} for row in data["cores"]]
        return super().program(tensors, {**data, "cores": rows})


@dataclass(frozen=True, eq=False)
class _Floating(ToyProgram):
    def to_tensors(self) -> tuple[dict[str, Integers], dict[str, Any]]:
        tensors, data = super().to_tensors()
        return tensors, {**data, "scale": 0.5}


class ProgramsWithFloats(Sound):
    made, caught_by = (
        _Floating,
        {
            "test_a_program_is_integers": "data hold floats at",
        },
    )


class ProgramsThatCrash(Sound):
    caught_by = {
        "test_damaged_programs_are_refused": "expected FileFormatError",
    }

    def program(self, tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> ToyProgram:
        assert data["cores"][0]["leak"] is not None
        return super().program(tensors, data)


class RefusalsWithoutALayer(Sound):
    caught_by = {
        "test_unsupported_layers_are_named": "does not name 'pool'",
    }

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        report = super().check(network, options, program)
        return replace(report, findings=tuple(replace(finding, layer="") for finding in report.findings))

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        try:
            return super().lower(network, options)
        except UnsupportedError as error:
            raise UnsupportedError("a layer has no counterpart on this chip") from error


class RefusalsOfManyLines(Sound):
    caught_by = {
        "test_unsupported_layers_are_named": "an error of several lines",
    }

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        try:
            return super().lower(network, options)
        except UnsupportedError as error:
            raise UnsupportedError(f"it cannot be lowered:\n{error}") from error


class ChecksThatRaise(Sound):
    caught_by = {
        "test_unsupported_layers_are_named": "does not fit",
    }

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        report = super().check(network, options, program)
        report.raise_if_unfit()
        return report


class ChecksThatFindNothing(Sound):
    caught_by = {
        "test_too_large_networks_are_findings": "assert not True",
        "test_check_of_what_is_too_large": "assert 0 == 1",
    }

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        report = super().check(network, options, program)
        return replace(report, findings=tuple(f for f in report.findings if f.severity == "ok"))


class LayersThatArePassedOver(Sound):
    caught_by = {
        "test_a_layer_of_an_unknown_kind_is_never_passed_over": "assert not True",
    }

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        return super().check(_known(network), options, program)

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return super().lower(_known(network), options)


def _known(network: AnyNetwork) -> AnyNetwork:
    """The network without the layers that the chip does not know."""
    if not isinstance(network, Network):
        return network
    source = {layer.name: layer.inputs[0] for layer in network.layers if isinstance(layer.op, UnheardOf)}
    kept = (layer for layer in network.layers if layer.name not in source)
    layers = tuple(replace(layer, inputs=tuple(source.get(name, name) for name in layer.inputs)) for layer in kept)
    return Network(network.input_shape, layers)


class OptionsThatAreIgnored(Sound):
    caught_by = {
        "test_options_that_it_does_not_have_are_refused": "DID NOT RAISE",
    }

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        return super().lower(network)


class ProfileOfAnotherName(Sound):
    caught_by = {
        "test_the_profile_is_the_chips": "'toy' == ",
    }

    def __init__(self, name: str) -> None:
        super().__init__("toy")


class LoweringThatDiffers(Sound):
    """Every second program has all its weights reversed."""

    caught_by = {"test_a_network_survives_its_file": "network from a file, lowered: array 'fc"}  # noqa: RUF012
    lowered: ClassVar[Any] = count()

    def lower(self, network: AnyNetwork, options: LowerOptions = PLAIN) -> ToyProgram:
        program = super().lower(network, options)
        if next(self.lowered) % 2:
            return program
        cores = tuple(replace(core, weight=-core.weight) for core in program.crossbars.cores)
        return self.made(replace(program.crossbars, cores=cores))


class PlacesThatAreNone(Sound):
    caught_by = {"test_a_network_that_fits_is_reported_whole": "no core 100"}  # noqa: RUF012

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        report = super().check(network, options, program)
        return replace(report, placement=tuple(replace(slot, core=slot.core + 100) for slot in report.placement))


@dataclass(frozen=True, eq=False)
class _Wide(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        trace = super().run(frames, semantics, engine, states)
        return replace(trace, output=trace.output.astype(np.int64))


class OutputsOfAnotherDtype(Sound):
    made, caught_by = _Wide, {"test_a_trace_is_what_it_says": "int64"}


@dataclass(frozen=True, eq=False)
class _Silent(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        return super().run(frames * 0, semantics, engine, states)


class NetworksThatAreSilent(Sound):
    made, caught_by = _Silent, {"test_the_networks_prove_something": "most networks are silent"}


class IntegersTakenForFloats(Sound):
    caught_by = {"test_integers_of_another_chip_are_refused": "has no attribute 'layers'"}  # noqa: RUF012

    def check(self, network: AnyNetwork, options: LowerOptions = PLAIN, program: Program | None = None) -> CheckReport:
        assert network.layers  # type: ignore[union-attr]
        return super().check(network, options, program)


@dataclass(frozen=True, eq=False)
class _AnyWord(ToyProgram):
    def run(
        self, frames: Integers, semantics: str = "timestep", engine: str = "fast", states: States | None = None
    ) -> Trace:
        return super().run(frames, semantics if semantics in self.semantics else "timestep", engine, states)


class WordsThatAreNotRead(Sound):
    made, caught_by = (
        _AnyWord,
        {"test_wrong_words_are_refused": "DID NOT RAISE", "test_simulate_refuses": "exit 0, expected 2"},
    )


class FilesThatDiffer(Sound):
    caught_by = {"test_a_bundle_survives_the_disk": "give another bundle"}  # noqa: RUF012

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        return {"toy.bin": os.urandom(8)}


class FilesThatCannotBeMade(Sound):
    caught_by = {"test_export_without_input": "no space for this program"}  # noqa: RUF012

    def native_files(self, program: Program, placement: Sequence[Slot]) -> Mapping[str, bytes]:
        raise ValueError("no space for this program")


class ChecksThatTakeNoFrames(Sound):
    caught_by = {"test_check": "exit 2"}  # noqa: RUF012

    def findings_on(self, network: AnyNetwork, frames: Integers) -> tuple[Finding, ...]:
        raise UnsupportedError("no frames, please")


@dataclass(frozen=True, eq=False)
class _WithoutSession(ToyProgram):
    def session(self, semantics: str = "timestep") -> Session:
        raise NotImplementedError("no session yet")


class ProgramsWithoutASession(Sound):
    made, caught_by = _WithoutSession, {"test_live": "no session yet"}


class ProfileThatIsNoJson(Sound):
    caught_by = {"test_profiles": "not JSON serializable"}  # noqa: RUF012

    def __init__(self, name: str) -> None:
        super().__init__(name)
        leak = replace(self.profile.limit("leak"), value=np.int64(127))
        self.profile = replace(self.profile, limits={**self.profile.limits, "leak": leak})


#: By the name of its entry point.
BROKEN: dict[str, type[Sound]] = {
    kind.__name__.lower(): kind for kind in list(vars().values()) if isinstance(kind, type) and issubclass(kind, Sound)
}
