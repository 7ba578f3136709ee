"""Runs: the engine is the reference, cut runs are the whole, and a session is a run."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from i2e_deploy.chips import Injection, Program, Session, Trace
from i2e_deploy.chips.abilities import RunsRecordings
from i2e_deploy.chips.options import Engine
from i2e_deploy.chips.trace import Integers, States, sum_counts
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.testing.contract.same import assert_counts, assert_same, threads
from i2e_deploy.testing.contract.subject import SAMPLES, STEPS, Part, defined, drawn

#: Where a run is cut: a piece of one step, and one that starts in the middle.
CUTS = (0, 1, 5, STEPS)


class Runs(Part):
    """Every way to run a program gives what its reference gives."""

    def test_the_networks_prove_something(self, semantics: str) -> None:
        """On the frames drawn for it, at least half of the networks fire, and at least one has an output."""
        traces = [defined(self.subject, seed, semantics) for seed in range(self.subject.seeds)]
        firing = [any(spikes.any() for spikes in trace.spikes.values()) for trace in traces]
        assert 2 * sum(firing) >= len(firing), "draw other frames: most networks are silent"
        assert any(trace.output.any() for trace in traces), "draw other frames: no network has an output"

    def test_a_trace_is_what_it_says(self, seed: int, semantics: str) -> None:
        """Names, shapes and dtypes are those of `Trace`."""
        case, trace = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        assert tuple(trace.spikes) == case.program.layer_names
        assert set(trace.counts) == set(case.program.layer_names)
        assert tuple(case.program.input_shape) == tuple(case.network.input_shape)
        assert semantics in case.program.semantics
        for name, spikes in trace.spikes.items():
            assert spikes.shape[:2] == (SAMPLES, STEPS), f"spikes of {name!r} are {spikes.shape}"
            assert spikes.dtype == np.int32, f"spikes of {name!r} are {spikes.dtype}"
        for name, variables in trace.states.items():
            for key, value in variables.items():
                assert len(value) == SAMPLES, f"{key} of {name!r} is {value.shape}"
                assert value.dtype == np.int64, f"{key} of {name!r} is {value.dtype}"
        assert trace.output.ndim == 3
        assert trace.output.shape[:2] == (SAMPLES, STEPS)
        assert trace.output.dtype == np.int32

    def test_the_engine_equals_the_reference(self, seed: int, semantics: str) -> None:
        """Every spike, state and count."""
        case, whole = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        assert_same(whole, case.program.run(case.frames, semantics), "engine and reference")
        for target in ("simulator", "reference"):
            trace = case.program.run_on(target, case.frames, semantics)
            assert_same(whole, trace, f"target {target} and reference")

    def test_a_run_cut_in_time_is_the_whole_run(self, seed: int, semantics: str) -> None:
        """Each piece starts from the states of the one before, whichever engine that ran on."""
        case, whole = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        orders: tuple[tuple[Engine, ...], ...] = (
            ("fast", "fast", "fast"),
            ("fast", "reference", "fast"),
            ("reference", "fast", "reference"),
        )
        for engines in orders:
            states, parts = None, []
            for engine, (start, end) in zip(engines, pairwise(CUTS), strict=True):
                parts.append(case.program.run(case.frames[:, start:end], semantics, engine, states))
                states = parts[-1].states
            assert_same(whole, _joined(parts), f"pieces on {', '.join(engines)} and the whole run", events=False)

    def test_a_session_is_a_run(self, seed: int, semantics: str) -> None:
        """Outputs step by step, counts and the state in the end; then the same again from a fresh state."""
        case = drawn(self.subject, seed)
        session = case.program.session(semantics)
        for sample in (*range(SAMPLES), 0):
            frames = case.frames[sample : sample + 1]
            whole = case.program.run(frames, semantics)
            _assert_steps(session, frames, whole, f"session on sample {sample} and run")
            session.start(None)

    def test_a_session_goes_on(self, seed: int, semantics: str) -> None:
        """From a state that it gave earlier, as often as one likes, in another session too; counts start at 0."""
        case, cut = drawn(self.subject, seed), STEPS // 2
        early, late = case.frames[:1, :cut], case.frames[:1, cut:]
        program: Program = case.program
        end = program.run(late, semantics, states=program.run(early, semantics).states)
        session, other = program.session(semantics), program.session(semantics)
        for frame in early[0]:
            session.step(frame)
        state = session.state()
        other.step(late[0, 0])  # two sessions of one program know nothing of each other
        for each in (session, session, other):
            each.start(state)
            _assert_steps(each, late, end, "session that goes on and run")

    def test_threads_change_nothing(self, seed: int, semantics: str) -> None:
        """One, two or five threads."""
        case, whole = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        for count in (1, 2, 5):
            with threads(count):
                trace = case.program.run(case.frames, semantics)
            assert_same(whole, trace, f"{count} threads and reference")

    def test_a_run_twice_is_the_same(self, seed: int, semantics: str) -> None:
        """And leaves frames and states as they were."""
        case = drawn(self.subject, seed)
        frames, states = case.frames.copy(), defined(self.subject, seed, semantics).states
        kept = {name: {key: value.copy() for key, value in v.items()} for name, v in states.items()}
        runs = [case.program.run(frames, semantics, states=states) for _ in range(2)]
        assert_same(runs[0], runs[1], "second run and first")
        assert np.array_equal(frames, case.frames), "a run changed its frames"
        _assert_states(kept, states, "a run changed the states that it was given")

    def test_samples_know_nothing_of_each_other(self, seed: int, semantics: str) -> None:
        """In another order, and alone, a sample gives what it gave in the batch."""
        case, whole = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        orders = [list(range(SAMPLES))[::-1], *([sample] for sample in range(SAMPLES))]
        for order in orders:
            trace = case.program.run(case.frames[order], semantics)
            expected = replace(_taken(whole, order), counts=trace.counts)  # they are totals of the batch
            assert_same(expected, trace, f"samples {order} and the whole batch", events=False)
            if len(order) == SAMPLES:
                assert_counts(whole.counts, trace.counts, "samples in another order")

    def test_the_form_of_frames_changes_nothing(self, seed: int, semantics: str) -> None:
        """Any integer dtype, and any layout in memory."""
        case, whole = drawn(self.subject, seed), defined(self.subject, seed, semantics)
        small = case.frames.astype(np.int64)
        forms: list[Integers] = [
            small,
            small.astype(np.int32),
            np.asfortranarray(small),
            np.repeat(small, 2, axis=-1)[..., ::2],
        ]
        if small.min() >= 0 and small.max() <= np.iinfo(np.uint8).max:
            forms.append(small.astype(np.uint8))
        for frames in forms:
            what = f"frames of {frames.dtype} with strides {frames.strides} and reference"
            assert_same(whole, case.program.run(frames, semantics), what)

    def test_recordings_run_alike_on_both_engines(self, seed: int) -> None:
        """Where a program takes recordings at their own times (`RunsRecordings`)."""
        program = drawn(self.subject, seed).program
        if not isinstance(program, RunsRecordings):
            pytest.skip("runs no recordings")
        recordings, options = [_recording(program.input_shape, s) for s in (seed, seed + 1)], Injection(step_us=1000)
        runs = [program.run_recordings(recordings, STEPS, options, engine) for engine in ("fast", "reference")]
        assert_same(runs[1], runs[0], "recordings on the engine and on the reference")
        runs = [program.run_events(recordings[0], engine, options=options) for engine in ("fast", "reference")]
        assert_same(runs[1], runs[0], "a recording on the engine and on the reference")


def _joined(parts: list[Trace]) -> Trace:
    """Pieces of a run, one after another."""
    names = parts[0].spikes
    spikes = {name: np.concatenate([part.spikes[name] for part in parts], axis=1) for name in names}
    counts = {name: sum_counts([part.counts[name] for part in parts]) for name in parts[0].counts}
    output = np.concatenate([part.output for part in parts], axis=1)
    return Trace(spikes, parts[-1].states, output, counts)


def _taken(trace: Trace, samples: list[int]) -> Trace:
    """Some samples of a run, in that order."""
    spikes = {name: array[samples] for name, array in trace.spikes.items()}
    states = {name: {key: value[samples] for key, value in v.items()} for name, v in trace.states.items()}
    return replace(trace, spikes=spikes, states=states, output=trace.output[samples], events=None)


def _assert_steps(session: Session, frames: Integers, whole: Trace, what: str) -> None:
    """The session, started already, gives the outputs, counts and states of a run over the same steps."""
    for step, frame in enumerate(frames[0]):
        output = session.step(frame)
        assert output.dtype == np.int32, f"{what}: output is {output.dtype}"
        assert np.array_equal(output, whole.output[0, step]), f"{what}: outputs differ at step {step}"
    assert_counts(whole.counts, session.counts(), what)
    state = session.state()
    assert state is not None, f"{what}: no state after {frames.shape[1]} steps"
    _assert_states(whole.states, state, f"{what}: states differ")


def _assert_states(expected: States, actual: States, what: str) -> None:
    assert actual.keys() == expected.keys(), f"{what}: of layers {sorted(actual)}, expected {sorted(expected)}"
    for name, variables in expected.items():
        assert actual[name].keys() == variables.keys(), f"{what}: {name!r} has {sorted(actual[name])}"
        for key, value in variables.items():
            assert np.array_equal(actual[name][key], value), f"{what}: {key} of {name!r}"


def _recording(shape: tuple[int, ...], seed: int) -> Events:
    """Events of a camera that the network fits, over the steps of the frames."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    events = np.zeros(200, EVENT_DTYPE)
    events["t"] = np.sort(rng.integers(0, STEPS * 1000, len(events)))
    for field, high in (("x", width), ("y", height), ("p", min(channels, 2))):
        events[field] = rng.integers(0, high, len(events))
    return events
