"""AEDAT 2.0 and 1.0, our own: what jAER records; 2.0 is written too.

Text lines that start with `#`, then records, big-endian: an address (version 2: 32 bits, version 1: 16 bits) and a
time in us (int32, which wraps). What the bits of an address mean depends on the chip, which jAER names in a line
`# AEChip: CLASS`. jAER counts rows from the bottom; here row 0 is at the top. Sources: jAER's `DVS128.Extractor`,
`DavisChip` and `DavisBaseCamera` (masks, and x counted from the right), `AEDataFile` and `AEFileOutputStream` (the
header's last line), docs.inivation.com, "AEDAT 2.0".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, Format, LeftOut, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

_SECOND = np.dtype([("address", ">u4"), ("t", ">i4")])
_FIRST = np.dtype([("address", ">u2"), ("t", ">i4")])
#: A header with a camera's settings has some 100 KiB.
_MAX_HEADER = 2**22
_PIECE, _LOOKED_AT = 2**18, 2**12
#: The last line of a header, since 2016, and what a line of text does not hold.
_END = b"#End Of ASCII Header"
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")
#: A time that falls by all but this many us of its range has wrapped, as in `clock_kernels.decode_dat`.
_SLACK = 1_000_000


@dataclass(frozen=True)
class Chip:
    """How a chip's addresses are read.

    Args:
        size: (width, height).
        davis: the layout of DAVIS cameras, with APS and IMU samples among the events; else that of the DVS128.
    """

    size: SensorSize
    davis: bool


#: Last part of jAER's class name, lower case, to (width, height): `setSizeX`, `setSizeY` or the constants there.
_DAVIS = {
    "davis128": (128, 128), "davis208pixelparade": (208, 192), "davis192pixelparade": (208, 192),
    "davis240a": (240, 180), "davis240b": (240, 180), "davis240c": (240, 180), "davis240basecamera": (240, 180),
    "dvs240": (240, 180), "sbret10": (240, 180), "sbret20": (240, 180),
    "davis346a": (346, 260), "davis346b": (346, 260), "davis346blue": (346, 260), "davis346mini": (346, 260),
    "davis346red": (346, 260), "davis346zynq": (346, 260), "davis346basecamera": (346, 260),
    "davis640": (640, 480),
}  # fmt: skip
CHIPS = {
    **{name: Chip(size, True) for name, size in _DAVIS.items()},
    **{name: Chip((128, 128), False) for name in ("dvs128", "tmpdiff128")},
}


#: Sizes that are written, and the class of jAER that stands for each.
_WRITTEN = {
    (128, 128): "ch.unizh.ini.jaer.chip.retina.DVS128",
    **{
        size: f"eu.seebetter.ini.chips.davis.{name}"
        for size, name in (
            ((240, 180), "DAVIS240C"), ((208, 192), "Davis208PixelParade"), ((346, 260), "Davis346blue"),
            ((640, 480), "Davis640"),
        )
    },
}  # fmt: skip


def _open(path: Path, options: ReadOptions, dtype: np.dtype[Any] = _SECOND) -> Opened:
    header, start = _header(path)
    if dtype == _SECOND and not header.startswith(b"#!AER-DAT2.0"):
        word = options.word("format", "aedat1")
        raise Damaged(f"it does not start with '#!AER-DAT2.0'; if it is AEDAT 1.0 without a header, give {word}", 0)
    notes: list[str] = []
    chip = _chip(path, header, options, notes) if dtype == _SECOND else CHIPS["dvs128"]
    left_out = LeftOut(options.salvage)
    return Opened(chip.size, _packets(path, start, dtype, chip, notes, left_out), notes=notes, left_out=left_out)


def _header(path: Path) -> tuple[bytes, int]:
    """The lines of text that start with `#`, up to the one that ends a header, and the byte after them.

    The first byte of a record may be a `#` too (rows 140 to 143 from the bottom); then what follows is no text.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_HEADER)
    position, line = 0, b""
    while data[position : position + 1] == b"#" and not line.startswith(_END):
        end = data.find(b"\n", position)
        line = data[position:] if end < 0 else data[position : end + 1]
        if _NO_TEXT.search(line):
            break
        if end < 0:
            raise Damaged(f"its header does not end within {_MAX_HEADER} bytes", position)
        position = end + 1
    return data[:position], position


