"""The chips that are installed, ours and those of other packages, by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from i2e_deploy.chips.base import Chip
from i2e_deploy.errors import InputError

ENTRY_POINTS = "i2e_deploy.chips"


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def chip_names() -> tuple[str, ...]:
    """Names of all chips, those of other installed packages included, sorted."""
    return tuple(sorted(_points()))


def get(name: str) -> Chip:
    """The chip of that name, e.g. `get("speck2f")`.

    Raises:
        InputError: no such chip.
    """
    points = _points()
    if name not in points:
        raise InputError(f"no chip {name!r}: choose one of {', '.join(sorted(points))}")
    chip: Chip = points[name].load()(name)
    return chip
