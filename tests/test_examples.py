"""The examples run as they stand."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_deploy_sinabs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(EXAMPLES / "deploy_sinabs.py"))["main"]
    main(tmp_path / "bundle")
    assert "golden vectors exact: True" in capsys.readouterr().out
