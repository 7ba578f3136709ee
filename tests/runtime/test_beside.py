"""Ours beside a chip's counts, and the picture of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from i2e_deploy.errors import InputError
from i2e_deploy.reporting import save_chip_picture
from i2e_deploy.runtime import beside_chip


@pytest.mark.parametrize("seed", range(20))
def test_a_comparison_is_what_a_loop_counts(seed: int) -> None:
    """Whole numbers stored as floats, as records often are, are taken."""
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 6, rng.integers(1, 4)))
    ours, chip = rng.integers(0, 9, shape), rng.integers(0, 9, shape).astype(np.float32)
    found = beside_chip(ours, chip)
    apart = [abs(int(a) - int(b)) for a, b in zip(ours.ravel(), chip.ravel(), strict=True)]
    assert (found.ours, found.chip, found.neurons) == (sum(ours.ravel()), sum(chip.ravel()), ours.size)
    assert (found.differing, found.spikes_apart, found.largest) == (
        sum(a > 0 for a in apart), sum(apart), max(apart),
    )  # fmt: skip
    if found.chip:
        assert found.excess == pytest.approx((found.ours - found.chip) / found.chip)
        assert f"chip {found.chip:,}, ours {found.ours:,} ({100 * found.excess:+.2f} %)" in str(found)


def test_what_is_no_count_is_refused() -> None:
    good = np.ones((2, 3), np.int64)
    with pytest.raises(InputError, match=r"\[2, 3\] and \[3, 2\]"):
        beside_chip(good, good.T)
    with pytest.raises(InputError, match="not empty"):
        beside_chip(np.zeros(0, np.int64), np.zeros(0, np.int64))
    with pytest.raises(InputError, match="the record hold fractions"):
        beside_chip(good, good * 0.5)
    for bad in (-good, good * np.nan, np.full((2, 3), "a")):
        with pytest.raises(InputError, match="counts of ours, dtype"):
            beside_chip(bad, good)


def test_a_picture_shows_chip_ours_and_the_difference(tmp_path: Path) -> None:
    """A neuron that differs is seen: the picture of equal counts is another one."""
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    rng = np.random.default_rng(0)
    ours = rng.integers(0, 9, (5, 4, 6))
    other = ours.copy()
    other[3, 2, 1] += 1
    for name, chip in (("equal", ours), ("apart", other)):
        save_chip_picture([("digit 0", ours, chip), ("digit 1", ours, chip)], tmp_path / f"{name}.png")
    equal, apart = (imread(tmp_path / f"{name}.png") for name in ("equal", "apart"))
    assert equal.shape == apart.shape
    assert equal.shape[0] > 400
    assert (equal != apart).any()
    with pytest.raises(InputError, match="nothing to draw"):
        save_chip_picture([], tmp_path / "none.png")
    with pytest.raises(InputError, match="row 'a' has shapes"):
        save_chip_picture([("a", ours, other[0])], tmp_path / "none.png")
