"""What an event file format is: how to open it and how to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from i2e_deploy.events.array import Events

#: (width, height) of the sensor in pixels.
SensorSize = tuple[int, int]

#: Place of an event, by its number.
Locate = Callable[[int], "int | None"]

#: Most events that one packet of a reader holds: 2^20 events are 13 MiB.
PACKET_EVENTS = 2**20


class Damaged(Exception):  # inside this package only: `EventReader` turns it into an error or a report
    """A reader met something that its format does not allow.

    Args:
        reason: what is wrong, as a clause.
        position: byte offset (CSV: line number) where it starts, or None where the library does not tell.
    """

    def __init__(self, reason: str, position: int | None = None) -> None:
        self.reason, self.position = reason, position
        super().__init__(reason)


@dataclass(frozen=True)
class Opened:
    """A file whose header was read.

    Args:
        sensor_size: (width, height) as the header says, or None.
        packets: arrays of `EVENT_DTYPE`, at most `PACKET_EVENTS` each; raises `Damaged` where the file is.
        close: called once when reading ends, also after an error.
        notes: what was assumed or left out, a sentence each; complete when `packets` end.
        locate: number of an event, counted over `packets`, to its place in `Format.unit`; None: not known.
    """

    sensor_size: SensorSize | None
    packets: Iterator[Events]
    close: Callable[[], Any] = lambda: None
    notes: list[str] = field(default_factory=list)
    locate: Locate | None = None


@dataclass(frozen=True)
class Format:
    """One file format.

    Args:
        name: e.g. `"evt3"`.
        suffixes: file name endings, lower case.
        open: path and name of a stream (None: the only one) -> `Opened`; raises `Damaged` for a bad header, and where
            a file holds several streams and none is named.
        write: writes packets to a path; they are valid events in order.
        limits: greatest `t`, `x`, `y` that the format can hold (inclusive).
        unit: what a damage position counts.
        jitter: us that an event may come after a later one, because the camera's own stream does so. Such events are
            put in order and counted.
        streams: whether a file can hold several cameras.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path, str | None], Opened]
    write: Callable[[Path, Iterable[Events], SensorSize], None]
    limits: tuple[int, int, int]
    unit: str = "byte"
    jitter: int = 0
    streams: bool = False
