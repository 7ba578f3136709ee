"""The example that trains a SpikingJelly network on digits: its own forward and the float run decide alike."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("spikingjelly")
pytest.importorskip("mlxtend")
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_a_trained_network_decides_as_in_its_own_forward(capsys: pytest.CaptureFixture[str]) -> None:
    """With 300 digits and one epoch."""
    main = runpy.run_path(str(EXAMPLES / "spikingjelly_digits.py"))["main"]
    own, read, differ = main(pictures=300, epochs=1)
    said = capsys.readouterr().out
    assert "compared with CSNN.forward on 8 samples of 8 steps" in said
    assert differ <= 1
    assert abs(own - read) <= 0.004
