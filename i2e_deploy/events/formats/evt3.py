"""EVT3, our own.

EVT3 counts time in 24 bits, and a reader sees a wrap by TIME_HIGH falling. faery 0.7.1 reads a wrap only from 0xFFF to
0, holds times that go back at the latest, and writes one TIME_HIGH a change: a pause of 2^24 us (16.8 s) or more, or a
first event later than that, comes back too early (measured: 5 us, then 16,777,221 us, reads as 5, 5). Here every
TIME_HIGH is written, as cameras do.

Words of 16 bits, type in the top four (docs.prophesee.ai, "EVT 3.0 Format"): ADDR_Y 0 (y: 11), ADDR_X 2 (polarity:
1, x: 11), TIME_LOW 6 (12), TIME_HIGH 8 (12). Vectors (types 3 to 5) are not written: they cannot keep the order of
events within a microsecond.
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

_ADDR_Y, _ADDR_X, _TIME_LOW, _TIME_HIGH = 0x0000, 0x2000, 0x6000, 0x8000


def _open(path: Path, options: ReadOptions) -> Opened:
    header = read_raw_header(path)
    return WordFile(path, header.size, "<u2", "decode_evt3").open(header.sensor_size, [], options)


def encode(events: Events, high: int) -> tuple[NDArray[np.uint16], int]:
    """Words of `events` in order.

    Args:
        events: [N], sorted.
        high: `t >> 12` of what was written last, 0 at the start of a file.

    Returns:
        uint16 words, and `t >> 12` of the last event.
    """
    if not len(events):
        return np.empty(0, np.uint16), high
    t, x, y, p = (events[name].astype(np.int64) for name in ("t", "x", "y", "p"))
    highs = t >> 12
    # how many TIME_HIGH go before each event: one for each step of the counter; the first event always has one
    rise = np.diff(highs, prepend=high)
    bridges = rise.copy()
    bridges[0] = max(bridges[0], 1)
    new_time = np.diff(t, prepend=-1) != 0
    new_time[0] = True
    new_row = np.diff(y, prepend=-1) != 0
    lengths = bridges + new_time + new_row + 1
    ends = np.cumsum(lengths)
    words = np.empty(int(ends[-1]), np.uint16)
    words[ends - 1] = _ADDR_X | p << 11 | x
    words[(ends - 2)[new_row]] = _ADDR_Y | y[new_row]
    words[(ends - 2 - new_row)[new_time]] = _TIME_LOW | (t & 0xFFF)[new_time]
    owner = np.repeat(np.arange(len(t)), bridges)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(bridges) - bridges, bridges)
    value = np.minimum(highs[owner] - rise[owner] + step + 1, highs[owner])
    words[(ends - lengths)[owner] + step] = _TIME_HIGH | (value & 0xFFF)
    return words, int(highs[-1])


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    high = 0
    with path.open("wb") as file:
        file.write(f"% evt 3.0\n% format EVT3;height={size[1]};width={size[0]}\n% end\n".encode())
        for packet in packets:
            words, high = encode(packet, high)
            file.write(words.astype("<u2").tobytes())


FORMAT = Format(
    "evt3", (), _open, _write, (2**34 - 1, 2**11 - 1, 2**11 - 1), jitter=CAMERA_JITTER,
    remarks="our encoder writes every TIME_HIGH, so pauses of 16.8 s and more are kept, and no vector words, so its "
    "files are larger",
)  # fmt: skip
