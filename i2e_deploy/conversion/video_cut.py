"""Whether a video has fewer bytes than its container states: Matroska, WebM, RIFF (AVI, WebP), MPEG program, GIF."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067
_GIF_TRAILER = b"\x3b"
_PACK, _END_CODE = b"\0\0\1\xba", 0xB9


def stated_end(path: Path) -> str | None:
    """What is wrong with the length of a file; None: nothing, or its container states none.

    Sources: RFC 8794 (EBML) and RFC 9559 (Matroska), Microsoft's RIFF, the GIF89a specification,
    ISO 13818-1 (MPEG program stream).
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        end: int | None = None
        if start[:4] == b"RIFF" and len(start) >= 8:
            end = 8 + int.from_bytes(start[4:8], "little")
        elif start[:4] == _EBML.to_bytes(4, "big"):
            end = _segment_end(file)
        elif start[:4] == _PACK:
            end = _packets_end(file, total)
        elif start[:3] == b"GIF":
            file.seek(-min(total, 64), os.SEEK_END)
            return None if file.read().rstrip(b"\0").endswith(_GIF_TRAILER) else "it has no end mark"
    return f"it has {total} of {end} bytes" if end is not None and end > total else None


def _packets_end(file: BinaryIO, total: int) -> int | None:
    """Byte after the last packet of an MPEG program stream, as its length says; None at what is no start code."""
    at = 0
    while at + 4 <= total:
        file.seek(at)
        head = file.read(14)
        if head[:3] != _PACK[:3] or head[3] <= _END_CODE:
            return None
        if head[:4] == _PACK:  # 12 bytes in MPEG-1, 14 and stuffing in MPEG-2
            at += 14 + (head[13] & 7) if len(head) == 14 and head[4] >> 6 == 1 else 12
        elif len(head) < 6:
            return at + 6
        else:
            at += 6 + int.from_bytes(head[4:6], "big")
    return at


def _segment_end(file: BinaryIO) -> int | None:
    """Byte after the segment of a Matroska file; None if its size is not stated."""
    file.seek(4)
    length = _size(file)
    if length is None:
        return None
    file.seek(file.tell() + length)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return None
    length = _size(file)
    return None if length is None else file.tell() + length


def _size(file: BinaryIO) -> int | None:
    """An EBML variable-length size; None where it is unknown (all ones) or there is none."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> width)]) + rest, "big")
    return None if len(rest) < width - 1 or value == 2 ** (7 * width) - 1 else value
