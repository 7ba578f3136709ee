"""Distributions of other people, found without an installer: their folder and a `*.dist-info` beside it on the path."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The distribution of the toy chip.
TOY_CHIP = Path(__file__).parents[1] / "toy_chip"


def register(folder: Path, name: str, version: str, points: Mapping[str, Mapping[str, str]]) -> Path:
    """Write `NAME-VERSION.dist-info` into `folder`: what an installer writes, as far as entry points need it.

    Args:
        points: value by name, by group.
    """
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        line for group, rows in points.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in rows.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def register_project(source: Path, folder: Path) -> Path:
    """`register` what the `pyproject.toml` in `source` says."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    return register(folder, project["name"], project["version"], project["entry-points"])


def put_on_path(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """In this process and in its children."""
    import os

    for folder in folders:
        monkeypatch.syspath_prepend(str(folder))
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([*map(str, folders), *([before] if before else [])]))
