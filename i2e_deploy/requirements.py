"""The command that installs an optional package, in the versions that this project declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec

from i2e_deploy.errors import MissingDependency

#: As pyproject.toml names the distribution.
DISTRIBUTION = "i2e-deploy"


def install_command(*packages: str) -> str:
    """`pip install` of packages, each with the versions that pyproject.toml asks for.

    It names the packages and not an extra of ours, as a package index may not have us. A package that pyproject.toml
    does not name, or any where our own metadata are absent, is named alone.
    """
    return "pip install " + " ".join(_quoted(_declared().get(_normal(name), name)) for name in packages)


def need(packages: Mapping[str, str], needed_for: str) -> None:
    """Look for packages without importing them, so that a command says at once what it cannot do without.

    Args:
        packages: the package that brings it, by the name of a module.
        needed_for: what the user asked for.

    Raises:
        MissingDependency: one is not installed.
    """
    for module, package in packages.items():
        if find_spec(module) is None:
            raise MissingDependency(package, needed_for, install_command(package))


def _declared() -> dict[str, str]:
    """Requirement by normalised name, without its marker: whoever misses a package wants it."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    plain = [line.partition(";")[0].strip() for line in lines]
    return {_normal(re.split(r"[<>=!~\[ ]", line, maxsplit=1)[0]): line.replace(" ", "") for line in plain}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _quoted(requirement: str) -> str:
    return f"'{requirement}'" if re.search(r"[<>!~]", requirement) else requirement
