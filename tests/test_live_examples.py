"""The live examples run as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_own_source() -> None:
    assert load("own_source.py")["main"]() == 20_000


def test_live_from_file(tmp_path: Path) -> None:
    pytest.importorskip("sinabs")
    example = load("live_from_file.py")
    example["make_recording"](tmp_path / "disc.npz")
    decisions = example["main"](tmp_path / "disc.npz", example["make_program"]())
    assert decisions == 24


def test_hardware_in_the_loop(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("hil_fake_board.py")
    works = example["main"](example["Faults"]())
    assert works.agreements[0].exact
    assert works.results[1].power is not None
    assert "every spike equal" in capsys.readouterr().out
    loses = example["main"](example["Faults"](lose_every=20))
    assert not loses.agreements[0].exact
    assert "readout" in str(loses.agreements[0].divergence)
    assert "<testsuite" in capsys.readouterr().out
