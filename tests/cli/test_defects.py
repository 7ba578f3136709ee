"""A defect of our own ends in one line that says how to report it, and with an exit code of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Captured, refused

from i2e_deploy import environment
from i2e_deploy.cli.app import run


def break_doctor(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The doctor runs into an error that nobody foresaw."""

    def broken() -> environment.Row:
        raise error

    monkeypatch.setattr(environment, "samna", broken)


def test_a_defect_is_one_line_with_its_place(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    break_doctor(monkeypatch, KeyError("no such\nkey"))
    line = refused(capsys, "doctor", code=70)
    place = next(
        number
        for number, text in enumerate(Path(environment.__file__).read_text().splitlines(), 1)
        if "rows += [samna()" in text
    )
    assert f"KeyError at i2e_deploy/environment.py:{place}: 'no such\\nkey'" in line
    assert "report" in line
    assert "I2E_DEPLOY_TRACEBACK=1" in line


def test_an_error_without_a_message(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    break_doctor(monkeypatch, AssertionError())
    assert "error: AssertionError at i2e_deploy/environment.py:" in refused(capsys, "doctor", code=70)


def test_the_traceback_comes_when_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    break_doctor(monkeypatch, ZeroDivisionError("a sum"))
    monkeypatch.setenv("I2E_DEPLOY_TRACEBACK", "1")
    assert run(["doctor"]) == 70
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):")
    assert "in broken" in err
    assert err.splitlines()[-1].startswith("error: ZeroDivisionError at i2e_deploy/environment.py:")


def test_no_place_for_kernels_is_no_defect(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    text = "cannot cache function 'f': no locator available for file 'f.py'"
    break_doctor(monkeypatch, RuntimeError(text))
    assert "export NUMBA_CACHE_DIR=FOLDER" in refused(capsys, "doctor")
