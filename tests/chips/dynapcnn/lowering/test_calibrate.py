"""The calibrated lowering keeps the bits that Sinabs' single scale loses, and comes closer to the float network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.formats.program_file import from_tensors
from i2e_deploy.chips.dynapcnn.lowering.calibrate import _float_spikes, effective_bits
from i2e_deploy.chips.dynapcnn.lowering.stages import arrange
from i2e_deploy.chips.dynapcnn.reference.timestep import gather
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT, Conv2d, IntegrateAndFire, Network, chain

CHIP = DynapcnnChip("speck2f")
FRAMES = (np.random.default_rng(5).random((4, 6, 2, 8, 8)) < 0.3).astype(np.int64)


def network(bias: float | None = None, min_v: float | None = -1.0) -> Network:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(0.1, 0.3, shape).astype(np.float32) for shape in ((6, 2, 3, 3), (4, 6, 3, 3)))
    biases = None if bias is None else np.array([bias, *[0.02] * 5], np.float32)
    return chain(
        (2, 8, 8),
        {
            "one": Conv2d(first, biases), "spike1": IntegrateAndFire(1.0, min_v),
            "two": Conv2d(second), "spike2": IntegrateAndFire(1.0, -1.0),
        },
    )  # fmt: skip


def distance(program: DynapcnnProgram, float_network: Network) -> int:
    """Spikes by which all layers differ from the float network's."""
    stages, _ = arrange(float_network)
    spikes: dict[str, NDArray[Any]] = {INPUT: FRAMES}
    for stage in stages:
        spikes[stage.name] = _float_spikes(stage, gather(stage.sources, spikes, stage.input_shape[0]))
    trace = program.run(FRAMES)
    return sum(int(np.abs(trace.spikes[stage.name] - spikes[stage.name]).sum()) for stage in stages)


@pytest.mark.parametrize(
    ("case", "fewest"),
    [({"bias": -30.0}, 7.5), ({"min_v": -2000.0}, 7.5), ({}, 7.5)],
    ids=["large bias", "far lower bound", "plain"],
)
def test_calibrated_is_closer_to_float(case: dict[str, float], fewest: float) -> None:
    float_network = network(**case)
    compatible, calibrated = CHIP.lower(float_network), CHIP.lower(float_network, LowerOptions(FRAMES))
    assert effective_bits(calibrated.layers[0]) >= fewest
    assert distance(calibrated, float_network) <= distance(compatible, float_network)
    if "bias" in case or "min_v" in case:
        assert effective_bits(compatible.layers[0]) < 6
        assert distance(calibrated, float_network) < distance(compatible, float_network) / 2


def test_no_lower_bound_keeps_the_weights() -> None:
    """With None Sinabs' scale is at most 1 and the threshold of 1 beside such weights has one bit."""
    calibrated = CHIP.lower(network(min_v=None), LowerOptions(FRAMES))
    assert calibrated.layers[0].min_v == -32768
    assert effective_bits(calibrated.layers[0]) >= 7.5


def test_a_lower_bound_of_zero_becomes_one_below() -> None:
    """0 is an erratum of the chip."""
    assert CHIP.lower(network(min_v=0.0), LowerOptions(FRAMES)).layers[0].min_v == -1


def test_a_bias_of_16_bits_survives_the_file() -> None:
    program = CHIP.lower(network(bias=-30.0), LowerOptions(FRAMES))
    assert program.layers[0].bias is not None
    assert program.layers[0].bias.min() < -128
    again = CHIP.program(*program.to_tensors())
    for semantics in ("timestep", "event"):
        np.testing.assert_array_equal(program.run(FRAMES, semantics).output, again.run(FRAMES, semantics).output)
        slow = program.run(FRAMES, semantics, "reference")
        np.testing.assert_array_equal(program.run(FRAMES, semantics).output, slow.output)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 6, 1, 8, 8), r"this program takes \[B, T, 2, 8, 8\]"),  # one channel would be taken for both
        ((4, 6, 2, 8, 1), "this program takes"),
        ((4, 0, 2, 8, 8), "at least one sample and one step"),
    ],
)
def test_frames_of_another_network_are_refused(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        CHIP.lower(network(), LowerOptions(np.ones(shape, np.int64)))


@settings(max_examples=40, deadline=None)
@given(
    size=st.sampled_from([1e-4, 0.1, 1.0, 300.0]), threshold=st.sampled_from([1e-3, 1.0, 50.0]),
    min_v=st.sampled_from([None, 0.0, -0.0, -1e-6, -1.0, -1e6]), bias=st.sampled_from([None, 0.0, -30.0, 1e6]),
)  # fmt: skip
def test_calibrated_integers_are_always_legal(
    size: float, threshold: float, min_v: float | None, bias: float | None
) -> None:
    """Whatever the floats are: thresholds from 1, bounds below 0, all within the chip's words."""
    weight = (size * np.random.default_rng(0).normal(0.1, 0.3, (3, 2, 3, 3))).astype(np.float32)
    biases = None if bias is None else np.full(3, bias, np.float32)
    made = chain((2, 8, 8), {"c": Conv2d(weight, biases), "n": IntegrateAndFire(threshold, min_v)})
    program = CHIP.lower(made, LowerOptions(FRAMES))
    (layer,) = program.layers
    assert 1 <= layer.threshold <= 2**15 - 1
    assert -(2**15) <= layer.min_v <= -1
    assert not {"threshold", "lower bound"} & {error.rule for error in CHIP.check(made, program=program).errors}
    from_tensors(*program.to_tensors())  # the ranges that a bundle is read with
