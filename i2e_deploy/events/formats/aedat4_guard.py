"""Check the structure of an AEDAT4 file before a decoder allocates what its lengths say.

Layout (docs.inivation.com, "AEDAT 4.0"): a magic line; a size-prefixed FlatBuffer with compression, position of
the data table and an XML node; then packets `stream: int32, size: int32, payload`, the payload compressed alone.
A decoder takes `size` bytes, and as many as the payload inflates to, so both are bounded here: an LZ4 or Zstandard
frame is a chain of blocks whose largest size is known, and counting blocks needs no decompression.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from i2e_deploy.events.formats.base import Damaged

MAGIC = b"#!AER-DAT4.0\r\n"
MAX_INFO = 2**24
#: 64 MiB of packet and 256 MiB inflated: a camera packet holds 10 ms, well under 2^20 events of 16 bytes.
MAX_PACKET, MAX_INFLATED = 2**26, 2**28

_LZ4_MAGIC, _ZSTD_MAGIC = 0x184D2204, 0xFD2FB528
_ZSTD_BLOCK = 2**17  # RFC 8878, 3.1.1.2.4: Block_Maximum_Size is at most 128 KiB


def check_aedat4(path: Path) -> int | None:
    """Walk all packets.

    Returns:
        None if the file is whole, else the byte offset of the packet at which it is cut off.

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
            table = _table_position(file.read(info_size))
        except struct.error as error:
            raise Damaged(f"its header is cut off ({error})", len(MAGIC)) from error
        end = total if table < 0 else table
        offset: int = len(MAGIC) + 4 + info_size
        while offset < min(end, total):
            head = file.read(8)
            if len(head) < 8:
                return offset
            _, size = struct.unpack("<iI", head)
            if size > MAX_PACKET:
                raise Damaged(f"a packet claims {size} bytes, at most {MAX_PACKET} are read", offset)
            if offset + 8 + size > min(end, total):
                return offset
            _check_inflated(file, size, offset)
            offset += 8 + size
            file.seek(offset)
    return offset if end > total else None


def _table_position(info: bytes) -> int:
    """`dataTablePosition` of the FlatBuffer `IOHeader` (field 1, int64; -1 or absent: no table)."""
    (root,) = struct.unpack_from("<I", info, 0)
    (back,) = struct.unpack_from("<i", info, root)
    vtable = root - back
    if vtable < 0:
        raise struct.error("vtable before the buffer")
    (length,) = struct.unpack_from("<H", info, vtable)
    if length < 8:
        return -1
    (field,) = struct.unpack_from("<H", info, vtable + 6)
    if field == 0:
        return -1
    (position,) = struct.unpack_from("<q", info, root + field)
    return int(position)


def _check_inflated(file: BinaryIO, size: int, offset: int) -> None:
    """Raise Damaged if the payload at the file's position could inflate beyond `MAX_INFLATED`."""
    start = file.read(min(size, 32))
    magic = struct.unpack("<I", start[:4])[0] if len(start) >= 4 else 0
    at, end = offset + 8, offset + 8 + size
    if magic == _LZ4_MAGIC and size >= 7:
        # lz4_Frame_format.md: FLG, BD, [content size 8], [dictionary 4], HC; then blocks of `size: uint32`.
        at += 4 + 2 + (8 if start[4] & 8 else 0) + (4 if start[4] & 1 else 0) + 1
        limit = 1 << (8 + 2 * ((start[5] >> 4) & 7))
        blocks, at = _lz4_blocks(file, at, end, 4 if start[4] & 16 else 0)
    elif magic == _ZSTD_MAGIC and size >= 6:
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
