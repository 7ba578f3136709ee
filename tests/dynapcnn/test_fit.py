"""What is proposed when a layer fits no core really fits, and splitting a layer changes no spike."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from i2e_deploy.chips import get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.fit import Sizes, proposals, split_layer, split_to_fit
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.errors import CheckFailed
from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, Op, chain

PROFILE = load_profile("speck2f")


@settings(max_examples=40)
@given(program=programs(), seed=st.integers(0, 2**16), pick=st.integers(0, 10))
def test_a_split_layer_changes_no_spike_in_time_steps(program: DynapcnnProgram, seed: int, pick: int) -> None:
    program = replace(program, layers=tuple(replace(layer, decimation=1) for layer in program.layers))
    layer = program.layers[pick % len(program.layers)]
    assume(layer.output_shape[0] > 1)
    frames = random_frames(program, seed, samples=2, steps=3)
    split = split_layer(program, layer.name)
    for engine in ("reference", "fast"):
        np.testing.assert_array_equal(
            program.run(frames, engine=engine).output, split.run(frames, engine=engine).output
        )


@given(
    features=st.integers(1, 1024), channels=st.integers(1, 512), kernel=st.integers(1, 16), height=st.integers(1, 64),
    width=st.integers(1, 64),
)  # fmt: skip
def test_proposals_hold_what_they_say(features: int, channels: int, kernel: int, height: int, width: int) -> None:
    """Whatever number is proposed fits, and the next larger one does not."""
    sizes = Sizes(features, channels, (kernel, kernel), height, width, False)
    assume(not sizes.fits(PROFILE))
    for text in proposals(sizes, PROFILE):
        numbers = [int(word) for word in text.replace("x", " ").split() if word.isdigit()]
        if "output channels" in text:
            assert replace(sizes, features=numbers[0]).fits(PROFILE)
            assert not replace(sizes, features=numbers[0] + 1).fits(PROFILE)
        elif "kernel" in text:
            assert replace(sizes, kernel=(numbers[0],) * 2).fits(PROFILE)
            assert not replace(sizes, kernel=(numbers[0] + 1,) * 2).fits(PROFILE)
        elif text.startswith("split"):
            assert replace(sizes, features=numbers[0]).fits(PROFILE)


def network(*features: int, size: int = 16) -> Network:
    rng = np.random.default_rng(0)
    ops: dict[str, Op] = {}
    for i, (c, f) in enumerate(pairwise(features)):
        ops[f"conv{i}"] = Conv2d(rng.normal(0.1, 0.3, (f, c, 3, 3)).astype(np.float32), padding=(1, 1))
        ops[f"spike{i}"] = IntegrateAndFire(1.0, -1.0)
    return chain((features[0], size, size), ops)


def test_a_layer_too_large_for_any_core_is_split_and_placed() -> None:
    """64 x 64 channels of 3x3 kernels take 64 Ki words; 256 features of 16x16 neurons take more than any core has."""
    wide = network(2, 16, 512, 4, size=8)
    report = get("speck2f").check(wide)
    (finding,) = [f for f in report.errors if f.rule == "cores"]
    assert "split it over two cores of 256 features" in finding.fix
    program = get("speck2f").lower(wide)
    assert isinstance(program, DynapcnnProgram)
    split, slots = split_to_fit(program, PROFILE)
    assert [slot.layer for slot in slots] == ["conv0", "conv1.a", "conv1.b", "conv2"]
    assert len({slot.core for slot in slots}) == 4
    assert all(slot.used[kind] <= slot.available[kind] for slot in slots for kind in slot.used)
    frames = (np.random.default_rng(0).random((1, 2, 2, 8, 8)) < 0.3).astype(np.int64)
    np.testing.assert_array_equal(program.run(frames).output, split.run(frames).output)
    assert prod(program.layers[1].output_shape) == 512 * 64


def test_what_cannot_be_split_is_refused() -> None:
    program = get("speck2f").lower(network(2, 16, 1024, 4, size=16))
    assert isinstance(program, DynapcnnProgram)
    with pytest.raises(CheckFailed, match="even with layers split"):
        split_to_fit(program, PROFILE)
