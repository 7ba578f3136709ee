"""Statistics of events against direct computation, and the comparison of two sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.conversion.gap import STATISTICS, compare, local_support, log_gap, mean_gap, spectrum_centre, statistics
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, empty_events


def some_events(seed: int, count: int, width: int = 8, height: int = 6, duration: int = 100_000) -> Events:
    rng = np.random.default_rng(seed)
    events = empty_events(count)
    events["t"] = np.sort(rng.integers(0, duration, count))
    events["x"], events["y"] = rng.integers(0, width, count), rng.integers(0, height, count)
    events["p"] = rng.integers(0, 2, count)
    return events


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 60))
def test_local_support_is_what_it_says(seed: int, count: int) -> None:
    events = some_events(seed, count)
    supported = 0
    for i, event in enumerate(events):
        earlier = events[:i]
        near = (abs(earlier["x"].astype(int) - int(event["x"])) <= 1) & (
            abs(earlier["y"].astype(int) - int(event["y"])) <= 1
        )
        same = (earlier["x"] == event["x"]) & (earlier["y"] == event["y"])
        supported += bool((near & ~same & (event["t"] - earlier["t"] <= 5000)).any())
    assert local_support(events, 8, 6) == supported / count


def test_rates_shares_and_intervals() -> None:
    """One pixel of 2x1 fires ON every 4 ms for 40 ms, the other once OFF."""
    events = empty_events(11)
    events["t"] = [*range(0, 40_000, 4_000), 39_000]
    events["p"][:10], events["x"][10] = 1, 1
    found = statistics(events, 2, 1, 40_000)
    assert found["on_rate_hz"] == pytest.approx(10 / 2 / 0.04)
    assert found["off_rate_hz"] == pytest.approx(1 / 2 / 0.04)
    assert found["on_share"] == pytest.approx(10 / 11)
    assert found["isi_median_ms"] == 4.0
    assert found["active_pixels"] == 1.0
    assert found["events_a_pixel"] == 5.5
    assert tuple(found) == tuple(STATISTICS)


@pytest.mark.parametrize("cycles", [4, 8, 12])
def test_spectrum_of_a_wave_is_at_its_frequency(cycles: int) -> None:
    wave = np.rint(1000 * (1 + np.cos(2 * np.pi * cycles * np.arange(32) / 32))).astype(np.int64)
    assert spectrum_centre(np.tile(wave, (32, 1))) == pytest.approx(cycles / 32, abs=1 / 32)


def test_poisson_has_burstiness_one() -> None:
    """Statistical: independent events, 100 windows."""
    assert statistics(some_events(0, 5000), 8, 6, 100_000)["burstiness"] == pytest.approx(1, abs=0.3)


def test_compare_tells_alike_from_different() -> None:
    few = [statistics(some_events(seed, 200), 8, 6, 100_000) for seed in range(30)]
    alike = [statistics(some_events(seed, 200), 8, 6, 100_000) for seed in range(100, 130)]
    many = [statistics(some_events(seed, 400), 8, 6, 100_000) for seed in range(200, 230)]
    by_name = {row.name: row for row in compare(few, many)}
    assert by_name["isi_median_ms"].effect == 1.0
    assert by_name["events_a_pixel"].effect == -1.0
    assert mean_gap(compare(few, alike)) < 0.2 < mean_gap(compare(few, many))
    assert log_gap(compare(few, few)) == 0
    for row in compare(few, alike):
        assert row.synthetic_interval[0] <= row.synthetic <= row.synthetic_interval[1]
    assert compare(few, many) == compare(few, many)


def test_empty_recordings_and_bad_arguments() -> None:
    found = statistics(empty_events(), 8, 6, 1000)
    assert found["on_rate_hz"] == 0
    assert np.isnan(found["isi_median_ms"])
    with pytest.raises(InputError, match="at least one"):
        compare([], [found])
    with pytest.raises(InputError, match="duration"):
        statistics(empty_events(), 8, 6, 0)
    with pytest.raises(InputError, match="limit is 3"):
        statistics(some_events(0, 50), 4, 6, 1000)
