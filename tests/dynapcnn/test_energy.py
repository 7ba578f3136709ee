"""Power: coefficients are got back from readings made with them; without coefficients nothing is invented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn.energy import Coefficients, Reading, calibrate_power, estimate_power
from i2e_deploy.chips.profile import load_profile
from i2e_deploy.chips.trace import LayerCounts
from i2e_deploy.errors import InputError

COUNTS = {"one": LayerCounts(1000, 50_000, 0), "two": LayerCounts(200, 10_000, 0)}


@given(
    idle=st.floats(1e-4, 1e-2), synop=st.floats(1e-12, 1e-10), spike=st.floats(1e-11, 1e-8),
    seed=st.integers(0, 2**16),
)  # fmt: skip
def test_the_fit_gets_the_coefficients_back(idle: float, synop: float, spike: float, seed: int) -> None:
    """Tolerance: least squares in float64 on readings without noise."""
    rng = np.random.default_rng(seed)
    work = [(0.0, 0.0), *zip(rng.uniform(1e6, 1e8, 6), rng.uniform(1e4, 1e6, 6), strict=True)]
    readings = [Reading(s, e, idle + synop * s + spike * e) for s, e in work]
    fitted = calibrate_power(readings, "made up")
    assert fitted.idle_w == pytest.approx(idle, rel=1e-5)
    assert fitted.synop_j == pytest.approx(synop, rel=1e-3, abs=1e-16)
    assert fitted.spike_j == pytest.approx(spike, rel=1e-3, abs=1e-13)
    assert fitted.residual_w < 1e-9


def test_no_coefficient_is_negative() -> None:
    readings = [Reading(0, 0, 1e-3), Reading(1e6, 1e4, 2e-3), Reading(2e6, 5e4, 2.5e-3), Reading(1e6, 9e4, 1.5e-3)]
    fitted = calibrate_power(readings, "made up")
    assert fitted.synop_j > 0
    assert fitted.spike_j == 0


def test_estimates() -> None:
    profile = load_profile("speck2f")
    bare = estimate_power(COUNTS, 1.0, profile)
    assert bare.dynamic_w is None
    assert bare.idle_w == pytest.approx(480.4e-6)
    assert "no energy per operation is public" in bare.source
    known = estimate_power(COUNTS, 0.5, profile, Coefficients(1e-3, 1e-11, 1e-9, "board 1"))
    assert known.dynamic_w == pytest.approx(2 * (60_000 * 1e-11 + 1200 * 1e-9))
    assert known.source == "board 1"


def test_refusals() -> None:
    with pytest.raises(InputError, match="duration is 0 s"):
        estimate_power(COUNTS, 0, load_profile("speck2f"))
    with pytest.raises(InputError, match="2 readings do not tell"):
        calibrate_power([Reading(0, 0, 1), Reading(1, 1, 2)], "x")
    with pytest.raises(InputError, match="3 readings do not tell"):
        calibrate_power([Reading(1, 1, 1), Reading(2, 2, 2), Reading(3, 3, 3)], "x")
