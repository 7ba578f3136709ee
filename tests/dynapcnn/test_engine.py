"""EXACT: the fast time-stepped engine equals its reference on random programs, whichever way it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn import DynapcnnProgram, engine


@pytest.mark.parametrize("advantage", [0, 8, 2**60], ids=["scatter", "choose", "convolve"])
@given(program=programs(), seed=st.integers(0, 2**16), scale=st.sampled_from([1, 1, 30]))
def test_engine_equals_reference(advantage: int, program: DynapcnnProgram, seed: int, scale: int) -> None:
    program = replace(program, layers=tuple(replace(layer, decimation=1) for layer in program.layers))
    frames = random_frames(program, seed, samples=3, steps=4) * scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "DENSE_ADVANTAGE", advantage)
        fast = program.run(frames.astype(np.uint8) if seed % 2 else frames)
    slow = program.run(frames, engine="reference")
    assert slow.counts == fast.counts
    np.testing.assert_array_equal(slow.output, fast.output)
    for name in program.layer_names:
        np.testing.assert_array_equal(slow.spikes[name], fast.spikes[name])
        np.testing.assert_array_equal(slow.states[name]["v_mem"], fast.states[name]["v_mem"])
