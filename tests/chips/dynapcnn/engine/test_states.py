"""A run cut in time into pieces, each started from the states of the one before, equals the whole run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_programs import tiny_program

from i2e_deploy.chips import Engine
from i2e_deploy.errors import InputError


@settings(max_examples=25)
@given(st.integers(0, 20), st.lists(st.integers(1, 9), max_size=3, unique=True), st.sampled_from(["fast", "reference"]))
def test_pieces_equal_the_whole(seed: int, cuts: list[int], engine: Engine) -> None:
    program = tiny_program(seed=seed)
    frames = np.random.default_rng(seed).integers(0, 3, (3, 10, *program.input_shape))
    whole = program.run(frames, engine="reference")
    states: Any = None
    parts = []
    for piece in np.split(frames, sorted(cuts), axis=1):
        trace = program.run(piece, engine=engine, states=states)
        states = trace.states
        parts.append(trace)
    for name in whole.spikes:
        np.testing.assert_array_equal(np.concatenate([part.spikes[name] for part in parts], axis=1), whole.spikes[name])
        np.testing.assert_array_equal(states[name]["v_mem"], whole.states[name]["v_mem"])
        assert sum(part.counts[name].spikes for part in parts) == whole.counts[name].spikes
        assert sum(part.counts[name].synops for part in parts) == whole.counts[name].synops
    np.testing.assert_array_equal(np.concatenate([part.output for part in parts], axis=1), whole.output)


def test_states_are_not_changed_and_are_checked() -> None:
    program = tiny_program()
    frames = np.ones((2, 3, *program.input_shape), np.int32)
    before = program.run(frames).states
    kept = {name: value["v_mem"].copy() for name, value in before.items()}
    for engine in ("fast", "reference"):
        program.run(frames, engine=engine, states=before)
        for name, value in before.items():
            np.testing.assert_array_equal(value["v_mem"], kept[name])
    with pytest.raises(InputError, match="states lack 'v_mem' of layer 'readout'"):
        program.run(frames, states={"conv": before["conv"]})
    with pytest.raises(InputError, match="state 'v_mem' of layer 'conv' is int64"):
        program.run(frames[:1], states=before)
