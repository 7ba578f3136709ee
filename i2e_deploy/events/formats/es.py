"""Event Stream (`.es`) of change detectors, our own: faery can end the process, and hides a full disk.

Layout (neuromorphic-paris/event_stream, version 2): `Event Stream`, version (3 bytes), kind of events (1 = DVS), width
and height (uint16); then for each event a byte with the us since the last one (bits 1..7) and the polarity (bit 0),
x and y (uint16, origin at the lower left). A byte 0xff adds 127 us and has no event; 0xfe resets and adds nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

_MAGIC = b"Event Stream"
_KINDS = ("generic", "DVS", "ATIS", "asynchronous ATIS", "colour")
_HEADER, _EVENT = 20, 5


def open_es(path: Path, options: ReadOptions) -> Opened:
    """See `base.Format.open`."""
    del options
    with path.open("rb") as file:
        head = file.read(_HEADER)
    if head[:12] != _MAGIC:
        raise Damaged("it does not start with 'Event Stream'", 0)
    if len(head) > 15 and (head[12] != 2 or head[15] != 1):
        kind = _KINDS[head[15]] if head[15] < len(_KINDS) else str(head[15])
        version = ".".join(map(str, head[12:15]))
        raise Damaged(f"it holds {kind} events of version {version}: DVS events of version 2 are read", 12)
    if len(head) < _HEADER:
        raise Damaged(f"its header is cut off after {len(head)} bytes", len(head))
    width, height = struct.unpack("<HH", head[16:])
    if not width or not height:
        raise Damaged(f"its header says a sensor of {width} x {height} pixels", 16)
    return Opened((width, height), _packets(path, height))


def _packets(path: Path, height: int) -> Iterator[Events]:
    from i2e_deploy.events.formats.es_kernels import decode_dvs

    time, position, rest = 0, _HEADER, b""
    with path.open("rb") as file:
        file.seek(_HEADER)
        while block := file.read(_EVENT * PACKET_EVENTS - len(rest)):
            data = np.frombuffer(rest + block, np.uint8)
            events = np.empty(len(data) // _EVENT, EVENT_DTYPE)
            count, taken, time, outside = decode_dvs(data, time, height, events)
            yield events[:count]
            if outside:
                raise Damaged("an event is outside the sensor", position + taken)
            position, rest = position + taken, data[taken:].tobytes()
    if rest:
        raise Damaged("it is cut off inside an event", position)


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    width, height = size
    last = 0
    with path.open("wb") as file:
        file.write(_MAGIC + bytes((2, 0, 0, 1)) + struct.pack("<HH", width, height))
        for packet in packets:
            gaps = np.diff(packet["t"], prepend=last)
            before = gaps // 127  # bytes 0xff before an event
            ends = np.cumsum(before + _EVENT)
            data = np.full(int(ends[-1]) if len(ends) else 0, 0xFF, np.uint8)
            first, row = (gaps % 127) << 1 | packet["p"], height - 1 - packet["y"].astype(np.int64)
            columns = (first, packet["x"] & 255, packet["x"] >> 8, row & 255, row >> 8)
            for place, column in enumerate(columns):
                data[ends - _EVENT + place] = column
            file.write(data.tobytes())
            last = int(packet["t"][-1]) if len(packet) else last


#: Greatest t, x, y: there is no field of time, but a byte is spent on every 127 us without events.
FORMAT = Format("es", (".es",), open_es, _write, (2**34 - 1, 2**16 - 2, 2**16 - 2))
