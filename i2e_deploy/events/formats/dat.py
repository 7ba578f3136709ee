"""DAT, our own: records of 8 bytes after a text header and two bytes, type and size of a record.

A record is two 32-bit words (docs.prophesee.ai, "DAT Format", version 2): the time in us, then `p:4, y:14, x:14`, most
significant bits first. The time wraps after 71.6 min. Version 1 has `p:1, y:8, x:9` in the lowest bits (Prophesee's
MATLAB script `load_atis_data`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import Events
from i2e_deploy.events.formats.base import Damaged, Format, Opened
from i2e_deploy.events.formats.raw_header import read_raw_header
from i2e_deploy.events.formats.words import WordFile
from i2e_deploy.events.options import ReadOptions, SensorSize

#: Types of records: a change of a pixel, and its older number (data sets N-CARS and GEN1).
_CHANGE, _OLD_CHANGE, _SIZE = 0x0C, 0x00, 8
#: Bits of an address of version 1, and records that are looked at where no version is named.
_FIRST_BITS, _LOOKED_AT = 18, 2**12


def _open(path: Path, options: ReadOptions) -> Opened:
    header = read_raw_header(path)
    with path.open("rb") as file:
        text, head = file.read(header.size), file.read(2)
    start, notes = header.size + 2, []
    if not header.size and path.stat().st_size % _SIZE == 0:  # as Prophesee's readers: then no two bytes either
        start = 0
        notes.append("it has no header: its records were taken for changes of pixels")
    elif len(head) < 2 or head[0] not in (_CHANGE, _OLD_CHANGE) or head[1] != _SIZE:
        raise Damaged(f"records of type and size {list(head)}: only changes of pixels ([12, 8] or [0, 8]) are read",
                      header.size)  # fmt: skip
    version = _version(path, text, start, notes)
    prepare = _as_second if version == 1 else None
    return WordFile(path, start, "<u8", "decode_dat", prepare).open(header.sensor_size, notes, options)


def _version(path: Path, text: bytes, start: int, notes: list[str]) -> int:
    """1 or 2, as the header says; where it does not, by the bits that are used, and said in `notes`."""
    said = re.search(rb"^% Version (\S+)", text, re.MULTILINE)
    if said is not None:
        if said[1] not in (b"0", b"1", b"2"):
            name = said[1][:20].decode("latin-1")
            raise Damaged(f"its version is {name!r}, versions 1 and 2 are read", said.start())
        return 2 if said[1] == b"2" else 1
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(_SIZE * _LOOKED_AT)
    addresses = np.frombuffer(data[: len(data) // _SIZE * _SIZE], "<u4")[1::2]
    version = 1 if len(addresses) and int(addresses.max()) < 2**_FIRST_BITS else 2
    notes.append(f"its header names no version: read as version {version}, by the bits that its first records use")
    return version


def _as_second(records: NDArray[Any]) -> NDArray[Any]:
    """Records uint64 of version 1 (`p:1, y:8, x:9` from bit 17 down) as those of version 2."""
    address = records >> np.uint64(32)
    x, y, p = address & np.uint64(0x1FF), address >> np.uint64(9) & np.uint64(0xFF), address >> np.uint64(17)
    moved = x | y << np.uint64(14) | (p & np.uint64(1)) << np.uint64(28)
    second: NDArray[Any] = moved << np.uint64(32) | records & np.uint64(2**32 - 1)
    return second


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    with path.open("wb") as file:
        file.write(f"% Version 2\n% Height {size[1]}\n% Width {size[0]}\n% end\n".encode() + bytes([_CHANGE, _SIZE]))
        for packet in packets:
            words = np.empty((len(packet), 2), "<u4")
            x, y, p = (packet[name].astype(np.uint32) for name in ("x", "y", "p"))
            words[:, 0], words[:, 1] = packet["t"], p << 28 | y << 14 | x
            file.write(words.tobytes())


FORMAT = Format(
    "dat", (".dat",), _open, _write, (2**32 - 1, 2**14 - 1, 2**14 - 1),
    remarks="versions 1 and 2, records of type 12 (CD) and 0 (2D: N-CARS, GEN1), also without a header",
)  # fmt: skip
