"""`file:///x.aedat4?realtime=1&speed=2&loop=1`: a recording as if it came from a camera."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.files import EventReader, describe, open_events
from i2e_deploy.events.sources.base import MAX_READ, SourceUri

#: Length of a packet in real time, us: what a USB camera sends at once is of this order.
PACKET_US = 1000
#: Options of `open_events` that a URI takes as they are.
_OPTIONS = ("format", "damaged", "unsorted", "stream", "columns", "time_unit")


class FileSource:
    """Plays an event file.

    Options: `realtime` 1 = at the pace of the recording (0: as fast as it is read), `speed` times that pace,
    `loop` 1 = again and again, times going on, `packet` us a packet with `realtime`, `format`,
    `width` and `height` where the file does not say, `damaged=salvage` to play what is not damaged, `unsorted=sort` or
    `unsorted=continue` where times go back, `stream` for one of several cameras, `columns` and `time_unit` of a table;
    see `open_events`.
    """

    def __init__(self, uri: SourceUri) -> None:
        uri.only("realtime", "speed", "loop", "packet", "width", "height", *_OPTIONS)
        # file://name.aedat4 (two slashes) makes the name a host: meant is a relative path
        self._path = Path(uri.host + uri.path if uri.host not in ("", "localhost") else uri.path)
        self._options: dict[str, Any] = {name: uri.options[name] for name in _OPTIONS if name in uri.options}
        size = int(uri.number("width", 0, 0, 2**16)), int(uri.number("height", 0, 0, 2**16))
        self._size = size if all(size) else None
        self._loop, self._speed = uri.flag("loop"), uri.number("speed", 1, 1e-3, 1e6)
        self._packet_us = int(uri.number("packet", PACKET_US, 1, 1e9)) if uri.flag("realtime") else None
        self.unpaced = self._packet_us is None
        self._reader = self._open()
        self.sensor_size = self._reader.sensor_size or self._measure()
        self._packets = self._play()
        self._due: tuple[float, Events] | None = None
        self._start: tuple[float, int] | None = None

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        if self._due is None:
            packet = next(self._packets, None)
            if packet is None:
                return None
            if self._packet_us is None:
                return packet
            now, first = time.monotonic(), int(packet["t"][0])
            start, zero = self._start = self._start or (now, first)
            self._due = (start + (first - zero + self._packet_us) / 1e6 / self._speed, packet)
        due, packet = self._due
        wait = due - time.monotonic()
        if wait > timeout:
            time.sleep(timeout)
            return empty_events()
        if wait > 0:
            time.sleep(wait)
        self._due = None
        return packet

    def close(self) -> None:
        """See `Source.close`."""
        self._packets.close()
        self._reader.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader assumed, put in order or left out so far, and what is damaged, a sentence each."""
        damage = self._reader.damage
        said = () if damage is None else (describe(self._path, self._reader.format, damage),)
        return (*self._reader.notes, *said)

    def _open(self) -> EventReader:
        return open_events(self._path, sensor_size=self._size, caller="uri", **self._options)

    def _measure(self) -> tuple[int, int]:
        """The smallest sensor that holds all events of a file that does not say."""
        width, height = 1, 1
        with self._open() as reader:
            for packet in reader:
                width, height = max(width, int(packet["x"].max()) + 1), max(height, int(packet["y"].max()) + 1)
        return width, height

    def _play(self) -> Generator[Events, None, None]:
        shift, first, last = 0, None, 0
        while True:
            for packet in _cut(self._reader, self._packet_us):
                first = int(packet["t"][0]) if first is None else first
                last = int(packet["t"][-1])
                if shift:
                    packet = packet.copy()  # noqa: PLW2901
                    packet["t"] += shift
                yield packet
            if not self._loop or first is None:
                return
            shift += last - first + (self._packet_us or PACKET_US)
            self._reader = self._open()


def _cut(packets: Iterable[Events], length: int | None) -> Iterator[Events]:
    """Packets of at most `length` us (None: as they come) and `MAX_READ` events, none empty."""
    import numpy as np

    for packet in packets:
        start = 0
        while start < len(packet):
            stop = min(start + MAX_READ, len(packet))
            if length is not None:
                limit = int(packet["t"][start]) + length
                stop = min(stop, start + int(np.searchsorted(packet["t"][start:stop], limit)))
            yield packet[start:stop]
            start = stop
