"""ECF, the compression of Metavision's HDF5 files: our codec, as no package of the index has it.

A chunk is `number of events << 2 | rows packed << 1 | columns packed` (uint32), the first time (uint64), then runs of
times, and of rows, columns and polarities, or these packed in 24 or 12 bits. We write the packed rows, which suit
events in any order. Source: the description in the public repository prophesee-ai/hdf5_ecf, against whose program both
directions were compared.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

#: Its number among HDF5's filters.
FILTER = 0x8ECF
#: Most events of a chunk that the format allows; events of a chunk that Metavision writes.
_MOST, CHUNK = 65535, 2**14
#: Half-bytes of the longest step in time.
_NIBBLES = 16
_EVENT = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])


def records_of(data: Any) -> Callable[[int, int], NDArray[Any]]:
    """Records start..stop of a data set of one dimension, whatever it is compressed with."""
    filters = data.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if FILTER not in codes:
        return lambda start, stop: np.asarray(data[start:stop])
    if codes != [FILTER] or not {"t", "x", "y", "p"} <= set(data.dtype.names or ()):
        raise ValueError(f"its filters are {codes}: ECF alone, over records with t, x, y, p, is read")
    size = int(data.chunks[0])

    def read(start: int, stop: int) -> NDArray[Any]:
        found = [_chunk(data, at, size) for at in range(start // size * size, stop, size)]
        found = found or [np.empty(0, _EVENT)]
        records: NDArray[Any] = np.concatenate(found)[start % size :][: stop - start]
        return records

    return read


def _chunk(data: Any, start: int, size: int) -> NDArray[Any]:
    mask, raw = data.id.read_direct_chunk((start,))
    if mask:
        raise OSError(f"the chunk at event {start} is stored without its filter")
    events = np.empty(_MOST, _EVENT)
    count = int(decode(np.frombuffer(raw + bytes(16), np.uint8), len(raw), events))
    wanted = min(size, len(data) - start)
    if count < wanted:
        raise OSError(f"the chunk at event {start} gives {max(count, 0)} events of {wanted}")
    return events[:wanted]


@numba.njit(cache=True, nogil=True)
def _u16(data, at):  # type: ignore[no-untyped-def]
    return np.int64(data[at]) | np.int64(data[at + 1]) << 8


@numba.njit(cache=True, nogil=True)
def _u32(data, at):  # type: ignore[no-untyped-def]
    return _u16(data, at) | _u16(data, at + 2) << 16


@numba.njit(cache=True, nogil=True)
def decode(data, size, events):  # type: ignore[no-untyped-def]
    """A chunk, uint8 [size + 16], to `events`; how many, or -1 where it is damaged."""
    if size < 12:
        return -1
    head = _u32(data, 0)
    count = head >> 2
    if count > len(events):
        return -1
    at = _times(data, size, count, events)
    if at >= 0 and head & 2:
        at = _packed_all(data, size, at, count, events)
    elif at >= 0:
        at = _rows(data, size, at, count, events)
        if at >= 0 and head & 1:
            at = _packed_columns(data, size, at, count, events)
        elif at >= 0:
            at = _columns(data, size, at, count, events)
            if at >= 0:
                at = _polarities(data, size, at, count, events)
    return count if at >= 0 else -1


@numba.njit(cache=True, nogil=True)
def _times(data, size, count, events):  # type: ignore[no-untyped-def]
    """Runs `step:4, length:4` (15: 16 bits follow); a step of 15 starts a longer one, 4 bits a byte."""
    at, done = 12, 0
    t = _u32(data, 4) | _u32(data, 8) << 32
    while done < count:
        if at >= size:
            return -1
        step, run = data[at] >> 4, data[at] & 15
        if step == 15:
            long, shift = 0, 0
            while at < size and data[at] >> 4 == 15 and shift < 64:
                long |= int(data[at] & 15) << shift
                shift, at = shift + 4, at + 1
            t += long
            continue
        at += 1
        if run == 15:
            run, at = _u16(data, at), at + 2
        if done + run > count:
            return -1
        t += step
        for i in range(done, done + run):
            events[i].t = t
        done += run
    return at if at <= size else -1


@numba.njit(cache=True, nogil=True)
def _rows(data, size, at, count, events):  # type: ignore[no-untyped-def]
    """Runs `row:11, length:5` (31: 16 bits follow)."""
    done = 0
    while done < count:
        if at >= size:
            return -1
        word, at = _u16(data, at), at + 2
        run = word & 31
        if run == 31:
            run, at = _u16(data, at), at + 2
        if done + run > count:
            return -1
        for i in range(done, done + run):
            events[i].y = word >> 5
        done += run
    return at if at <= size else -1


@numba.njit(cache=True, nogil=True)
def _columns(data, size, at, count, events):  # type: ignore[no-untyped-def]
    """`column:11, mask:5`: an event there, and one on each of the next five columns whose bit is set."""
    done = 0
    while done < count:
        if at >= size:
            return -1
        word, at = _u16(data, at), at + 2
        for j in range(6):
            if j == 0 or word >> (5 - j) & 1:
                if done == count:  # its own encoder leaves bits there that mean nothing
                    break
                events[done].x = (word >> 5) + j
                done += 1
    return at if at <= size else -1


@numba.njit(cache=True, nogil=True)
def _polarities(data, size, at, count, events):  # type: ignore[no-untyped-def]
    """Runs `polarity:1, length:7` (127: 16 bits follow)."""
    done = 0
    while done < count:
        if at >= size:
            return -1
        p, run = data[at] >> 7, data[at] & 127
        at += 1
        if run == 127:
            run, at = _u16(data, at), at + 2
        if done + run > count:
            return -1
        for i in range(done, done + run):
            events[i].p = p
        done += run
    return at if at <= size else -1


@numba.njit(cache=True, nogil=True)
def _packed_columns(data, size, at, count, events):  # type: ignore[no-untyped-def]
    """Four events in three 16-bit words, `column:11, polarity:1` each, their bits spread over the words."""
    for first in range(0, count, 4):
        if at + 6 > size:
            return -1
        a, b, c = _u16(data, at), _u16(data, at + 2), _u16(data, at + 4)
        at += 6
        values = (a >> 4, a & 15 | b >> 8 << 4, b & 255 | c >> 12 << 8, c & 4095)
        for j in range(min(4, count - first)):
            events[first + j].x, events[first + j].p = values[j] >> 1, values[j] & 1
    return at


@numba.njit(cache=True, nogil=True)
def _packed_all(data, size, at, count, events):  # type: ignore[no-untyped-def]
    """Four events in three 32-bit words, `row:12, column:11, polarity:1` each."""
    for first in range(0, count, 4):
        if at + 12 > size:
            return -1
        a, b, c = _u32(data, at), _u32(data, at + 4), _u32(data, at + 8)
        at += 12
        values = (a >> 8, a & 255 | b >> 16 << 8, b & 65535 | c >> 24 << 16, c & 0xFFFFFF)
        for j in range(min(4, count - first)):
            event = events[first + j]
            event.y, event.x, event.p = values[j] >> 12 & 2047, values[j] >> 1 & 2047, values[j] & 1
    return at


def encode(events: NDArray[Any]) -> bytes:
    """A chunk of 1 to `_MOST` events with t, x, y, p, sorted, x and y below 2^11."""
    head = struct.pack("<IQ", len(events) << 2 | 2, int(events["t"][0]))
    x, y, p = (events[name].astype("<u4") for name in ("x", "y", "p"))
    values = np.zeros(-(-len(events) // 4) * 4, "<u4")
    values[: len(events)] = y << 12 | x << 1 | p
    a, b, c, d = values.reshape(-1, 4).T
    words = np.stack([a << 8 | b & 0xFF, b >> 8 << 16 | c & 0xFFFF, c >> 16 << 24 | d], axis=1)
    packed: bytes = words.astype("<u4").tobytes()
    return head + _runs_of_times(events["t"]) + packed


def _runs_of_times(t: NDArray[np.int64]) -> bytes:
    """What `_times` reads: of each run the half-bytes of a step beyond 14, then step and length."""
    first = np.flatnonzero(np.diff(t, prepend=t[0] - 1))
    step, run = np.diff(t[first], prepend=t[0]), np.diff(first, append=len(t))
    long = step > 14
    rest = np.where(long, step, 0)[:, None] >> np.arange(0, 4 * _NIBBLES, 4)
    columns = np.empty((len(first), _NIBBLES + 3), np.uint8)
    columns[:, :_NIBBLES] = 0xF0 | rest & 15
    columns[:, _NIBBLES] = np.where(long, 0, step) << 4 | np.minimum(run, 15)
    columns[:, _NIBBLES + 1], columns[:, _NIBBLES + 2] = run & 255, run >> 8
    held = np.ones(columns.shape, bool)
    held[:, :_NIBBLES] = rest > 0
    held[:, _NIBBLES + 1 :] = (run > 14)[:, None]
    runs: bytes = columns[held].tobytes()
    return runs
