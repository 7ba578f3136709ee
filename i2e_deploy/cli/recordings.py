"""The options of every command that reads recordings: one set, in one place, with one spelling.

`takes_recordings` adds them to a command, which gets them as one `Reading`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.events import Events
    from i2e_deploy.events.files import EventReader, Recording


@dataclass(frozen=True)
class Reading:
    """What a command line says about recordings; see `events.open`.

    Args:
        format: name of the format.
        sensor_size: `WIDTHxHEIGHT`.
        stream: name or number of a camera.
        sort, continue_, salvage: what is done with times that go back, and with damage.
        columns: order of the columns of a table.
        time_unit: of the times of a table.
    """

    format: str | None = None
    sensor_size: str | None = None
    stream: str | None = None
    sort: bool = False
    continue_: bool = False
    salvage: bool = False
    columns: str | None = None
    time_unit: str | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height), or None where it is not given.

        Raises:
            InputError: something else is given.
        """
        if self.sensor_size is None:
            return None
        match = re.fullmatch(r"([1-9][0-9]{0,4})[x,]([1-9][0-9]{0,4})", self.sensor_size.strip())
        if match is None:
            raise InputError(f"--sensor-size is {self.sensor_size!r}: give WIDTHxHEIGHT, for example 346x260")
        return int(match[1]), int(match[2])

    def given(self) -> dict[str, Any]:
        """The options that were given, by the names of `events.open`.

        Raises:
            InputError: two that exclude each other.
        """
        if self.sort and self.continue_:
            raise InputError("--sort and --continue: times that go back are either put in order or followed; give one")
        unsorted = "sort" if self.sort else "continue" if self.continue_ else None
        damaged = "salvage" if self.salvage else None
        options = {"format": self.format, "sensor_size": self.size, "stream": self.stream, "unsorted": unsorted,
                   "damaged": damaged, "columns": self.columns, "time_unit": self.time_unit}  # fmt: skip
        return {name: value for name, value in options.items() if value is not None}

    def open(self, path: Path) -> EventReader:
        """Open a recording."""
        from i2e_deploy.events.files import open_events

        return open_events(path, caller="command", **self.given())

    def read(self, path: Path) -> Recording:
        """Read a recording."""
        from i2e_deploy.events.files import read_events

        return read_events(path, caller="command", **self.given())

    def into(self, source: str) -> str:
        """A source of live events with these options in its URI.

        Raises:
            InputError: it plays no file.
        """
        from urllib.parse import urlencode

        from i2e_deploy.events.sources.base import SourceUri, file_uri

        options = self.given()
        if not options:
            return source
        if SourceUri.parse(source).scheme != "file":
            self.refuse(f"{source} is none")
        source = source if "://" in source else file_uri(source)
        size = options.pop("sensor_size", None)
        options |= {} if size is None else {"width": size[0], "height": size[1]}
        return f"{source}{'&' if '?' in source else '?'}{urlencode(options)}"

    def refuse(self, why: str) -> None:
        """Raise InputError if any is given; `why` says what is read instead."""
        if given := self.given():
            flags = {"sort": "--sort", "continue": "--continue", "salvage": "--salvage"}
            name, value = next(iter(given.items()))
            raise InputError(
                f"{flags.get(value, '--' + name.replace('_', '-'))} is for recordings: {why}; leave it out"
            )


#: Where no option is given.
NOTHING_SAID = Reading()


def say_about(path: Path, recording: Recording | EventReader) -> None:
    """Say on standard error what the reader assumed, put in order or left out."""
    from i2e_deploy.cli.common import console
    from i2e_deploy.events.files import describe

    err = console(stderr=True)
    for note in recording.notes:
        err.print(f"{path}: {note}")
    if (damage := recording.damage) is not None:
        err.print(f"{describe(path, 'salvaged', damage)}; {damage.dropped:,} events left out", style="yellow")


def read_input(path: Path, shape: Sequence[int], reading: Reading = NOTHING_SAID) -> Integers | Events:
    """Frames as `read_frames`, or a recording: an event file of any kind, read as `reading` says.

    What the reader assumed, put in order or left out is said on standard error.

    Raises:
        InputError: no such file, an unknown kind, or see `read_frames`.
    """
    from i2e_deploy.cli.common import read_frames
    from i2e_deploy.files import holds_frames

    if holds_frames(path, len(shape) == 1):
        reading.refuse(f"{path} holds frames")
        return read_frames(path, shape)
    recording = reading.read(path)
    say_about(path, recording)
    return recording.events


_OPTIONS: dict[str, tuple[Any, Any]] = {
    "format": (str | None, typer.Option("--format", help="Format, where name and bytes do not say.")),
    "sensor_size": (str | None, typer.Option("--sensor-size", help="WIDTHxHEIGHT, where the file does not say.")),
    "stream": (str | None, typer.Option("--stream", help="Name or number of one of several cameras or topics.")),
    "sort": (bool, typer.Option("--sort", help="Put events in the order of their times.")),
    "continue_": (bool, typer.Option("--continue", help="A clock restarted: go on from the latest time.")),
    "salvage": (bool, typer.Option("--salvage", help="Damaged: take all but what cannot be, counted.")),
    "columns": (str | None, typer.Option("--columns", help="Order in a table, e.g. xytp; - is not read.")),
    "time_unit": (str | None, typer.Option("--time-unit", help="Of a table: s, ms, us or ns.")),
}  # fmt: skip


def takes_recordings(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of recordings to a command, which has a parameter `reading` for them."""
    own = inspect.signature(command)
    hints = get_type_hints(command, include_extras=True)
    kept = [p.replace(annotation=hints[name]) for name, p in own.parameters.items() if name != "reading"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False if kind is bool else None,
                          annotation=Annotated[kind, option])
        for name, (kind, option) in _OPTIONS.items()
    ]  # fmt: skip

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        reading = Reading(**{name: values.pop(name) for name in _OPTIONS})
        command(**values, reading=reading)

    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept] + added
    with_options.__signature__ = own.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    with_options.__annotations__ = {p.name: p.annotation for p in parameters}
    del with_options.__wrapped__  # its signature would be found first
    return with_options
