"""What an event file format is: how to open it and how to write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from i2e_deploy.events.array import Events
from i2e_deploy.events.options import ReadOptions, SensorSize

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


class LeftOut:
    """Impossible things of a file: refused at once, or left out and counted where the caller wants the rest.

    Args:
        salvage: whether the rest is wanted.

    Attributes:
        count: events left out, as far as they can be counted.
        first: reason and position of the first trouble, and how many events came before it; None: no trouble.
    """

    def __init__(self, salvage: bool) -> None:
        self.salvage, self.count = salvage, 0
        self.first: tuple[str, int | None, int] | None = None

    def met(self, reason: str, position: int | None, before: int, events: int = 1) -> None:
        """Count `events` that are left out.

        Raises:
            Damaged: the rest is not wanted.
        """
        if not self.salvage:
            raise Damaged(reason, position)
        self.first = self.first or (reason, position, before)
        self.count += events


@dataclass(frozen=True)
class Opened:
    """A file whose header was read.

    Args:
        sensor_size: (width, height) as the header says, or None.
        packets: arrays of `EVENT_DTYPE`, at most `PACKET_EVENTS` each; raises `Damaged` where the file is.
        close: called once when reading ends, also after an error.
        notes: what was assumed or left out, a sentence each; complete when `packets` end.
        locate: number of an event, counted over `packets`, to its place in `Format.unit`; None: not known.
        left_out: what the codec itself leaves out; None: it leaves nothing out.
        size_assumed: `sensor_size` is that of a data set, and nothing in the file says it.
    """

    sensor_size: SensorSize | None
    packets: Iterator[Events]
    close: Callable[[], Any] = lambda: None
    notes: list[str] = field(default_factory=list)
    locate: Locate | None = None
    left_out: LeftOut | None = None
    size_assumed: bool = False


@dataclass(frozen=True)
class Format:
    """One file format.

    Args:
        name: e.g. `"evt3"`.
        suffixes: file name endings, lower case.
        open: path and what the caller says -> `Opened`; raises `Damaged` for a bad header, and where a file holds
            several streams and none is named.
        write: writes packets to a path; they are valid events in order. None: the format is only read.
        limits: greatest `t`, `x`, `y` that the format can hold (inclusive).
        unit: what a damage position counts.
        jitter: us that an event may come after a later one, because the camera's own stream does so. Such events are
            put in order and counted.
        streams: names of the cameras of a file that can hold several; None: a file holds one.
        says_size: whether what is written says the size of the sensor.
        remarks: for the table of formats in the documentation.
        decoder, encoder: whose code reads and writes it, for the same table; of a format that is only read, why.
    """

    name: str
    suffixes: tuple[str, ...]
    open: Callable[[Path, ReadOptions], Opened]
    write: Callable[[Path, Iterable[Events], SensorSize], None] | None
    limits: tuple[int, int, int]
    unit: str = "byte"
    jitter: int = 0
    streams: Callable[[Path], tuple[str, ...]] | None = None
    says_size: bool = True
    remarks: str = ""
    decoder: str = "ours"
    encoder: str = "ours"
