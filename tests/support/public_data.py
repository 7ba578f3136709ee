"""Public recordings that are not part of this repository; tests that use them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def public(name: str) -> Path:
    """A recording: of the folder with `recordings/` and `nmnist_small/`."""
    return _in("I2E_DEPLOY_DATA", name)


def record(name: str) -> Path:
    """A record of a real chip."""
    return _in("I2E_DEPLOY_RECORDS", name)


def case(name: str) -> Path:
    """A file that was once read wrongly."""
    return _in("I2E_DEPLOY_CASES", name)


def trained(name: str) -> Path:
    """A trained network of others: of the folder with `nir/` and `netx/`."""
    return _in("I2E_DEPLOY_NETWORKS", name)


def _in(variable: str, name: str) -> Path:
    """Path of a file or folder in the folder that an environment variable names, or skip."""
    folder = os.environ.get(variable)
    if folder is None or not (Path(folder) / name).exists():
        pytest.skip(f"needs {name} in the folder that {variable} names")
    return Path(folder) / name
