"""Event files of every kind through one pair of functions, and piece by piece for those larger than memory.

`read_events` and `write_events` pick the format by suffix (`.raw`: by the header). `open_events` reads the same
files in packets, so that a file may be larger than memory. What cannot be true is an error that names the event and
the byte; with `damaged="salvage"` everything else is given and `damage` says where, why and how many. Times that go
back are such an error too, unless `unsorted` says what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events, check_events
from i2e_deploy.events.formats import find_format, format_to_write
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened
from i2e_deploy.events.in_order import InOrder, Wrong, WrongEvent
from i2e_deploy.events.options import Caller, OnDamage, ReadOptions, SensorSize, Unsorted
from i2e_deploy.files import replacing
from i2e_deploy.text import record_repr, said

#: `read_events` refuses more than this (2^28 events are 3.3 GiB): iterate `open_events` instead.
MAX_EVENTS = 2**28


@dataclass(frozen=True)
class Damage:
    """What is wrong with a file, and where first.

    Args:
        reason: what is wrong.
        events: how many events came before.
        position: byte offset (CSV: line) of the trouble, None where the format's library does not tell.
        dropped: impossible events that were left out.
    """

    reason: str
    events: int
    position: int | None
    dropped: int = 0

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Recording:
    """A whole file in memory.

    Args:
        events: [N], sorted by time.
        sensor_size: (width, height), or None if neither the file nor the caller says.
        damage: None for a whole file.
        notes: what the reader assumed, put in order or left out, a sentence each.
    """

    events: Events
    sensor_size: SensorSize | None
    damage: Damage | None = None
    notes: tuple[str, ...] = ()

    __repr__ = record_repr


class EventReader:
    """An open event file: iterate it once for packets of at most 2^20 events; a context manager.

    Attributes:
        sensor_size: (width, height) or None.
        format: name of the format.
        damage: set at the end when a damaged file was read with `damaged="salvage"`.
    """

    def __init__(
        self, path: Path, format_: Format, opened: Opened, size: SensorSize | None, options: ReadOptions
    ) -> None:
        self.path, self.format, self.sensor_size = path, format_.name, size
        self.damage: Damage | None = None
        self._opened, self._unit, self._options = opened, format_.unit, options
        self._order = InOrder(size, format_.jitter, options.unsorted, options.salvage)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, put in order or left out so far, a sentence each."""
        return (*self._opened.notes, *self._order.notes)

    def __repr__(self) -> str:
        return said(self, repr(str(self.path)), self.format, f"sensor {self.sensor_size}")

    def __enter__(self) -> EventReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; iterating ends."""
        self._opened.close()

    def __iter__(self) -> Iterator[Events]:
        count, packets = 0, iter(self._opened.packets)
        ended: tuple[str, int | None] | None = None
        while True:
            try:
                packet = next(packets, None)
                ready = self._order.flush() if packet is None else self._order.push(packet)
            except Damaged as trouble:  # kept would be a cycle with this frame, and hold files open
                ready, packet, ended = self._order.flush(), None, (trouble.reason, trouble.position)
            except WrongEvent:
                ready, packet = self._order.flush(), None
            for events in ready:
                count += len(events)
                if len(events):
                    yield events
            if packet is None:
                break
        self._report(ended, count)

    def _report(self, ended: tuple[str, int | None] | None, count: int) -> None:
        """Set `damage` from what was left out and from what `ended` the file, and raise it unless it is salvaged."""
        first, left_out = self._order.trouble, self._opened.left_out
        lost = left_out.first if left_out is not None else None
        if first is None and lost is None and ended is None:
            return
        if first is not None and (lost is None or first.index < lost[2]):
            position = self._opened.locate(first.index) if self._opened.locate else None
            reason, before = first.reason, first.index
        elif lost is not None:
            reason, position, before = lost
        else:
            assert ended is not None
            (reason, position), before = ended, count
        if ended is not None and ended[0] != reason:
            reason = f"{reason}; later {ended[0]}"
        dropped = self._order.dropped + (left_out.count if left_out is not None else 0)
        self.damage = Damage(reason, before, position, dropped)
        if not self._options.salvage:
            said = describe(self.path, self.format, self.damage, self._unit)
            raise FileFormatError(f"{said}; {self._way_out(first)}")

    def _way_out(self, wrong: Wrong | None) -> str:
        word = self._options.word
        if wrong is None:
            return f"what can be read of it is with {word('damaged', 'salvage')}"
        if wrong.goes_back:
            return (
                f"{word('unsorted', 'sort')} puts all events in order, {word('unsorted', 'continue')} goes on where a "
                f"clock restarted, {word('damaged', 'salvage')} leaves out the events that go back"
            )
        size = f"{self._options.size_word()} says another sensor, " if self._opened.size_assumed else ""
        return f"{size}{word('damaged', 'salvage')} leaves such events out"


def describe(path: Path, format_name: str, damage: Damage, unit: str = "byte") -> str:
    """One line on a damaged file."""
    where = "" if damage.position is None else f", {unit} {damage.position}"
    return f"{path} is damaged ({format_name}) after {damage.events} events{where}: {damage.reason}"


def open_events(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    sensor_size: SensorSize | None = None,
    damaged: OnDamage = "error",
    unsorted: Unsorted = "error",
    stream: str | None = None,
    columns: str | None = None,
    time_unit: str | None = None,
    caller: Caller = "python",
) -> EventReader:
    """Open an event file to read it in packets, in constant memory.

    Args:
        path: the file.
        format: name of the format, e.g. `"evt2"`; None: by suffix, for `.raw` by the header.
        sensor_size: (width, height) for files that do not say; where a file says another, the file's counts.
        damaged: `"error"`, or `"salvage"` to get everything but impossible events, up to where a file is cut.
        unsorted: what is done with times that go back further than the format's own cameras do: `"error"`; `"sort"`
            puts all events of the file in order, in memory; `"continue"` takes it for a clock that restarted, and goes
            on from the latest time.
        stream: name or number of a camera, for a file that holds several.
        columns: order of the columns of a table without names (text, `[N, 4]` arrays), e.g. `"xytp"`, with `-` for a
            column that is not read; None: by the names, else guessed and said in `notes`.
        time_unit: `"s"`, `"ms"`, `"us"` or `"ns"`, for tables; None: by the header, else guessed and said in `notes`.
        caller: in whose words messages name these options: `"python"`, `"command"` (line) or `"uri"`.

    Raises:
        InputError: no such file, unknown suffix or format.
        FileFormatError: the header is not what the name says (also with `"salvage"`: nothing can be read then).
        MissingDependency: the format needs an optional package.
    """
    path = Path(path)
    options = ReadOptions(format, sensor_size, damaged, unsorted, stream, columns, time_unit, caller)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    name = format or path.suffix
    try:
        format_ = find_format(path, options)
        name = format_.name
        if stream is not None and format_.streams is None:
            raise InputError(f"{path}: {options.word('stream', stream)}, but a file of {name} holds one camera")
        opened = format_.open(path, options)
    except Damaged as trouble:
        where = (
            ""
            if trouble.position is None
            else f" at {'byte' if name == path.suffix else format_.unit} {trouble.position}"
        )
        raise FileFormatError(f"{path} cannot be read as {name}{where}: {trouble.reason}") from trouble
    size = opened.sensor_size or sensor_size
    if size is not None and not all(1 <= side <= 2**16 for side in size):
        opened.close()
        raise FileFormatError(f"{path}: sensor size {size} is not within 1..65536")
    return EventReader(path, format_, opened, size, options)


def stream_names(path: str | Path, format: str | None = None) -> tuple[str, ...]:  # noqa: A002
    """What `stream` may be for a file with several cameras, topics or places of events; () where it holds one.

    Raises:
        InputError, FileFormatError, MissingDependency: as `open_events`.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        format_ = find_format(path, ReadOptions(format))
        return () if format_.streams is None else format_.streams(path)
    except Damaged as trouble:
        raise FileFormatError(f"{path} cannot be read: {trouble.reason}") from trouble


