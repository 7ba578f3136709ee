"""I2E: every implementation equals the integer reference, and the reference says what the paper says."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from i2e_deploy.conversion import I2E, as_ratio, i2e_reference, i2e_torch
from i2e_deploy.conversion.reference import OFF, ON
from i2e_deploy.conversion.vectors import CANONICAL, DEFAULT_ORDER, placements, saccades
from i2e_deploy.errors import InputError


def test_the_paper_by_hand() -> None:
    """One bright pixel: each saccade sees it once brighter and once darker, where its vector says."""
    picture = np.zeros((1, 1, 5, 5), np.uint8)
    picture[0, 0, 2, 2] = 200
    frames = i2e_reference(picture, "0.12")[0]
    for frame, kernel in zip(frames, saccades(), strict=True):
        (plus_y, plus_x), (minus_y, minus_x) = kernel.plus, kernel.minus
        assert np.argwhere(frame[ON]).tolist() == [[2 - plus_y, 2 - plus_x]]
        assert np.argwhere(frame[OFF]).tolist() == [[2 - minus_y, 2 - minus_x]]


def test_a_tie_does_not_fire() -> None:
    """Range 100, S_th0 0.5: a difference of exactly 50 is not above the threshold, 51 is."""
    for middle, fires in ((50, False), (51, True)):
        picture = np.array([[[[0, middle, 100]]]], np.uint8)
        step = i2e_reference(picture, "0.5")[0, DEFAULT_STEP]
        assert bool(step[ON, 0, 0]) is fires


#: The step of the horizontal 1-pixel saccade [5, 6]: the pixel to the right minus the pixel itself.
DEFAULT_STEP = 4


def test_alpha_is_ignored_and_grey_is_its_own_value() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    rgba = np.concatenate([rgb, np.full((2, 1, 8, 8), 255, np.uint8)], 1)
    grey = rgb.max(1, keepdims=True)
    assert np.array_equal(i2e_reference(rgba, "0.1"), i2e_reference(rgb, "0.1"))
    assert np.array_equal(i2e_reference(grey, "0.1"), i2e_reference(rgb, "0.1"))


def test_sets_of_placements_have_the_sizes_of_the_paper() -> None:
    sizes = {length: [len(placements(kernel)) for kernel in CANONICAL[length]] for length in DEFAULT_ORDER}
    assert sizes == {"gamma": [2, 2, 2, 2], "alpha": [6, 6], "beta": [4, 4]}
    for kernel in saccades():
        moved = {(p.plus[0] - p.minus[0], p.plus[1] - p.minus[1]) for p in placements(kernel)}
        assert len(moved) == 1
        assert placements(kernel)[0] == kernel


def test_orders() -> None:
    assert len(saccades(("alpha", "beta", "gamma"))) == 8
    assert saccades(("beta", "gamma", "alpha"))[:2] == CANONICAL["beta"]
    with pytest.raises(InputError, match="each of"):
        saccades(("alpha", "alpha", "beta"))


def test_training_draws_a_placement_for_each_image_and_repeats_with_the_seed() -> None:
    batch = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (1, 1, 16, 16)).astype(np.uint8)).repeat(
        40, 1, 1, 1
    )
    module = I2E("0.1", generator=torch.Generator().manual_seed(5)).train()
    first = module(batch)
    assert len({frames.numpy().tobytes() for frames in first}) > 20
    assert torch.equal(first, I2E("0.1", generator=torch.Generator().manual_seed(5)).train()(batch))
    for t, kernel in enumerate(saccades()):
        allowed = {i2e_reference(batch[:1].numpy(), "0.1", [p]).tobytes() for p in placements(kernel)}
        assert {frames[t].numpy().astype(np.uint8).tobytes() for frames in first} <= allowed
    assert torch.equal(module.eval()(batch[:1]), i2e_torch(batch[:1], "0.1").float())


@pytest.mark.parametrize("value", ["x", "1/0", -0.1, 1.5, "0.123456789", None])
def test_bad_ratios_are_refused(value: str) -> None:
    with pytest.raises(InputError, match="S_th0"):
        as_ratio(value)


def test_ratios_are_exact() -> None:
    assert as_ratio(0.07) == as_ratio("0.07") == Fraction(7, 100)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 2, 4, 4), (1, 3, 0, 4)])
def test_bad_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="shape"):
        i2e_reference(np.zeros(shape, np.uint8), "0.1")


def test_bad_values_are_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        i2e_reference(np.zeros((1, 3, 4, 4), np.float32), "0.1")
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        I2E("0.1")(torch.full((1, 3, 4, 4), 2.0))
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        I2E("0.1")(torch.zeros((1, 3, 4, 4), dtype=torch.int64))
