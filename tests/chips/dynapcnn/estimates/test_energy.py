"""Power: coefficients are got back from readings made with them; without coefficients nothing is invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients, Reading, calibrate_power, power_figures
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


def test_without_coefficients_public_measurements_stand() -> None:
    profile = load_profile("speck2f")
    figures = {f.name: f for f in power_figures(COUNTS, 4, 0.25, profile)}
    rails = [figures[f"power at rest, rail {name}"] for name in ("io", "ram", "logic")]
    rest, work = figures["power at rest, processor"], figures["dynamic power, synaptic operations"]
    power = figures["power, processor"]
    energy = profile.estimate("synop_energy")
    for end in ("low", "high"):
        watts = {name: getattr(figure, end) for name, figure in figures.items()}
        assert sum(getattr(rail, end) for rail in rails) == pytest.approx(getattr(rest, end))
        assert getattr(work, end) == pytest.approx(60_000 * getattr(energy, end) * 1e-9)  # 60,000 a second, pJ in mW
        assert getattr(power, end) == pytest.approx(getattr(rest, end) + getattr(work, end))
        assert watts["energy a sample"] == pytest.approx(watts["power, processor"] * 0.25 * 1e3)  # mW s in uJ
        assert watts["dynamic energy a sample"] == pytest.approx(getattr(work, end) * 0.25 * 1e3)
    assert {f.certainty for f in figures.values()} == {"record"}
    assert power.sources == (*rest.sources, *work.sources)


def test_what_was_measured_on_another_chip_is_marked() -> None:
    """Speck2e: its own rest, the energy of an operation of Speck2f; the old kit: nothing of its own."""
    told = {f.name: f for f in power_figures(COUNTS, 1, 1.0, load_profile("speck2e"))}
    assert told["power at rest, processor"].certainty == "record"
    assert told["dynamic power, synaptic operations"].certainty == told["power, processor"].certainty == "unverified"
    assert "taken over from Speck2f" in told["dynamic power, synaptic operations"].sources[0]
    assert {f.certainty for f in power_figures(COUNTS, 1, 1.0, load_profile("dynapcnn"))} == {"unverified"}


def test_a_profile_without_an_energy_of_an_operation_tells_the_rest_alone() -> None:
    profile = load_profile("speck2f")
    rest = replace(profile, estimates={k: v for k, v in profile.estimates.items() if k != "synop_energy"})
    names = [f.name for f in power_figures(COUNTS, 4, 0.25, rest)]
    assert names[-1] == "energy a sample, at rest alone"
    assert not [name for name in names if "dynamic" in name]


def test_with_coefficients_operations_and_spikes_add_to_it() -> None:
    known = Coefficients(1e-3, 1e-11, 1e-9, "board 1", 5, residual_w=1e-4)
    figures = {f.name: f for f in power_figures(COUNTS, 4, 0.125, load_profile("speck2f"), known)}
    synops, spikes = 60_000 * 1e-11 / 0.5, 1200 * 1e-9 / 0.5
    total = figures["power, processor"]
    assert figures["dynamic power, synaptic operations"].low == pytest.approx(1e3 * synops)
    assert figures["dynamic power, spikes"].high == pytest.approx(1e3 * spikes)
    milliwatts = 1 + 1e3 * (synops + spikes)
    assert (total.low, total.high) == pytest.approx((milliwatts - 0.1, milliwatts + 0.1))
    assert figures["dynamic energy a sample"].low == pytest.approx(1e6 * (synops + spikes) * 0.125)
    assert (total.certainty, total.sources) == ("calibrated", ("board 1",))


def test_refusals() -> None:
    with pytest.raises(InputError, match="1 samples of 0 s"):
        power_figures(COUNTS, 1, 0, load_profile("speck2f"))
    with pytest.raises(InputError, match="2 readings cannot separate"):
        calibrate_power([Reading(0, 0, 1), Reading(1, 1, 2)], "x")
    with pytest.raises(InputError, match="3 readings cannot separate"):
        calibrate_power([Reading(1, 1, 1), Reading(2, 2, 2), Reading(3, 3, 3)], "x")
