"""What a source is, and how a URI opens one."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import parse_qsl, unquote, urlsplit

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events

ENTRY_POINTS = "i2e_deploy.sources"

#: Most events in one message of a network protocol, or one packet of a file.
MAX_READ = 2**20


@runtime_checkable
class Source(Protocol):
    """A stream of events.

    Attributes:
        sensor_size: (width, height) in pixels.

    One that has `notes` says there, in sentences, what it assumed, put in order or left out.

    A source that has a true `unpaced` gives its events as fast as they are read (a file, say): a receiver that is
    slow should then wait rather than lose any.
    """

    sensor_size: tuple[int, int]

    def read(self, timeout: float) -> Events | None:
        """The next events [N], or an empty array if none came within `timeout` seconds; None when it has ended.

        Never blocks longer than `timeout`, so that a caller can stop at any time. Events are usually sorted, but a
        faulty device may send anything: the receiver checks.

        Raises:
            SourceLost: the device or the connection went away; the URI may be opened again.
        """
        ...

    def close(self) -> None:
        """Give the device back. May be called twice."""
        ...


@dataclass(frozen=True)
class SourceUri:
    """A URI, taken apart: `scheme://host:port/path?option=value`.

    Args:
        text: as it was given.
        scheme, host, port, path: its parts; `path` without the percent signs.
        options: of the query.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    options: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> SourceUri:
        """Take a URI apart; the path of a file, also with options (`x.aedat4?realtime=1`), is one of scheme `file`.

        Raises:
            InputError: no scheme and no such file, or a port that is no number.
        """
        if "://" not in text:
            text = file_uri(text)
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise InputError(f"source {text!r}: {error}") from error
        if not parts.scheme or "://" not in text:
            raise InputError(f"source {text!r} is no URI: write e.g. x.aedat4 or tcp://127.0.0.1:7777")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        return cls(text, parts.scheme, parts.hostname or "", port, unquote(parts.path), options)

    def only(self, *known: str) -> None:
        """Raise InputError if there is an option that is not one of `known`."""
        unknown = sorted(self.options.keys() - set(known))
        if unknown:
            raise InputError(f"source {self.text!r}: no option {unknown[0]!r}; it takes {', '.join(known) or 'none'}")

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """An option as a number within bounds."""
        text = self.options.get(name)
        try:
            value = default if text is None else float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise InputError(f"source {self.text!r}: {name}={text} is not a number from {low:g} to {high:g}")
        return value

    def flag(self, name: str) -> bool:
        """An option that is 0 or 1."""
        return bool(self.number(name, 0, 0, 1))

    def need_port(self) -> int:
        """The port, or InputError."""
        if not self.port:
            raise InputError(f"source {self.text!r} has no port: write {self.scheme}://host:port")
        return self.port


def file_uri(text: str) -> str:
    """The URI of a file that is named by its path, which options may follow.

    Raises:
        InputError: no such file.
    """
    name, _, query = (text, "", "") if Path(text).is_file() else text.partition("?")
    if not Path(name).is_file():
        raise InputError(f"source {text!r}: no such file, and no URI (e.g. tcp://127.0.0.1:7777)")
    return Path(name).absolute().as_uri() + (f"?{query}" if query else "")


def source_schemes() -> tuple[str, ...]:
    """Schemes of all sources, those of other installed packages included, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=ENTRY_POINTS)}))


def open_source(uri: str) -> Source:
    """Open a source, e.g. `open_source("file:///data/x.aedat4?realtime=1")`.

    Raises:
        InputError: no such scheme, or an option that it does not take.
        CameraNotFound, SourceLost: nothing there.
        MissingDependency: the source needs an optional package.
    """
    parsed = SourceUri.parse(uri)
    found = [point for point in entry_points(group=ENTRY_POINTS) if point.name == parsed.scheme]
    if not found:
        raise InputError(f"no source {parsed.scheme + '://'!r}: choose one of {', '.join(source_schemes())}")
    source: Source = found[0].load()(parsed)
    return source
