"""AEDAT 3.1, our own: the format of DVS Gesture (only GPL libraries read it).

Text lines that start with `#`, then packets: a 28-byte header (type, source: uint16; event size, time offset, time
overflow, capacity, number, valid: uint32) and `number` events of `size` bytes. A polarity event (type 1) is two
32-bit words: `x:15 | y:15 | polarity:1 | valid:1` and the time in us below 2^31, whose wraps the packet counts.
Source: docs.inivation.com, "AEDAT 3.1".
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, LeftOut, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

_MAGIC = b"#!AER-DAT3.1"
_END = b"#!END-HEADER\r\n"
_HEADER = struct.Struct("<HHIIIIII")
_POLARITY = 1
#: A packet longer than this is refused: jAER and cAER write 4 to 16 KiB.
_MAX_PACKET = 2**26
_MAX_HEADER = 2**20


def _open(path: Path, options: ReadOptions) -> Opened:
    head, start = _head(path)
    left_out = LeftOut(options.salvage)
    camera = _choose(head, _cameras(path, start), options)
    return Opened(None, _packets(path, start, camera, left_out), left_out=left_out)


def _head(path: Path) -> tuple[bytes, int]:
    """The header and where it ends."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    if not head.startswith(_MAGIC):
        raise Damaged("it does not start with '#!AER-DAT3.1'", 0)
    end = head.find(_END)
    if end < 0:
        raise Damaged("its header has no '#!END-HEADER'", 0)
    return head[:end], end + len(_END)


def _streams(path: Path) -> tuple[str, ...]:
    _, start = _head(path)
    return tuple(map(str, _cameras(path, start)))


def _cameras(path: Path, position: int) -> list[int]:
    """Numbers of the cameras that gave changes of pixels, as far as the packets can be followed."""
    found, total = set(), path.stat().st_size
    with path.open("rb") as file:
        while position + _HEADER.size <= total:
            file.seek(position)
            kind, source, size, _, _, _, number, _ = _HEADER.unpack(file.read(_HEADER.size))
            if size * number > _MAX_PACKET:
                break
            if kind == _POLARITY and number:
                found.add(source)
            position += _HEADER.size + size * number
    return sorted(found)


def _choose(header: bytes, cameras: list[int], options: ReadOptions) -> int | None:
    """The camera that is read; None: there is only one.

    Raises:
        Damaged: there are several and none is named, or there is none of that name.
    """
    lines = re.findall(rb"^#Source (\d+): ([^\r\n]*)", header, re.MULTILINE)
    names = {int(number[:9]): name.decode("latin-1").strip()[:40] for number, name in lines}
    said = ", ".join(f"{camera} ({names.get(camera, 'not named')})" for camera in cameras)
    stream = options.stream
    if stream is None:
        if len(cameras) > 1:
            word = options.word("stream", cameras[0])
            raise Damaged(f"it holds {len(cameras)} cameras: {said}; choose one, e.g. {word}", None)
        return None
    chosen = [camera for camera in cameras if stream in (str(camera), names.get(camera))]
    if len(chosen) != 1:
        raise Damaged(f"stream {stream!r} names {len(chosen)} of its cameras: {said}", None)
    return chosen[0]


def _packets(path: Path, position: int, camera: int | None, left_out: LeftOut) -> Iterator[Events]:
    total, before = path.stat().st_size, 0
    with path.open("rb") as file:
        while position < total:
            file.seek(position)
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                raise Damaged("it is cut off inside a packet header", position)
            kind, source, size, offset, overflow, _, number, _ = _HEADER.unpack(head)
            length = size * number
            if length > _MAX_PACKET:
                raise Damaged(f"a packet claims {number} events of {size} bytes, at most {_MAX_PACKET} bytes", position)
            if camera is not None and source != camera:
                kind = -1
            if position + _HEADER.size + length > total:
                if kind == _POLARITY and size == 8:
                    yield _decode(file.read(length // 8 * 8), overflow)
                raise Damaged("it is cut off inside a packet", position)
            if kind == _POLARITY:
                if size != 8 or offset != 4:
                    said = f"polarity events have size {size} and time offset {offset}, not 8 and 4"
                    left_out.met(said, position, before, number)
                    number = 0
                for _start in range(0, number, PACKET_EVENTS):
                    events = _decode(file.read(8 * min(PACKET_EVENTS, number - _start)), overflow)
                    before += len(events)
                    yield events
            position += _HEADER.size + length


def _decode(data: bytes, overflow: int) -> Events:
    words = np.frombuffer(data[: len(data) // 8 * 8], "<u4").reshape(-1, 2)
    words = words[(words[:, 0] & 1) == 1]
    events = np.empty(len(words), EVENT_DTYPE)
    events["t"] = words[:, 1].astype(np.int64) + (overflow << 31)
    events["x"], events["y"] = words[:, 0] >> 17, words[:, 0] >> 2 & 0x7FFF
    events["p"] = words[:, 0] >> 1 & 1
    return events


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    with path.open("wb") as file:
        file.write(_MAGIC + b"\r\n#Format: RAW\r\n#Source 1: DVS128\r\n" + _END)
        for packet in packets:
            overflows = packet["t"] >> 31
            for part in np.split(packet, np.flatnonzero(np.diff(overflows)) + 1):
                if len(part):
                    file.write(_encode(part))


def _encode(events: Events) -> bytes:
    number = len(events)
    header = _HEADER.pack(_POLARITY, 1, 8, 4, int(events["t"][0]) >> 31, number, number, number)
    words = np.empty((number, 2), "<u4")
    x, y, p = (events[name].astype(np.uint32) for name in ("x", "y", "p"))
    words[:, 0] = x << 17 | y << 2 | p << 1 | 1
    words[:, 1] = events["t"] & (2**31 - 1)
    return header + words.tobytes()


FORMAT = Format(
    "aedat3.1", (".aedat",), _open, _write, (2**62, 2**15 - 1, 2**15 - 1), streams=_streams, says_size=False,
    remarks="DVS Gesture; one of several cameras is named with `stream`",
)  # fmt: skip
