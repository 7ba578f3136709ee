"""Run the command line in a test, and what every refusal looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2e_deploy.cli.app import run

Captured = pytest.CaptureFixture[str]


def refused(capsys: Captured, *arguments: object, code: int = 2) -> str:
    """Run a command that must fail; returns its one line."""
    assert run([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert bool(captured.out) == ("--json" in arguments)
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def export_then(network_file: Path, tmp_path: Path, capsys: Captured) -> tuple[object, ...]:
    assert run(["export", str(network_file), "--chip", "speck2f", "--out", str(tmp_path / "b"), "--json"]) == 0
    capsys.readouterr()
    return "verify", tmp_path / "b"
