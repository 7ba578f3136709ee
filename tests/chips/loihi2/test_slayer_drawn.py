"""Drawn SLAYER modules are read right or refused: none is another network in silence.

`I2E_SLAYER_FUZZ=300 pytest tests/chips/loihi2/test_slayer_drawn.py` draws more, `I2E_SLAYER_FUZZ_FIRST` others.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from children import needs_lava, run_script

PROPERTY = Path(__file__).parent / "lava" / "slayer_property.py"


@needs_lava
@pytest.mark.slow
def test_drawn_modules_are_equal_or_refused_or_doubtful() -> None:
    """Agreement: exact, of what the modules' own forward returns, on frames that the reader has not seen."""
    count, first = int(os.environ.get("I2E_SLAYER_FUZZ", "60")), os.environ.get("I2E_SLAYER_FUZZ_FIRST", "0")
    result = json.loads(run_script(PROPERTY, first, str(count), time_limit=120 + 4 * count))
    for found in result.values():
        assert found["wrong"] == {}
        assert sum(found["equal"].values()) > count / 5
        assert sum(found["refused"].values()) > count / 5
        assert len(found["equal"]) >= 3  # ways of writing a module
        assert len(found["refused"]) >= 8  # reasons
