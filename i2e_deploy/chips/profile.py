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

#: How well a figure is known, the strongest first. `record`: somebody measured it on a real chip of this kind, and
#: `measured_on` says on which; every other word means that no measurement of this chip stands behind it.
CERTAINTIES = ("record", "documented", "inferred", "unverified")
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
    """A cost as a range that its sources span: of one operation, or at rest.

    Args:
        measured_on: chip, board and revision where a source names them, on which it was measured; empty where no
            measurement of this chip stands behind it.
    """

    low: float
    high: float
    unit: str
    certainty: str
    source: str
    measured_on: str = ""

    __repr__ = record_repr


@dataclass(frozen=True)
class Record:
    """What a real chip gave for a known network and input, beside what we compute: the highest evidence.

    Args:
        id: a short name.
        chip: with board and revision where the source names them.
        source: who ran it, and where that is published.
        compared: what stands beside what.
        figure: what came of it.
        settles: points of the chip's behaviour that rest on it, each in a few words; none where it only measures.
    """

    id: str
    chip: str
    source: str
    compared: str
    figure: str
    settles: tuple[str, ...] = ()

    __repr__ = record_repr


@dataclass(frozen=True)
class OpenPoint:
    """A point of the chip's behaviour that neither a public text nor a record settles.

    Args:
        name: of the option that stands for it, where the simulation has one.
        text: what is not known, and when that matters.
    """

    name: str
    text: str

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
        records: of real chips of this kind.
        open_points: of its behaviour, that no record settles.
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
    records: tuple[Record, ...] = ()
    open_points: tuple[OpenPoint, ...] = ()

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
            estimates={key: _estimate(key, row) for key, row in raw.get("estimates", {}).items()},
            published=tuple(Published(**row) for row in raw.get("published", [])),
            records=tuple(_record(row) for row in raw.get("records", [])),
            open_points=tuple(OpenPoint(**row) for row in raw.get("open_points", [])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"hardware profile {file}: {error!s} is missing or wrong") from error


def _limit(key: str, row: dict[str, Any]) -> Limit:
    if row["certainty"] not in CERTAINTIES or not row["source"] or not row["unit"]:
        raise ValueError(f"limit {key!r} needs a unit, a source and a certainty of {CERTAINTIES}: {row}")
    value = row["value"]
    return Limit(tuple(value) if isinstance(value, list) else int(value), row["unit"], row["certainty"], row["source"])


def _estimate(key: str, row: dict[str, Any]) -> Estimate:
    found = Estimate(**row)
    if found.certainty not in CERTAINTIES or not found.source or not found.unit or not found.low <= found.high:
        raise ValueError(f"estimate {key!r} needs low <= high, a unit, a source, a certainty of {CERTAINTIES}: {row}")
    if (found.certainty == "record") != bool(found.measured_on):
        raise ValueError(f"estimate {key!r}: measured_on and certainty record stand together or not at all")
    return found


def _record(row: dict[str, Any]) -> Record:
    found = Record(**{**row, "settles": tuple(row.get("settles", ()))})
    if not all((found.id, found.chip, found.source, found.compared, found.figure)):
        raise ValueError(f"record {found.id!r} needs an id, a chip, a source, what was compared and the figure")
    return found


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
