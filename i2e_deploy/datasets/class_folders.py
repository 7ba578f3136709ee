"""Event files in folders by class: which there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from i2e_deploy.errors import InputError
from i2e_deploy.events.formats import SUFFIXES
from i2e_deploy.text import listed


def find_recordings(
    root: str | Path, suffixes: Sequence[str] = SUFFIXES, classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], list[tuple[Path, int]]]:
    """Every recording `ROOT/<class>/.../<name>`, of any depth below its class.

    Args:
        root: the folder.
        suffixes: which files count.
        classes: names by number, e.g. those of a card; None: the folders, sorted.

    Returns:
        the classes; (file, label) sorted by class, then path. A label is the index of the class.

    Raises:
        InputError: none there, or in a folder that `classes` does not name.
    """
    folder = Path(root)
    found = folder.iterdir() if folder.is_dir() else ()
    there = sorted(path.name for path in found if path.is_dir() and not path.name.startswith("."))
    names = tuple(there if classes is None else classes)
    unknown = [name for name in there if name not in names]
    if unknown:
        raise InputError(f"{folder} has classes that are not named: {listed(unknown)}; named are {listed(names)}")
    files = [
        (path, label)
        for label, name in enumerate(names)
        for path in sorted((folder / name).rglob("*"))
        if path.suffix.lower() in suffixes
    ]
    if not files:
        raise InputError(f"{folder}: no recordings; expected {folder}/<class>/<name> ending in {', '.join(suffixes)}")
    return names, files
