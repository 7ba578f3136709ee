"""SLAYER = our program, for each case of docs/loihi2.md, live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from children import needs_lava, run_script

pytestmark = needs_lava
EXACT = (
    "cuba", "channel decays", "delays", "recurrent", "residual sums, branches, pooling", "bias, reset together",
    "sigma-delta",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_script(Path(__file__).parent / "lava" / "slayer_cases.py"))
    return found


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.slow
def test_every_message_of_every_layer_is_equal(name: str, cases: dict[str, Any]) -> None:
    """Agreement: exact, at shift 0 (Sigma-Delta: layer j later by j steps)."""
    assert not any(cases[name]["wrong"])
    assert not any(cases[name]["eager"])
    assert min(cases[name]["sent"]) > 20


@pytest.mark.slow
def test_a_bias_without_reset_differs_and_so_do_staggered_resets(cases: dict[str, Any]) -> None:
    """These differ, and `check` says so: the reason for resetting all layers together at t = 2."""
    assert cases["bias, reset none"]["wrong"][0] > 0
    staggered = cases["bias, reset staggered"]["wrong"]
    assert staggered[0] == 0
    assert sum(staggered) > 0


@pytest.mark.slow
def test_a_bias_above_the_threshold_fires_at_once(cases: dict[str, Any]) -> None:
    """No reset undoes that; `check` counts the channels."""
    case = cases["bias above threshold"]
    assert sum(case["eager"]) > 0
    assert sum(case["wrong"]) > 0
