"""The toy chip, which lives outside the package: the contract suite on it, and what only a guest can show."""

from __future__ import annotations

import pytest
from distributions import TOY_CHIP, put_on_path, register_project
from toy_networks import subject

from i2e_deploy.testing.chip_contract import ChipContract


@pytest.fixture(autouse=True)
def toy_chip(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution as if installed, here and in child processes."""
    put_on_path(monkeypatch, TOY_CHIP, register_project(TOY_CHIP, tmp_path_factory.mktemp("site")))


class TestToyChip(ChipContract):
    subject = subject()
