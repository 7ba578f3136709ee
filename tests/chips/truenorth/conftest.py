"""The chip's entry point, where the package was installed before it had one."""

from __future__ import annotations

import pytest
from distributions import put_on_path, register

from i2e_deploy.chips import chip_names


@pytest.fixture(autouse=True)
def truenorth(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installer would have it."""
    if "truenorth" not in chip_names():
        points = {"i2e_deploy.chips": {"truenorth": "i2e_deploy.chips.truenorth:TrueNorthChip"}}
        put_on_path(monkeypatch, register(tmp_path_factory.mktemp("site"), "truenorth-chip", "0.1", points))
