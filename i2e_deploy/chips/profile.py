"""Read a hardware profile: the limits of one chip, each number with unit, certainty and source.

A profile is a file `NAME.toml` in the package of its chip; ours are in `hardware_profiles`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.text import counted, record_repr, said

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CERTAINTIES = ("documented", "inferred", "unverified")
#: The package with our own profiles.
OURS = "hardware_profiles"


@dataclass(frozen=True)
class Limit:
    """One limit. `value` is a number (the largest allowed) or the tuple of allowed numbers."""

    value: int | tuple[int, ...]
    unit: str
    certainty: str
    source: str

    __repr__ = record_repr

    def allows(self, value: int) -> bool:
        """Whether `value` is within the limit."""
        return value in self.value if isinstance(self.value, tuple) else value <= self.value

    def __str__(self) -> str:
        if isinstance(self.value, tuple):
            return f"one of {', '.join(map(str, self.value))}"
        return f"{self.value:,}" if isinstance(self.value, int) else str(self.value)


@dataclass(frozen=True)
class Core:
    """One core: the words that each of its memories holds."""

    index: int
    memory: Mapping[str, int]
    parallel: bool = False


@dataclass(frozen=True)
class Erratum:
    """A known defect of the silicon and what to do about it."""

    id: str
    text: str
    workaround: str
    certainty: str
    source: str

    __repr__ = record_repr


@dataclass(frozen=True)
class Board:
    """A board or system with this chip."""

    name: str
    chips: int
    certainty: str
    source: str

    __repr__ = record_repr


@dataclass(frozen=True)
class Estimate:
    """A cost as a range: of one operation, or at rest."""

    low: float
    high: float
    unit: str
    certainty: str
    source: str

    __repr__ = record_repr


@dataclass(frozen=True)
class Published:
    """A published figure of a whole chip: context for an estimate, never a part of it."""

    text: str
    certainty: str
    source: str

    __repr__ = record_repr


@dataclass(frozen=True)
class Profile:
    """What is known of one chip.

    Args:
        exact: what its simulation equals, in a sentence for reports.
        open: what it does not equal, or nobody could check.
        sha256: of the file it was read from.
    """

    name: str
    title: str
    family: str
    version: str
    limits: Mapping[str, Limit]
    cores: tuple[Core, ...]
    cores_source: str
    errata: tuple[Erratum, ...]
    sha256: str
    exact: str
    open: str
    boards: tuple[Board, ...] = ()
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    published: tuple[Published, ...] = ()

    def __repr__(self) -> str:
        counts = (len(self.cores), "core"), (len(self.limits), "limit")
        return said(
            self, repr(self.name), self.title, f"version {self.version}", *(counted(*count) for count in counts)
        )

    def limit(self, name: str) -> Limit:
        """The limit of that name.

        Raises:
            FileFormatError: the profile has none.
        """
        if name not in self.limits:
            raise FileFormatError(f"hardware profile {self.name!r} has no limit {name!r}: add it to its [limits]")
        return self.limits[name]

    def estimate(self, name: str) -> Estimate:
        """The cost of that name.

        Raises:
            FileFormatError: the profile has none.
        """
        if name not in self.estimates:
            raise FileFormatError(f"hardware profile {self.name!r} has no estimate {name!r}: add it to its [estimates]")
        return self.estimates[name]


def profile_names(package: str = OURS) -> tuple[str, ...]:
    """Names of the profiles in a package, e.g. `"my_chip"`, sorted; by default of those that ship with this one."""
    files = resources.files(package).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load_profile(name: str, package: str = OURS) -> Profile:
    """Read `NAME.toml` in `package`.

    Args:
        name: of the chip.
        package: that holds the file beside its modules; of a chip of somebody else its own, `__package__`.

    Raises:
        InputError: no such profile.
        FileFormatError: the file lacks a unit, a source or a certainty, or is not TOML.
    """
    if name not in (names := profile_names(package)):
        raise InputError(f"no hardware profile {name!r} in {package}: choose one of {', '.join(names) or 'none'}")
    return parse_profile((resources.files(package) / f"{name}.toml").read_bytes(), f"{name}.toml")


def parse_profile(data: bytes, file: str) -> Profile:
    """Parse the bytes of a profile; `file` names it in errors.

    Raises:
        FileFormatError: see `load_profile`.
    """
    try:
        raw = tomllib.loads(data.decode())
        return Profile(
            name=raw["name"],
            title=raw["title"],
            family=raw["family"],
            version=raw["version"],
            limits={key: _limit(key, row) for key, row in raw["limits"].items()},
            cores=_cores(raw.get("cores", {})),
            cores_source=raw.get("cores", {}).get("source", ""),
            errata=tuple(Erratum(**row) for row in raw.get("errata", [])),
            sha256=hashlib.sha256(data).hexdigest(),
            exact=raw["agreement"]["exact"],
            open=raw["agreement"]["open"],
            boards=tuple(Board(**row) for row in raw.get("boards", [])),
            estimates={key: Estimate(**row) for key, row in raw.get("estimates", {}).items()},
            published=tuple(Published(**row) for row in raw.get("published", [])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"hardware profile {file}: {error!s} is missing or wrong") from error


def _limit(key: str, row: dict[str, Any]) -> Limit:
    if row["certainty"] not in CERTAINTIES or not row["source"] or not row["unit"]:
        raise ValueError(f"limit {key!r} needs a unit, a source and a certainty of {CERTAINTIES}: {row}")
    value = row["value"]
    return Limit(tuple(value) if isinstance(value, list) else int(value), row["unit"], row["certainty"], row["source"])


def _cores(table: dict[str, Any]) -> tuple[Core, ...]:
    """Cores listed one by one, or `count` equal ones with their memories beside it."""
    if "count" not in table:
        return tuple(_core(row) for row in table.get("list", []))
    about = ("count", "unit", "certainty", "source")
    memory = {key: int(value) for key, value in table.items() if key not in about}
    return tuple(Core(index, memory) for index in range(int(table["count"])))


def _core(row: dict[str, Any]) -> Core:
    memory = {key: int(value) for key, value in row.items() if key not in ("index", "parallel")}
    return Core(int(row["index"]), memory, bool(row.get("parallel", False)))
