"""The chips that are installed, ours and those of other packages, by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from i2e_deploy.chips.base import Chip
from i2e_deploy.errors import I2EDeployError, InputError

ENTRY_POINTS = "i2e_deploy.chips"


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def chip_names() -> tuple[str, ...]:
    """Names of all chips, those of other installed packages included, sorted."""
    return tuple(sorted(_points()))


def get(name: str) -> Chip:
    """The chip of that name, e.g. `get("speck2f")`.

    Raises:
        InputError: no such chip, or its package is broken.
    """
    points = _points()
    if name not in points:
        raise InputError(f"no chip {name!r}: choose one of {', '.join(sorted(points))}")
    try:
        chip = points[name].load()(name)
    except I2EDeployError:
        raise
    except Exception as error:
        problem = f"cannot be made: {type(error).__name__}: {error}"
        raise InputError(f"chip {name!r}{_origin(points[name])} {problem}; mend or uninstall that package") from error
    if not isinstance(chip, Chip):
        raise InputError(f"chip {name!r}{_origin(points[name])} is a {type(chip).__name__}, not a Chip")
    return chip


def all_chips() -> tuple[dict[str, Chip], dict[str, str]]:
    """The chips that work, by name, and what is wrong with those of broken packages."""
    found = {name: _chip_or_problem(name) for name in chip_names()}
    working = {name: chip for name, chip in found.items() if isinstance(chip, Chip)}
    return working, {name: problem for name, problem in found.items() if isinstance(problem, str)}


def _chip_or_problem(name: str) -> Chip | str:
    try:
        return get(name)
    except I2EDeployError as error:
        return str(error)


def package_of(name: str) -> tuple[str, str] | None:
    """Name and version of the distribution that a chip comes with; None where no such chip is installed."""
    point = _points().get(name)
    package = None if point is None else point.dist
    return None if package is None else (package.metadata["Name"].lower(), package.version)


def _origin(point: EntryPoint) -> str:
    return "" if point.dist is None else f" of package {point.dist.metadata['Name']} {point.dist.version}"
