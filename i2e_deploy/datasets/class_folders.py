"""Event files in folders by class: which there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from i2e_deploy.errors import InputError
from i2e_deploy.events.formats import SUFFIXES


def find_recordings(
    root: str | Path, suffixes: Sequence[str] = SUFFIXES
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Every recording `ROOT/<class>/.../<name>`, of any depth below its class.

    Returns:
        the classes, sorted; (file, label) sorted by class, then path. A label is the index of the class.

    Raises:
        InputError: none there.
    """
    folder = Path(root)
    found = folder.iterdir() if folder.is_dir() else ()
    classes = tuple(sorted(path.name for path in found if path.is_dir() and not path.name.startswith(".")))
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in suffixes
    ]
    if not files:
        raise InputError(f"{folder}: no recordings; expected {folder}/<class>/<name> ending in {', '.join(suffixes)}")
    return classes, files