def _chip(path: Path, header: bytes, options: ReadOptions, notes: list[str]) -> Chip:
    """The chip that the header names; else the one of the size that the caller gives; else DVS128, said in `notes`.

    Raises:
        Damaged: a chip that is not known; or none is named, and the addresses are no DVS128's.
    """
    found = re.search(rb"^#\s*AEChip:\s*([\w.$]+)", header, re.MULTILINE)
    if found is not None:
        name = found[1].decode("latin-1")[:80]
        chip = CHIPS.get(name.rpartition(".")[2].lower())
        if chip is None:
            raise Damaged(f"it was recorded with the chip {name}; known: {', '.join(CHIPS)}", found.start())
        return chip
    with path.open("rb") as file:
        file.seek(len(header))
        data = file.read(_SECOND.itemsize * _LOOKED_AT)
    first = np.frombuffer(data[: len(data) // _SECOND.itemsize * _SECOND.itemsize], _SECOND)["address"]
    davis = bool((first >= 2**16).any())
    kind, size = "a DAVIS" if davis else "a DVS128", options.sensor_size
    if size is None and davis:
        sizes = sorted({chip.size for chip in CHIPS.values() if chip.davis})
        said = ", ".join(f"{width} x {height}" for width, height in sizes)
        raise Damaged(f"its header names no AEChip, and its addresses are those of {kind}: say which of {said} pixels, "
                      f"with {options.size_word()}", len(header))  # fmt: skip
    chip = next((chip for chip in CHIPS.values() if chip.davis == davis and size in (None, chip.size)), None)
    if chip is None:
        raise Damaged(f"its header names no AEChip, its addresses are those of {kind}, and none has {size} pixels", 0)
    notes.append(f"its header names no AEChip: read as {kind} of {chip.size[0]} x {chip.size[1]} pixels")
    return chip


def _packets(
    path: Path, position: int, dtype: np.dtype[Any], chip: Chip, notes: list[str], left_out: LeftOut
) -> Iterator[Events]:
    counts = {"external input": 0, "APS": 0, "IMU": 0}
    last: int | None = None
    shift = before = 0
    with path.open("rb") as file:
        file.seek(position)
        for data in iter(partial(file.read, _PIECE * dtype.itemsize), b""):
            records = np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
            t, shift, last = _follow(records["t"].astype(np.int64), shift, last)
            address = records["address"].astype(np.int64)
            events, right, changes = (_davis if chip.davis else _dvs128)(address, chip, counts)
            events["t"] = t[changes]
            if not right.all():
                first = int(right.argmin())
                place = position + dtype.itemsize * int(np.flatnonzero(changes)[first])
                wrong = int(address[changes][first])
                if not left_out.salvage:
                    yield events[:first]
                said = f"address {wrong:#x} is a pixel outside {chip.size[0]} x {chip.size[1]}"
                left_out.met(said, place, before + first, int((~right).sum()))
                events = events[right]
            before += len(events)
            yield events
            position += len(records) * dtype.itemsize
            if len(data) % dtype.itemsize:
                _say(counts, notes)
                raise Damaged("it is cut off inside an event", position)
    _say(counts, notes)


def _say(counts: dict[str, int], notes: list[str]) -> None:
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    if said:
        notes.append(f"samples and events of other kinds were skipped: {said}")


def _follow(t: NDArray[np.int64], shift: int, last: int | None) -> tuple[NDArray[np.int64], int, int | None]:
    """Times [N] that go on where the int32 wrapped; then the shift and the last time, for the next call."""
    if not len(t):
        return t, shift, last
    steps = np.diff(t, prepend=t[0] if last is None else last)
    wraps: NDArray[np.int64] = shift + 2**32 * np.cumsum(steps <= _SLACK - 2**32)
    return t + wraps, int(wraps[-1]), int(t[-1])


_Decoded = tuple[Events, NDArray[np.bool_], NDArray[np.bool_]]


def _dvs128(address: NDArray[np.int64], chip: Chip, counts: dict[str, int]) -> _Decoded:
    """Events without their times, which of them are right, and which addresses [N] they come from."""
    changes = address < 2**15  # above: the bit of external input, or of a second camera
    counts["external input"] += int((~changes).sum())
    address = address[changes]
    events = np.empty(len(address), EVENT_DTYPE)
    events["x"], events["y"] = 127 - (address >> 1 & 127), 127 - (address >> 8 & 127)
    events["p"] = 1 - (address & 1)  # ON is 0 in the file
    return events, np.ones(len(events), bool), changes


def _davis(address: NDArray[np.int64], chip: Chip, counts: dict[str, int]) -> _Decoded:
    """As `_dvs128`: bit 31 marks APS and (with bits 10 and 11) IMU samples, bit 10 external input."""
    sample, kind = address >> 31 == 1, address >> 10 & 3
    changes = ~sample & (kind & 1 == 0)
    counts["IMU"] += int((sample & (kind == 3)).sum())
    counts["APS"] += int((sample & (kind != 3)).sum())
    counts["external input"] += int((~sample & (kind & 1 == 1)).sum())
    address = address[changes]
    width, height = chip.size
    x, y = width - 1 - (address >> 12 & 1023), height - 1 - (address >> 22 & 511)
    events = np.empty(len(address), EVENT_DTYPE)
    events["x"], events["y"], events["p"] = x & 0xFFFF, y & 0xFFFF, address >> 11 & 1
    return events, (x >= 0) & (y >= 0), changes


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    name = _WRITTEN.get(size)
    if name is None:
        known = ", ".join(f"{width} x {height}" for width, height in _WRITTEN)
        said = f"AEDAT 2.0 holds cameras of {known} pixels, not {size[0]} x {size[1]}: write another format"
        raise Damaged(said, None)
    width, height = size
    lines = ("!AER-DAT2.0", " This is a raw AE data file - do not edit",
             " Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event",
             " Timestamps tick is 1 us", f" AEChip: {name}", _END[1:].decode())  # fmt: skip
    with path.open("wb") as file:
        file.write("".join(f"#{line}\r\n" for line in lines).encode())
        for packet in packets:
            x, y, p = (packet[name].astype(np.uint32) for name in ("x", "y", "p"))
            x, y = np.uint32(width - 1) - x, np.uint32(height - 1) - y
            records = np.empty(len(packet), _SECOND)
            records["address"] = y << 8 | x << 1 | 1 - p if size == (128, 128) else y << 22 | x << 12 | p << 11
            records["t"] = packet["t"]
            file.write(records.tobytes())


#: Times are int32, which jAER lets wrap: they are written up to there.
_LIMITS = (2**31 - 1, 639, 479)
FORMAT = Format(
    "aedat2", (".aedat", ".aedat2"), _open, _write, _LIMITS,
    remarks="jAER: DVS128 and DAVIS; the chip is taken from `AEChip`, else from the size that the caller gives; APS, "
    "IMU and external input are skipped and counted. CIFAR10-DVS comes so, with its camera on its side. Written for "
    "the sizes of these cameras, up to 35.8 min",
)  # fmt: skip
FIRST_FORMAT = Format(
    "aedat1", (), partial(_open, dtype=_FIRST), None, (2**62, 127, 127), encoder="obsolete, `aedat2` holds the same",
    remarks="jAER's first format, DVS128; also without a header, where `format` names it",
)  # fmt: skip
