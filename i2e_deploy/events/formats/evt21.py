"""EVT2.1, our own: 64-bit words that carry up to 32 pixels of one row.

No permissive library reads it (faery 0.7.1 panics; evutils is GPL-3 and serves as oracle in the tests).

Word, most significant bits first (docs.prophesee.ai, "EVT 2.1 Format"): CD_OFF (type 0) and CD_ON (1) hold
`type:4, time low:6, x:11 (a multiple of 32), y:11, valid:32`; TIME_HIGH (8) holds `type:4, time high:28, unused:32`.
The time of an event is `time high << 6 | time low`. Bit i of `valid` is pixel x + i. Files are "legacy" (the 32-bit
halves of a word swapped) unless their header says `endianness` little; we write legacy and say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, Format, Opened, SensorSize
from i2e_deploy.events.formats.raw_header import read_raw_header

#: Words a read: each gives at most 32 events.
_WORDS = 2**15
_OFF, _ON, _TIME_HIGH = 0, 1, 8
#: Types of the documentation that carry no change of a pixel: triggers, others, continued.
_IGNORED = (0xA, 0xE, 0xF)

Words = NDArray[np.uint64]


def _open(path: Path) -> Opened:
    header = read_raw_header(path)
    return Opened(header.sensor_size, _packets(path, header.size, header.legacy))


def _packets(path: Path, position: int, legacy: bool) -> Iterator[Events]:
    time_high: int | None = None
    with path.open("rb") as file:
        file.seek(position)
        while data := file.read(8 * _WORDS):
            words = np.frombuffer(data[: len(data) // 8 * 8], "<u8")
            if legacy:
                words = swap_halves(words)
            bad = ~np.isin(words >> np.uint64(60), (_OFF, _ON, _TIME_HIGH, *_IGNORED))
            good = int(bad.argmax()) if bad.any() else len(words)
            events, time_high = decode(words[:good], time_high)
            yield events
            if good < len(words):
                at = position + 8 * good
                raise Damaged(f"word {int(words[good]):#018x} has an unknown type", at)
            if len(data) % 8:
                raise Damaged("it is cut off inside a word", position + 8 * good)
            position += len(data)


def swap_halves(words: Words) -> Words:
    """Words with their upper and lower 32 bits exchanged."""
    return (words << np.uint64(32)) | (words >> np.uint64(32))


def decode(words: Words, time_high: int | None) -> tuple[Events, int | None]:
    """Events of `words` uint64 [N], and the TIME_HIGH that holds after them.

    Args:
        words: little-endian value of each word.
        time_high: from the words before; None: none seen yet, events before the first are dropped, as their
            time is not known.
    """
    kind = (words >> np.uint64(60)).astype(np.int64)
    is_high = kind == _TIME_HIGH
    high_of_word = _carry(((words >> np.uint64(32)) & np.uint64(2**28 - 1)).astype(np.int64), is_high, time_high)
    keep = (kind <= _ON) & (high_of_word >= 0)
    kept, highs = words[keep], high_of_word[keep]
    valid = (kept & np.uint64(2**32 - 1)).astype("<u4")
    bits = np.unpackbits(valid.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    word, bit = np.nonzero(bits)
    source = kept[word]
    events = np.empty(len(word), EVENT_DTYPE)
    events["t"] = highs[word] << 6 | ((source >> np.uint64(54)) & np.uint64(63)).astype(np.int64)
    events["x"] = ((source >> np.uint64(43)) & np.uint64(2047)).astype(np.int64) + bit
    events["y"] = (source >> np.uint64(32)) & np.uint64(2047)
    events["p"] = source >> np.uint64(60)
    last = int(high_of_word[-1]) if len(words) else (-1 if time_high is None else time_high)
    return events, None if last < 0 else last


def _carry(values: NDArray[np.int64], mask: NDArray[Any], before: int | None) -> NDArray[np.int64]:
    """Each element's latest masked value; `before` (or -1) where there is none yet."""
    latest = np.maximum.accumulate(np.where(mask, np.arange(1, len(values) + 1), 0))
    carried: NDArray[np.int64] = np.concatenate([[-1 if before is None else before], values])[latest]
    return carried


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


FORMAT = Format("evt2.1", (), _open, _write, (2**34 - 1, 2**11 - 1, 2**11 - 1))
