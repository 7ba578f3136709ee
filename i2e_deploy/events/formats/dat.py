"""DAT, our own: records of 8 bytes after a text header and two bytes, type and size of a record.

A record is two 32-bit words (docs.prophesee.ai, "DAT Format", version 2): the time in us, then `p:4, y:14, x:14`, most
significant bits first. The time wraps after 71.6 min.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from i2e_deploy.events.array import Events
from i2e_deploy.events.formats.base import Damaged, Format, Opened, SensorSize
from i2e_deploy.events.formats.raw_header import read_raw_header
from i2e_deploy.events.formats.words import WordFile

#: Types of records: a change of a pixel, and its older number (data sets N-CARS and GEN1).
_CHANGE, _OLD_CHANGE, _SIZE = 0x0C, 0x00, 8


def _open(path: Path, stream: str | None) -> Opened:
    header = read_raw_header(path)
    with path.open("rb") as file:
        text, head = file.read(header.size), file.read(2)
    version = re.search(rb"^% Version (\S+)", text, re.MULTILINE)
    if version is not None and version[1] != b"2":
        raise Damaged(f"its version is {version[1][:20].decode('latin-1')!r}, version 2 is read", version.start())
    if len(head) < 2 or head[0] not in (_CHANGE, _OLD_CHANGE) or head[1] != _SIZE:
        raise Damaged(f"records of type and size {list(head)}: only changes of pixels ([12, 8] or [0, 8]) are read",
                      header.size)  # fmt: skip
    notes = [] if version else ["its header names no version: read as version 2"]
    return WordFile(path, header.size + 2, "<u8", "decode_dat").open(header.sensor_size, notes)


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    with path.open("wb") as file:
        file.write(f"% Version 2\n% Height {size[1]}\n% Width {size[0]}\n% end\n".encode() + bytes([_CHANGE, _SIZE]))
        for packet in packets:
            words = np.empty((len(packet), 2), "<u4")
            x, y, p = (packet[name].astype(np.uint32) for name in ("x", "y", "p"))
            words[:, 0], words[:, 1] = packet["t"], p << 28 | y << 14 | x
            file.write(words.tobytes())


FORMAT = Format("dat", (".dat",), _open, _write, (2**32 - 1, 2**14 - 1, 2**14 - 1))
