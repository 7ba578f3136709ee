"""EVT2, our own: 32-bit words, one event each.

Word, most significant bits first (docs.prophesee.ai, "EVT 2.0 Format"): CD_OFF (type 0) and CD_ON (1) hold
`type:4, time low:6, x:11, y:11`; TIME_HIGH (8) holds `type:4, time high:28`. The time of an event is
`time high << 6 | time low`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import Events
from i2e_deploy.events.formats.base import Format, Opened
from i2e_deploy.events.formats.raw_header import read_raw_header
from i2e_deploy.events.formats.words import CAMERA_JITTER, WordFile
from i2e_deploy.events.options import ReadOptions, SensorSize

_TIME_HIGH = 8


def _open(path: Path, options: ReadOptions) -> Opened:
    header = read_raw_header(path)
    return WordFile(path, header.size, "<u4", "decode_evt2").open(header.sensor_size, [], options)


def encode(events: Events, time_high: int) -> tuple[NDArray[np.uint32], int]:
    """Words uint32 of `events` [N], and the TIME_HIGH after them; a TIME_HIGH word at each change.

    Args:
        events: in order.
        time_high: from the words before; -1 at the start of a file.
    """
    if not len(events):
        return np.empty(0, np.uint32), time_high
    t, x, y, p = (events[name].astype(np.int64) for name in ("t", "x", "y", "p"))
    highs = t >> 6
    changes = np.diff(highs, prepend=time_high) != 0
    place = np.arange(len(t)) + np.cumsum(changes)
    words = np.empty(len(t) + int(changes.sum()), np.uint32)
    words[place] = p << 28 | (t & 63) << 22 | x << 11 | y
    words[place[changes] - 1] = _TIME_HIGH << 28 | highs[changes]
    return words, int(highs[-1])


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    time_high = -1
    with path.open("wb") as file:
        file.write(f"% evt 2.0\n% format EVT2;height={size[1]};width={size[0]}\n% end\n".encode())
        for packet in packets:
            words, time_high = encode(packet, time_high)
            file.write(words.astype("<u4").tobytes())


FORMAT = Format(
    "evt2", (), _open, _write, (2**34 - 1, 2**11 - 1, 2**11 - 1), jitter=CAMERA_JITTER,
    remarks="also without a header, where `format` names it",
)  # fmt: skip
