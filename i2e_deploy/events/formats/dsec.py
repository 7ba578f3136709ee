"""DSEC's HDF5, our own layer over h5py: group `events` with x, y, t, p, and the scalar `t_offset`.

`t` is uint32 us from `t_offset`; `ms_to_idx[k]` is the first event at or after k ms. The published files are
compressed with Blosc: reading those needs the package hdf5plugin. Source: dsec.ifi.uzh.ch, "Data Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, FAR, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened, SensorSize
from i2e_deploy.events.formats.in_child import in_child
from i2e_deploy.hdf5_guard import check_heaps
from i2e_deploy.hdf5_write import writing

_FIELDS = ("t", "x", "y", "p")
#: Prophesee Gen3.1 of the data set; our own files say theirs in attributes.
_DSEC_SIZE = (640, 480)
#: A chunk is inflated whole: no larger than this many bytes.
_MAX_CHUNK = 2**26


def open_here(path: Path, stream: str | None) -> Opened:
    """In a child process: see `in_child`."""
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  # registers Blosc
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise Damaged(f"not a whole HDF5 file ({error})", 0) from error
    try:
        columns = [_column(file, f"events/{name}", 1) for name in _FIELDS]
        offset = _whole("t_offset", _column(file, "t_offset", 0)[()], FAR) if "t_offset" in file else 0
        sides = zip(("width", "height"), _DSEC_SIZE, strict=True)
        width, height = (_whole(name, file.attrs.get(name, side), 2**16) for name, side in sides)
        size = (width, height)
    except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
        file.close()
        raise Damaged(f"not DSEC's layout ({error})", None) from error
    except (Damaged, MissingDependency):
        file.close()
        raise
    return Opened(size, _packets(columns, offset), file.close)


def _whole(name: str, value: Any, most: int) -> int:
    """A single integer between -most and most."""
    array = np.asarray(value)
    if array.shape or array.dtype.kind not in "iu" or not -most <= int(array) <= most:
        raise Damaged(f"{name} is {' '.join(str(value).split())[:40]} ({array.dtype}), not a whole number", None)
    return int(array)


def _column(file: Any, name: str, ndim: int) -> Any:
    """A data set that lies inside the file, is made of integers and inflates in bounded pieces."""
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if link is None:
            raise Damaged(f"it holds no {name!r}", None)
        if not isinstance(link, h5py.HardLink):
            raise Damaged(f"{name!r} is a link ({type(link).__name__}): links are not followed", None)
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.ndim != ndim or data.dtype.kind not in "biu":
        raise Damaged(f"{name!r} is no array of integers with {ndim} dimensions", None)
    if data.external or data.is_virtual:
        raise Damaged(f"{name!r} keeps its values outside the file: that is not followed", None)
    if data.chunks and int(np.prod(data.chunks)) * data.dtype.itemsize > _MAX_CHUNK:
        raise Damaged(f"{name!r} has chunks {data.chunks}: at most {_MAX_CHUNK} bytes each", None)
    filters = data.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    unknown = [code for code in codes if not h5py.h5z.filter_avail(code)]
    if unknown:
        need = f"the compression of this file (HDF5 filter {unknown[0]})"
        raise MissingDependency("hdf5plugin", need, "pip install 'i2e-deploy[live]'")
    return data


def _packets(columns: list[Any], offset: int) -> Iterator[Events]:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) != 1:
        raise Damaged(f"t, x, y, p have lengths {lengths}", None)
    for start in range(0, lengths[0], PACKET_EVENTS):
        events = np.empty(min(PACKET_EVENTS, lengths[0] - start), EVENT_DTYPE)
        for name, column in zip(_FIELDS, columns, strict=True):
            try:
                values = column[start : start + PACKET_EVENTS]
            except (OSError, RuntimeError) as error:
                raise Damaged(f"array {name!r} from event {start} on ({error})", None) from error
            limit = np.iinfo(EVENT_DTYPE[name])
            if int(values.min()) < limit.min or int(values.max()) > limit.max:
                raise Damaged(f"array {name!r} holds values from {values.min()} to {values.max()}", None)
            events[name] = values
        if len(events) and not -FAR <= int(events["t"].min()) <= int(events["t"].max()) <= FAR:
            raise Damaged(f"times from {events['t'].min()} to {events['t'].max()} us are no times", None)
        events["t"] += offset
        yield events


def _write(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    offset, count, index = 0, 0, [0]
    with writing(path) as (file, check_disk):
        file.attrs["width"], file.attrs["height"] = size
        group = file.create_group("events")
        for name, dtype in zip(_FIELDS, ("u4", "u2", "u2", "u1"), strict=True):
            group.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(2**16,), compression="gzip",
                                 compression_opts=1, shuffle=True)  # fmt: skip
        for packet in packets:
            if count == 0 and len(packet):
                offset = int(packet["t"][0])
            t = packet["t"] - offset
            if len(t) and t[-1] >= 2**32:
                raise Damaged(f"spans {int(t[-1])} us: DSEC holds at most 2^32 - 1", None)
            for name in _FIELDS:
                group[name].resize((count + len(packet),))
                group[name][count:] = t if name == "t" else packet[name]
            if len(t):
                steps = np.arange(len(index), int(t[-1]) // 1000 + 1)
                index.extend((count + np.searchsorted(t, steps * 1000)).tolist())
            count += len(packet)
            check_disk()
        file["t_offset"] = np.int64(offset)
        file["ms_to_idx"] = np.array(index, np.uint64)


def _open(path: Path, stream: str | None) -> Opened:
    with path.open("rb") as file:
        try:
            check_heaps(file, path.name)
        except FileFormatError as error:
            raise Damaged(str(error), None) from error
    return in_child(__name__)(path, stream)


FORMAT = Format("dsec", (".h5", ".hdf5"), _open, _write, (2**62, 2**16 - 1, 2**16 - 1))
