"""Rates of noise that make more events than memory holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from i2e_deploy.conversion import sensor as sensors
from i2e_deploy.conversion.sensor import Sensor, simulate
from i2e_deploy.errors import InputError

IMAGE = np.full((1, 64, 64), 9, np.uint8)
SMALL = np.full((1, 16, 16), 9, np.uint8)


@pytest.mark.parametrize(
    "given", [{"leak_rate_hz": 1e8}, {"shot_noise_rate_hz": 9e8}, {"hot_rate_hz": 9e8, "hot_fraction": 0.5}]
)
def test_a_rate_without_bound_is_refused_before_memory_is_taken(given: dict[str, Any]) -> None:
    name = next(iter(given))
    with pytest.raises(
        InputError, match=rf"^{name} is .*: 4096 pixels give .* noise events in \d+ us, at most 67108864"
    ):
        simulate(IMAGE, "0.12", Sensor(**given), np.random.default_rng(0))


def test_the_limit_is_on_what_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Just below it the events come."""
    rate = 1e4
    count = len(simulate(SMALL, "0.12", Sensor(leak_rate_hz=rate), np.random.default_rng(0)))
    monkeypatch.setattr(sensors, "MAX_NOISE", count * 1.02)
    assert len(simulate(SMALL, "0.12", Sensor(leak_rate_hz=rate), np.random.default_rng(1))) > 0.9 * count
    monkeypatch.setattr(sensors, "MAX_NOISE", count * 0.98)
    with pytest.raises(InputError, match="lower the rate"):
        simulate(SMALL, "0.12", Sensor(leak_rate_hz=rate), np.random.default_rng(1))