def read_events(
    path: str | Path,
    format: str | None = None,  # noqa: A002
    sensor_size: SensorSize | None = None,
    damaged: OnDamage = "error",
    unsorted: Unsorted = "error",
    stream: str | None = None,
    columns: str | None = None,
    time_unit: str | None = None,
    caller: Caller = "python",
) -> Recording:
    """Read a whole event file; arguments and errors as `open_events`, and InputError beyond `MAX_EVENTS` events."""
    packets, count = [np.empty(0, EVENT_DTYPE)], 0
    with open_events(path, format, sensor_size, damaged, unsorted, stream, columns, time_unit, caller) as reader:
        for packet in reader:
            count += len(packet)
            if count > MAX_EVENTS:
                raise InputError(f"{path} holds more than {MAX_EVENTS} events: iterate open_events() instead")
            packets.append(packet)
        return Recording(np.concatenate(packets), reader.sensor_size, reader.damage, reader.notes)


def write_events(
    path: str | Path,
    events: Events | Iterable[Events],
    sensor_size: SensorSize,
    format: str | None = None,  # noqa: A002
) -> int:
    """Write an event file, whole or not at all; returns the number of events.

    Args:
        path: its suffix picks the format; `.raw` is EVT3 unless `format` says `"evt2"` or `"evt2.1"`.
        events: one array, or packets of a recording larger than memory, in order.
        sensor_size: (width, height).
        format: name of the format.

    Raises:
        InputError: events out of order, outside the sensor, or beyond what the format can hold.
        MissingDependency: the format needs an optional package.
    """
    path = Path(path)
    format_ = format_to_write(path, format)
    widest, highest = (most + 1 for most in format_.limits[1:])
    if not (1 <= sensor_size[0] <= widest and 1 <= sensor_size[1] <= highest):
        raise InputError(f"{path}: sensor {sensor_size}: the limit is {widest} x {highest} for {format_.name}")
    written = _Counter()
    packets = _split([events] if isinstance(events, np.ndarray) else events)
    try:
        with replacing(path) as temporary:
            assert format_.write is not None  # `format_to_write` gives no other
            format_.write(temporary, written.checked(packets, path, format_, sensor_size), sensor_size)
    except Damaged as trouble:
        raise InputError(f"{path}: {trouble.reason}") from trouble
    return written.count


def _split(packets: Iterable[Events]) -> Iterator[Events]:
    for packet in packets:
        for start in range(0, max(len(packet), 1), PACKET_EVENTS):
            yield packet[start : start + PACKET_EVENTS]


class _Counter:
    """Checks packets on their way to a writer and counts their events."""

    count = 0

    def checked(self, packets: Iterable[Events], path: Path, format_: Format, size: SensorSize) -> Iterator[Events]:
        last = 0
        most_t = format_.limits[0]
        for packet in packets:
            check_events(packet, *size, f"{path} ({format_.name})")
            if len(packet):
                first, end = int(packet["t"][0]), int(packet["t"][-1])
                if first < last or end > most_t:
                    raise InputError(
                        f"{path}: times {first}..{end} us of a packet must lie within {last}..{most_t} for "
                        f"{format_.name}: put packets in order, or shift the times before writing (--from-zero)"
                    )
                last = end
                self.count += len(packet)
            yield packet


#: What `i2e_deploy.events` calls them.
read, write, open = read_events, write_events, open_events  # noqa: A001
