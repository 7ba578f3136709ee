"""Public recordings that are not part of this repository; tests that use them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: Folder with `recordings/` and `nmnist_small/`.
FOLDER = os.environ.get("I2E_DEPLOY_DATA")


def public(name: str) -> Path:
    """Path of a file or folder, or skip."""
    if FOLDER is None or not (Path(FOLDER) / name).exists():
        pytest.skip(f"needs {name} in the folder that I2E_DEPLOY_DATA names")
    return Path(FOLDER) / name


#: Folder with records of real chips.
RECORDS = os.environ.get("I2E_DEPLOY_RECORDS")


def record(name: str) -> Path:
    """Path of a record, or skip."""
    if RECORDS is None or not (Path(RECORDS) / name).exists():
        pytest.skip(f"needs {name} in the folder that I2E_DEPLOY_RECORDS names")
    return Path(RECORDS) / name


#: Folder with files that were once read wrongly.
CASES = os.environ.get("I2E_DEPLOY_CASES")


def case(name: str) -> Path:
    """Path of a file, or skip."""
    if CASES is None or not (Path(CASES) / name).exists():
        pytest.skip(f"needs {name} in the folder that I2E_DEPLOY_CASES names")
    return Path(CASES) / name


#: Folder with trained networks of others, `nir/` and `netx/`.
NETWORKS = os.environ.get("I2E_DEPLOY_NETWORKS")


def trained(name: str) -> Path:
    """Path of a trained network, or skip."""
    if NETWORKS is None or not (Path(NETWORKS) / name).exists():
        pytest.skip(f"needs {name} in the folder that I2E_DEPLOY_NETWORKS names")
    return Path(NETWORKS) / name
