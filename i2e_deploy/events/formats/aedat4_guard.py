"""Check the structure of an AEDAT4 file before a decoder allocates what its lengths say.

Layout (docs.inivation.com, "AEDAT 4.0"): a magic line; a size-prefixed FlatBuffer with compression, position of
the data table and an XML node; then packets `stream: int32, size: int32, payload`, the payload compressed alone.
A decoder takes `size` bytes, and as many as the payload inflates to, so both are bounded here: an LZ4 or Zstandard
frame is a chain of blocks whose largest size is known, and counting blocks needs no decompression.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from i2e_deploy.events.formats.base import Damaged

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_INFO = 2**24
#: 64 MiB of packet and 256 MiB inflated: a camera packet holds 10 ms, well under 2^20 events of 16 bytes.
MAX_PACKET, MAX_INFLATED = 2**26, 2**28

LZ4_MAGIC, ZSTD_MAGIC = 0x184D2204, 0xFD2FB528
_ZSTD_BLOCK = 2**17  # RFC 8878, 3.1.1.2.4: Block_Maximum_Size is at most 128 KiB


@dataclass(frozen=True)
class Layout:
    """Where the packets of a file are.

    Args:
        xml: the node of the header that names the streams.
        first, end: byte offsets of the first packet and of what comes after the last whole one.
        streams: numbers of the streams that have packets.
        cut_at: byte offset of the packet at which the file is cut off; None: it is whole.
    """

    xml: bytes
    first: int
    end: int
    streams: frozenset[int]
    cut_at: int | None


def check_aedat4(path: Path) -> Layout:
    """Walk all packets.

    Raises:
        Damaged: not AEDAT4, or a length that is wrong.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Damaged("it does not start with '#!AER-DAT4.0'", 0)
        try:
            (info_size,) = struct.unpack("<I", file.read(4))
            if info_size > min(MAX_INFO, total):
                raise Damaged(f"its header claims {info_size} bytes, the file has {total}", len(MAGIC))
            info = file.read(info_size)
            fields = _fields(info)
            table = struct.unpack_from("<q", info, fields[1])[0] if fields[1] else -1
            xml = _text(info, fields[2]) if fields[2] else b""
        except struct.error as error:
            raise Damaged(f"its header is cut off ({error})", len(MAGIC)) from error
        end = total if table < 0 else table
        first = offset = len(MAGIC) + 4 + info_size
        streams: set[int] = set()
        while offset < min(end, total):
            head = file.read(8)
            stream, size = struct.unpack("<iI", head.ljust(8, b"\0"))
            if size > MAX_PACKET:
                raise Damaged(f"a packet claims {size} bytes, at most {MAX_PACKET} are read", offset)
            if len(head) < 8 or offset + 8 + size > min(end, total):
                return Layout(xml, first, offset, frozenset(streams), offset)
            _check_inflated(file, size, offset)
            streams.add(stream)
            offset += 8 + size
            file.seek(offset)
    return Layout(xml, first, offset, frozenset(streams), offset if end > total else None)


def _fields(info: bytes) -> list[int]:
    """Positions of the three fields of the FlatBuffer `IOHeader`: compression, position of the data table, XML node.

    0 for one that is absent.
    """
    (root,) = struct.unpack_from("<I", info, 0)
    (back,) = struct.unpack_from("<i", info, root)
    vtable = root - back
    if vtable < 0:
        raise struct.error("vtable before the buffer")
    (length,) = struct.unpack_from("<H", info, vtable)
    offsets = [struct.unpack_from("<H", info, vtable + 4 + 2 * i)[0] if length >= 6 + 2 * i else 0 for i in range(3)]
    return [root + offset if offset else 0 for offset in offsets]


def _text(info: bytes, position: int) -> bytes:
    """The string that the field at `position` points to."""
    start = position + struct.unpack_from("<I", info, position)[0]
    (length,) = struct.unpack_from("<I", info, start)
    if start + 4 + length > len(info):
        raise struct.error("its text reaches beyond the header")
    return info[start + 4 : start + 4 + length]


def _check_inflated(file: BinaryIO, size: int, offset: int) -> None:
    """Raise Damaged if the payload at the file's position could inflate beyond `MAX_INFLATED`."""
    start = file.read(min(size, 32))
    magic = struct.unpack("<I", start[:4])[0] if len(start) >= 4 else 0
    at, end = offset + 8, offset + 8 + size
    if magic == LZ4_MAGIC and size >= 7:
        # lz4_Frame_format.md: FLG, BD, [content size 8], [dictionary 4], HC; then blocks of `size: uint32`.
        at += 4 + 2 + (8 if start[4] & 8 else 0) + (4 if start[4] & 1 else 0) + 1
        limit = 1 << (8 + 2 * ((start[5] >> 4) & 7))
        blocks, at = _lz4_blocks(file, at, end, 4 if start[4] & 16 else 0)
    elif magic == ZSTD_MAGIC and size >= 6:
        # RFC 8878, 3.1.1: descriptor, [window 1], [dictionary], [content size]; then blocks of 3-byte headers.
        single, dictionary = bool(start[4] & 32), (0, 1, 2, 4)[start[4] & 3]
        content = (1 if single else 0, 2, 4, 8)[start[4] >> 6]
        at += 5 + (0 if single else 1) + dictionary + content
        limit = _ZSTD_BLOCK
        blocks, at = _zstd_blocks(file, at, end)
    else:
        return
    if blocks * limit > MAX_INFLATED:
        raise Damaged(f"a packet of {size} bytes inflates to up to {blocks * limit}, at most {MAX_INFLATED}", offset)
    if end - at > 8:  # end mark and checksum take at most 8; a second frame would go uncounted
        raise Damaged(f"a packet has {end - at} bytes after its compressed frame", offset)


def _lz4_blocks(file: BinaryIO, at: int, end: int, checksum: int) -> tuple[int, int]:
    """Number of blocks of an LZ4 frame, and where it ends."""
    blocks = 0
    while at + 4 <= end:
        file.seek(at)
        word = int.from_bytes(file.read(4), "little")
        if word == 0:  # end mark
            break
        blocks, at = blocks + 1, at + 4 + (word & 0x7FFFFFFF) + checksum
    return blocks, at


def _zstd_blocks(file: BinaryIO, at: int, end: int) -> tuple[int, int]:
    """Number of blocks of a Zstandard frame, and where it ends."""
    blocks = 0
    while at + 3 <= end:
        file.seek(at)
        word = int.from_bytes(file.read(3), "little")
        is_rle = (word >> 1) & 3 == 1  # one byte stands for the whole block
        blocks, at = blocks + 1, at + 3 + (1 if is_rle else word >> 3)
        if word & 1:  # last block
            break
    return blocks, at
