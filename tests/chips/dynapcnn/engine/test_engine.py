"""EXACT: the fast time-stepped engine equals its reference on random programs, whichever way it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.engine.timestep import engine
from i2e_deploy.chips.dynapcnn.engine.timestep.kernels import divisor
from i2e_deploy.chips.dynapcnn.engine.timestep.layer import fits_words
from i2e_deploy.chips.dynapcnn.engine.timestep.step_spikes import from_frames


@pytest.mark.parametrize("advantage", [0, 8, 2**60], ids=["scatter", "choose", "convolve"])
@given(program=programs(), seed=st.integers(0, 2**16), scale=st.sampled_from([1, 1, 30]))
def test_engine_equals_reference(advantage: int, program: DynapcnnProgram, seed: int, scale: int) -> None:
    program = replace(program, layers=tuple(replace(layer, decimation=1) for layer in program.layers))
    frames = random_frames(program, seed, samples=3, steps=4) * scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "DENSE_ADVANTAGE", advantage)
        patch.setattr(engine, "WORTH_TORCH", 0)  # whether torch is loaded or not
        fast = program.run(frames.astype(np.uint8) if seed % 2 else frames)
    slow = program.run(frames, engine="reference")
    assert slow.counts == fast.counts
    np.testing.assert_array_equal(slow.output, fast.output)
    for name in program.layer_names:
        np.testing.assert_array_equal(slow.spikes[name], fast.spikes[name])
        np.testing.assert_array_equal(slow.states[name]["v_mem"], fast.states[name]["v_mem"])


@given(number=st.integers(1, 2**20), dividend=st.integers(0, 2**31 - 1))
def test_divisor_is_exact(number: int, dividend: int) -> None:
    factor, shift = divisor(number)
    for value in (dividend, dividend // number * number, 2**31 - 1):
        assert value * factor < 2**63
        assert value * factor >> shift == value // number


@pytest.mark.parametrize("width", [62, 63])
def test_kernels_too_wide_for_the_words_of_a_table_are_convolved(width: int) -> None:
    rng = np.random.default_rng(width)
    weight = rng.integers(-127, 128, (3, 2, 1, width)).astype(np.int8)
    core = CoreLayer(
        "core", (Source("input"),), weight, None, (1, 1), (0, width - 1), 200, -200, None, "subtract",
        (2, 4, 70), (3, 4, 69 + width),
    )  # fmt: skip
    assert fits_words(core) == (width < 63)
    program = DynapcnnProgram((2, 4, 70), (core,), (Source("core"),))
    frames = (rng.random((2, 5, 2, 4, 70)) < 0.05).astype(np.uint8)
    fast, slow = program.run(frames), program.run(frames, engine="reference")
    assert slow.counts == fast.counts
    assert slow.counts["core"].spikes
    np.testing.assert_array_equal(slow.spikes["core"], fast.spikes["core"])


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize("size", [(7, 9), (64, 80)])
def test_lists_of_frames_grow_until_all_is_in(size: tuple[int, int], dtype: type) -> None:
    rng = np.random.default_rng(0)
    frames: NDArray[np.integer[Any]] = rng.integers(0, 3, (6, 3, *size)).astype(dtype)
    listed = from_frames(frames)
    np.testing.assert_array_equal(listed.dense(), frames)
    assert (listed.total, listed.largest) == (int(frames.sum()), 2)
