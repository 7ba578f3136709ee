"""A session, step by step, equals a whole run: outputs, counts and state, of any program, with counts of any size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames, single_core
from hypothesis import example, given, settings
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.engine.timestep.session import TimestepSession
from i2e_deploy.chips.session import RunSession, Session
from i2e_deploy.errors import InputError

STEPS = 5


def without_decimators(program: DynapcnnProgram) -> DynapcnnProgram:
    return replace(program, layers=tuple(replace(layer, decimation=1) for layer in program.layers))


def check(session: Session, program: DynapcnnProgram, frames: Any, semantics: str) -> None:
    """All steps from a fresh state, then again from the state in the middle."""
    whole = program.run(frames[None], semantics, engine="reference")
    session.start()
    outputs, middle = [], None
    for t, frame in enumerate(frames):
        if t == len(frames) // 2:
            middle = session.state()
        outputs.append(session.step(frame))
    np.testing.assert_array_equal(np.stack(outputs), whole.output[0])
    assert session.counts() == whole.counts
    end = session.state()
    assert end is not None
    for name, variables in whole.states.items():
        for variable, value in variables.items():
            np.testing.assert_array_equal(end[name][variable], value)
    session.start(middle)
    for output, frame in zip(outputs[len(frames) // 2 :], frames[len(frames) // 2 :], strict=True):
        np.testing.assert_array_equal(session.step(frame), output)


@given(programs(), st.integers(0, 2**32 - 1), st.sampled_from([1, 1, 1000, 2**18]))
@settings(max_examples=40, deadline=None)
@example(single_core(max_spikes=1), 0, 2**18)
def test_equals_the_whole_run(program: DynapcnnProgram, seed: int, scale: int) -> None:
    program = without_decimators(program)
    frames = random_frames(program, seed, 1, STEPS)[0] * scale
    frames[: STEPS // 2] //= scale  # from 32 bits out of them, if that is where it goes
    session = program.session()
    assert type(session) is TimestepSession
    try:
        program.run(frames[None], engine="reference")
    except InputError:  # a neuron fires more often than a trace can hold
        with pytest.raises(InputError, match="fires"):
            check(session, program, frames, "timestep")
        return
    check(session, program, frames, "timestep")


def test_sums_beyond_32_bits_go_through_the_program_and_come_back() -> None:
    program = single_core(weight=np.full((1, 1, 1, 1), 127, np.int8), max_spikes=None, threshold=32767, min_v=-32768)
    one_spike = single_core(weight=np.full((1, 1, 1, 1), 127, np.int8), max_spikes=1, threshold=32767)
    frames = np.full((4, 1, 1, 1), 2**20, np.int32)
    frames[::2] = 1
    check(program.session(), program, frames, "timestep")
    frames = np.full((24, 1, 1, 1), 2**20, np.int32)  # here the state itself leaves 32 bits
    session = one_spike.session()
    check(session, one_spike, frames, "timestep")
    end = session.state()
    assert end is not None
    assert int(np.abs(end["core"]["v_mem"]).max()) > 2**31


@given(programs(), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_event_semantics_and_decimators(program: DynapcnnProgram, seed: int) -> None:
    session = program.session("event")
    assert type(session) is RunSession
    check(session, program, random_frames(program, seed, 1, 4)[0], "event")


def test_wrong_frames_and_semantics() -> None:
    session = single_core().session()
    frame: Any
    for frame, message in (
        (np.zeros((1, 2, 1), np.int32), "have shape"),
        (np.full((1, 1, 1), -1, np.int32), "not negative"),
        (np.zeros((1, 1, 1), np.float32), "integers"),
    ):
        with pytest.raises(InputError, match=message):
            session.step(frame)
    with pytest.raises(InputError, match="choose one of"):
        single_core().session("hope").step(np.zeros((1, 1, 1), np.int32))
