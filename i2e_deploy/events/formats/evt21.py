"""EVT2.1, our own: 64-bit words that carry up to 32 pixels of one row.

No permissive library reads it (faery 0.7.1 panics; evutils is GPL-3 and serves as oracle in the tests).

Word, most significant bits first (docs.prophesee.ai, "EVT 2.1 Format"): CD_OFF (type 0) and CD_ON (1) hold
`type:4, time low:6, x:11 (a multiple of 32), y:11, valid:32`; TIME_HIGH (8) holds `type:4, time high:28, unused:32`.
The time of an event is `time high << 6 | time low`. Bit i of `valid` is pixel x + i. Files are "legacy" (the 32-bit
halves of a word swapped) unless their header says `endianness` little; we write legacy and say so.
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

Words = NDArray[np.uint64]


def _open(path: Path, options: ReadOptions) -> Opened:
    header = read_raw_header(path)
    prepare = swap_halves if header.legacy else None
    return WordFile(path, header.size, "<u8", "decode_evt21", prepare).open(header.sensor_size, [], options)


def swap_halves(words: Words) -> Words:
    """Words with their upper and lower 32 bits exchanged."""
    return (words << np.uint64(32)) | (words >> np.uint64(32))


def encode(events: Events, time_high: int | None) -> tuple[Words, int | None]:
    """Words of `events`, and the TIME_HIGH that holds after them. Order within one microsecond is kept.

    Neighbours share a word when they have the same time, row, polarity and group of 32 columns, and rising x.
    """
    if not len(events):
        return np.empty(0, np.uint64), time_high
    t, x, y, p = (events[name].astype(np.int64) for name in ("t", "x", "y", "p"))
    key = np.stack([t, x >> 5, y, p])
    starts = np.ones(len(events), bool)
    starts[1:] = (key[:, 1:] != key[:, :-1]).any(axis=0) | (x[1:] <= x[:-1])
    first = np.flatnonzero(starts)
    valid = np.bitwise_or.reduceat(np.int64(1) << (x & 31), first)
    words = p[first] << 60 | (t[first] & 63) << 54 | (x[first] >> 5 << 5) << 43 | y[first] << 32 | valid
    highs = t[first] >> 6
    before = np.concatenate([[-1 if time_high is None else time_high], highs[:-1]])
    changes = highs != before
    out = np.empty(len(first) + int(changes.sum()), np.uint64)
    place = np.arange(len(first)) + np.cumsum(changes)
    out[place] = words.astype(np.uint64)
    out[place[changes] - 1] = np.uint64(_TIME_HIGH << 60) | (highs[changes].astype(np.uint64) << np.uint64(32))
    return out, int(highs[-1])


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    time_high: int | None = None
    with path.open("wb") as file:
        file.write(f"% endianness legacy\n% evt 2.1\n% format EVT21;height={size[1]};width={size[0]}\n% end\n".encode())
        for packet in packets:
            words, time_high = encode(packet, time_high)
            file.write(swap_halves(words).astype("<u8").tobytes())


FORMAT = Format(
    "evt2.1", (), _open, _write, (2**34 - 1, 2**11 - 1, 2**11 - 1), jitter=CAMERA_JITTER,
    remarks="no permissively licensed reader; equal to evutils' on what we write",
)  # fmt: skip
