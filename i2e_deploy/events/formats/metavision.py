"""Metavision's HDF5, written over h5py: `CD/events` in ECF and `CD/indexes`; read by `hdf5_file`.

The index has an entry for every 2 ms: number and time of the first event of the last 2 ms before it that hold events.
Source: `HDF5EventFileWriter` of the public repository prophesee-ai/openeb.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, Format
from i2e_deploy.events.formats.ecf import CHUNK, FILTER, encode
from i2e_deploy.events.formats.hdf5_file import open_hdf5, streams
from i2e_deploy.events.options import SensorSize
from i2e_deploy.hdf5_write import writing

_PERIOD_US = 2000
#: A longer recording is refused: its index would have more than 2^24 entries.
_MAX_SPAN_US = 2**35
#: As the structures of its program lie in memory.
_EVENT = np.dtype({"names": ["x", "y", "p", "t"], "formats": ["<u2", "<u2", "<i2", "<i8"], "offsets": [0, 2, 4, 8],
                   "itemsize": 16})  # fmt: skip
_TRIGGER = np.dtype({"names": ["p", "t", "id"], "formats": ["<i2", "<i8", "<i2"], "offsets": [0, 8, 16],
                     "itemsize": 24})  # fmt: skip
_ENTRY = np.dtype([("id", "<u8"), ("ts", "<i8")])


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    with writing(path) as (file, check_disk):
        file.attrs["version"], file.attrs["geometry"] = "1.0", f"{size[0]}x{size[1]}"
        events, index = _compressed(file.create_group("CD")), _Index(_table(file["CD"], "indexes", _ENTRY))
        _table(file.create_group("EXT_TRIGGER"), "events", _TRIGGER)
        _table(file["EXT_TRIGGER"], "indexes", _ENTRY)
        rest, count = np.empty(0, EVENT_DTYPE), 0
        for packet in packets:
            index.add(packet)
            rest = np.concatenate([rest, packet])
            whole = len(rest) // CHUNK * CHUNK
            count = _append(events, count, rest[:whole])
            rest = rest[whole:]
            check_disk()
        _append(events, count, rest)
        index.close()


def _table(group: Any, name: str, dtype: np.dtype[Any]) -> Any:
    return group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,))


def _compressed(group: Any) -> Any:
    """An empty data set whose chunks are written past the filter, which nobody has to have installed."""
    import h5py

    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    how.set_chunk((CHUNK,))
    how.set_obj_track_times(False)  # equal events give equal files
    how.set_filter(FILTER, h5py.h5z.FLAG_OPTIONAL, ())
    space = h5py.h5s.create_simple((0,), (h5py.h5s.UNLIMITED,))
    return h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(_EVENT), space, dcpl=how)


def _append(data: Any, count: int, events: Events) -> int:
    """Add events from number `count` on, a multiple of `CHUNK`; how many there are then."""
    for start in range(0, len(events), CHUNK):
        part = events[start : start + CHUNK]
        data.set_extent((count + len(part),))
        data.write_direct_chunk((count,), encode(part))
        count += len(part)
    return count


class _Index:
    """`CD/indexes` while it is written."""

    def __init__(self, data: Any) -> None:
        self._data, self._start, self._count, self._period = data, 0, 0, -1
        #: Entry of the last 2 ms with events; before them there is none.
        self._last: NDArray[Any] = np.array([(0, -1)], _ENTRY)

    def add(self, packet: Events) -> None:
        """Raises `Damaged` where the recording is too long."""
        if not len(packet):
            return
        if self._count == 0:
            self._start = int(packet["t"][0])
            self._data.attrs["offset"] = str(-self._start)
        t = packet["t"] - self._start
        if t[-1] > _MAX_SPAN_US:
            raise Damaged(f"spans {int(t[-1])} us: at most {_MAX_SPAN_US} are written to Metavision's HDF5", None)
        periods = t // _PERIOD_US
        steps = np.diff(periods, prepend=self._period)
        first = np.flatnonzero(steps)
        found = np.empty(len(first), _ENTRY)
        found["id"], found["ts"] = self._count + first, t[first]
        before = np.concatenate([self._last, found])
        self._put(np.repeat(before[:-1], steps[first]))
        self._last, self._period, self._count = before[-1:], int(periods[-1]), self._count + len(packet)

    def _put(self, entries: NDArray[Any]) -> None:
        there = len(self._data)
        self._data.resize((there + len(entries),))
        self._data[there:] = entries

    def close(self) -> None:
        """The last entry, for what comes after the end."""
        if self._count:
            self._put(self._last)


FORMAT = Format(
    "metavision", (), open_hdf5, _write, (2**62, 2**11 - 1, 2**11 - 1), streams=streams, decoder="h5py, in a child",
    encoder="h5py, ours (ECF)", remarks="the layout of Metavision's programs, written where it is named "
    "(`--out-format metavision`), up to 9.5 h; read as `hdf5`",
)  # fmt: skip
