"""AEDAT4: read by us (faery gives the first camera only and holds times that go back), written by faery.

Layout (docs.inivation.com, "AEDAT 4.0"): see `aedat4_guard`, which checks all lengths first. The XML node of the header
names the streams; a packet of a stream `EVTS` is a size-prefixed FlatBuffer with one vector of
`t: int64, x: int16, y: int16, on: bool`, 16 bytes each, compressed as LZ4 or Zstandard frame or not at all.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.aedat4_guard import LZ4_MAGIC, MAX_INFLATED, ZSTD_MAGIC, Layout, check_aedat4
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.with_faery import write_with_faery
from i2e_deploy.events.options import ReadOptions, SensorSize
from i2e_deploy.requirements import install_command

_EVENT = np.dtype({"names": ["t", "x", "y", "p"], "formats": ["<i8", "<i2", "<i2", "u1"],
                   "offsets": [0, 8, 10, 12], "itemsize": 16})  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """A stream of events.

    Args:
        number: of its packets.
        name: of the output, as the recorder called it.
        source: of the camera.
        size: (width, height) or None.
    """

    number: int
    name: str
    source: str
    size: SensorSize | None

    def __str__(self) -> str:
        of = f" of {self.source}" if self.source else ""
        return f"{self.number} ({self.name or 'not named'}{of}{', {} x {}'.format(*self.size) if self.size else ''})"


def _open(path: Path, options: ReadOptions) -> Opened:
    layout = check_aedat4(path)
    camera = _choose(_cameras(layout.xml), layout, options)
    left_out = LeftOut(options.salvage)
    return Opened(camera.size, _packets(path, layout, camera.number, left_out), left_out=left_out)


def _streams(path: Path) -> tuple[str, ...]:
    layout = check_aedat4(path)
    cameras = _cameras(layout.xml)
    return tuple(str(camera.number) for camera in cameras if camera.number in layout.streams or len(cameras) == 1)


def _cameras(xml: bytes) -> list[Camera]:
    """Streams of events that the header names."""
    try:
        text = xml.decode("utf-8")
        if "<!" in text:  # no recorder declares entities, and they can grow without end
            raise Damaged("its XML header has a declaration '<!'", 0)
        root = ElementTree.fromstring(text)  # noqa: S314  # no declarations, and at most MAX_INFO bytes
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise Damaged(f"its XML header cannot be read ({error})", 0) from error
    outputs = next((node for node in root.iter("node") if node.get("name") == "outInfo"), None)
    found = []
    for node in [] if outputs is None else outputs.findall("node"):
        said = {attr.get("key"): (attr.text or "").strip() for attr in node.iter("attr")}
        number = node.get("name") or ""
        if said.get("typeIdentifier") != "EVTS":
            continue
        if not re.fullmatch(r"\d{1,9}", number):
            raise Damaged(f"its header names a stream {number[:20]!r}, not a number", 0)
        sides = [said.get("sizeX", ""), said.get("sizeY", "")]
        size = (int(sides[0]), int(sides[1])) if all(re.fullmatch(r"\d{1,6}", side) for side in sides) else None
        name = said.get("originalOutputName", "")[:40]
        found.append(Camera(int(number), name, said.get("source", "")[:40], size))
    return found


def _choose(cameras: list[Camera], layout: Layout, options: ReadOptions) -> Camera:
    """The camera that is read.

    Raises:
        Damaged: there is none, there are several with packets and none is named, or none of that name.
    """
    said, stream = ", ".join(map(str, cameras)), options.stream
    if not cameras:
        raise Damaged("its header names no stream of events (EVTS)", 0)
    if stream is not None:
        chosen = [camera for camera in cameras if stream in (str(camera.number), camera.source, camera.name)]
        if len(chosen) != 1:
            raise Damaged(f"stream {stream!r} names {len(chosen)} of its cameras: {said}", None)
        return chosen[0]
    filled = [camera for camera in cameras if camera.number in layout.streams]
    if len(filled) > 1:
        word = options.word("stream", filled[0].number)
        raise Damaged(f"it holds {len(cameras)} cameras: {said}; choose one, e.g. {word}", None)
    return (filled or cameras)[0]


def _packets(path: Path, layout: Layout, number: int, left_out: LeftOut) -> Iterator[Events]:
    offset, end, before = layout.first, layout.end, 0
    with path.open("rb") as file:
        while offset < end:
            file.seek(offset)
            stream, size = struct.unpack("<iI", file.read(8))
            if stream == number:
                try:
                    for events in _decode(_inflated(file.read(size), offset), offset, left_out, before):
                        before += len(events)
                        yield events
                except Damaged as trouble:  # how many events it held is not known
                    left_out.met(trouble.reason, trouble.position, before, 0)
            offset += 8 + size
    if layout.cut_at is not None:
        raise Damaged("it is cut off", layout.cut_at)


def _inflated(data: bytes, offset: int) -> bytes:
    magic = int.from_bytes(data[:4], "little")
    kind = {LZ4_MAGIC: "lz4", ZSTD_MAGIC: "zstd"}.get(magic)
    if kind is None:
        return data
    pyarrow = _load_pyarrow()
    try:
        with pyarrow.input_stream(pyarrow.py_buffer(data), compression=kind) as inflating:
            parts, total = [], 0
            while total <= MAX_INFLATED and (part := inflating.read(4 * len(data))):
                parts.append(part)
                total += len(part)
    except (OSError, ValueError) as error:
        raise Damaged(f"a packet cannot be inflated ({' '.join(str(error).split())[:120]})", offset) from error
    if total > MAX_INFLATED:
        raise Damaged(f"a packet inflates to more than {MAX_INFLATED} bytes", offset)
    return b"".join(parts)


def _load_pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingDependency("pyarrow", "compressed AEDAT4", install_command("pyarrow")) from error
    return pyarrow


def _decode(data: bytes, offset: int, left_out: LeftOut, before: int) -> Iterator[Events]:
    """Events of a FlatBuffer `EventPacket`; `offset` is the packet's, for messages."""
    from i2e_deploy.events.kernels import copy_aedat4

    try:
        (root,) = struct.unpack_from("<I", data, 4)
        table = 4 + root
        vtable = table - struct.unpack_from("<i", data, table)[0]
        if data[8:12] != b"EVTS" or not 0 <= vtable <= len(data):
            raise Damaged("a packet of the stream is no packet of events", offset)
        (length,) = struct.unpack_from("<H", data, vtable)
        field = struct.unpack_from("<H", data, vtable + 4)[0] if length >= 6 else 0
        if field == 0:
            return
        vector = table + field + struct.unpack_from("<I", data, table + field)[0]
        (count,) = struct.unpack_from("<I", data, vector)
        theirs = np.frombuffer(data, _EVENT, count, vector + 4)
    except (struct.error, ValueError) as error:
        raise Damaged(f"a packet of events has an offset outside itself ({error})", offset) from error
    for start in range(0, count, PACKET_EVENTS):
        part = theirs[start : start + PACKET_EVENTS]
        events = np.empty(len(part), EVENT_DTYPE)
        if not copy_aedat4(part, events):
            wrong = (part["x"] < 0) | (part["y"] < 0)
            left_out.met("a packet holds negative pixels", offset, before, int(wrong.sum()))
            events = events[~wrong]
        before += len(events)
        yield events


def _count(path: Path) -> int:
    """Events of a file of one camera; 0 where it is not whole."""
    try:
        return sum(map(len, _open(path, ReadOptions()).packets))
    except Damaged:
        return 0


FORMAT = Format(
    "aedat4", (".aedat4",), _open, partial(write_with_faery, {"file_type": "aedat"}, _count),
    (2**62, 2**15 - 1, 2**15 - 1), streams=_streams, encoder="faery",
    remarks="structure and decompressed size are checked before anything is inflated (by pyarrow); one of several "
    "cameras is named with `stream`",
)  # fmt: skip
