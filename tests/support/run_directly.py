"""Run one test of the contract suite for all its parameters, without pytest around it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from i2e_deploy.testing.contract.commands import write_files
from i2e_deploy.testing.contract.subject import Part


def names_of_tests(suite: type[Part]) -> list[str]:
    """Names of its tests."""
    return [name for name, _ in inspect.getmembers(suite, inspect.isfunction) if name.startswith("test_")]


def run_test(suite: type[Part], name: str, folder: Path) -> None:
    """Run it with each of its parameters; the first failure leaves.

    Args:
        folder: each run gets a new one below it as `tmp_path`, with `files` in it.

    Raises:
        pytest.skip.Exception: it was skipped for every parameter.
        Whatever the test raises.
    """
    done, skipped = 0, None
    for number, given in enumerate(_parameters(suite, name)):
        fixtures = inspect.signature(getattr(suite, name)).parameters
        own = folder / f"{name}{number}"
        own.mkdir()
        if "tmp_path" in fixtures:
            given["tmp_path"] = own
        if "files" in fixtures:
            given["files"] = write_files(suite.subject, own)
        try:
            getattr(suite(), name)(**given)
            done += 1
        except pytest.skip.Exception as skip:
            skipped = skip
    if skipped is not None and not done:
        raise skipped


def _parameters(suite: type[Part], name: str) -> Iterator[dict[str, Any]]:
    subject, function = suite.subject, getattr(suite, name)
    known: dict[str, Any] = {
        "seed": range(subject.seeds), "semantics": subject.semantics,
        "too_large": subject.too_large, "unsupported": subject.unsupported,
    }  # fmt: skip
    known |= {mark.args[0]: mark.args[1] for mark in getattr(function, "pytestmark", ())}
    wanted = [key for key in inspect.signature(function).parameters if key not in ("self", "tmp_path", "files")]
    for values in product(*(known[key] for key in wanted)):
        yield dict(zip(wanted, values, strict=True))
