"""HDF5 of other people, over h5py: where the events of a file are, in what layout, read in chunks.

| layout | where | times |
|---|---|---|
| DSEC, ours, TUM-VIE, M3ED | a group with t, x, y, p | us from `t_offset` |
| event_utils | `events` with ts, xs, ys, ps | seconds |
| Metavision | `CD/events`, records of x, y, p, t | us |
| MVSEC | `davis/left/events`, a table x, y, t, p | seconds |
| v2e | `events`, a table t, x, y, p | us |

The layout is recognised by the shape and the names, anywhere in the file; each place is a stream. Nothing is followed
out of the file, and what a chunk inflates to is known before it is read. Metavision's compression (ECF) is decoded by
`ecf`; Blosc needs the package hdf5plugin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.events.array import FAR, Events
from i2e_deploy.events.formats.base import Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.columns import FIELDS, Converter, Unit, guess_order, guess_unit, match_names
from i2e_deploy.events.formats.in_child import in_child, streams_in_child
from i2e_deploy.events.options import ReadOptions, SensorSize
from i2e_deploy.hdf5_guard import check_heaps
from i2e_deploy.requirements import install_command

#: A chunk is inflated whole: no larger than this many bytes.
_MAX_CHUNK = 2**26
#: Values read at a time, of the files that are looked at the entries, and depth of groups.
_PIECE, _MAX_ENTRIES, _MAX_DEPTH, _LOOKED_AT = 2**20, 2**12, 6, 1000
#: Fewest rows that are read at a time where a piece is damaged.
_FEW = 2**10
#: Prophesee Gen3.1 of DSEC, which does not say it; the DAVIS346 of MVSEC.
_DSEC_SIZE, _MVSEC_SIZE = (640, 480), (346, 260)
#: Names of tables [N, 4] that are events.
_TABLES = ("events",)

#: Numbers start..stop of t, x, y, p.
Read = Callable[[int, int], "dict[str, NDArray[Any]]"]


@dataclass(frozen=True)
class Place:
    """Events somewhere in a file.

    Args:
        name: path of the group or data set.
        kind: `"columns"`, `"records"` or `"table"`.
        fields: field to the name of its column (`"columns"`, `"records"`).
    """

    name: str
    kind: str
    fields: dict[str, str]


def open_hdf5(path: Path, options: ReadOptions) -> Opened:
    """See `Format.open`: the heap is checked here, the rest is done in a child process."""
    _check(path)
    return in_child(__name__)(path, options)


def streams(path: Path) -> tuple[str, ...]:
    """Places of events in the file, looked for in a child process."""
    _check(path)
    return streams_in_child(__name__, path)


def _check(path: Path) -> None:
    with path.open("rb") as file:
        try:
            check_heaps(file, path.name)
        except FileFormatError as error:
            raise Damaged(str(error), None) from error


def open_here(path: Path, options: ReadOptions) -> Opened:
    """In the child: see `in_child`."""
    file = _file(path)
    try:
        place = _choose(_places(file), options)
        return _opened(file, place, options)
    except (KeyError, OSError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        file.close()
        raise Damaged(f"not a layout that is read ({' '.join(str(error).split())[:160]})", None) from error
    except (Damaged, MissingDependency):
        file.close()
        raise


def streams_here(path: Path) -> tuple[str, ...]:
    """In the child: places of events in the file."""
    with _file(path) as file:
        return tuple(place.name for place in _places(file))


def _file(path: Path) -> Any:
    import h5py

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  # registers Blosc
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise Damaged(f"not a whole HDF5 file ({error})", 0) from error


def _places(file: Any) -> list[Place]:
    """All places of events, in the order of the file; links are not followed."""
    import h5py

    found: list[Place] = []
    left, seen = [("", file, 0)], 0
    while left:
        name, group, depth = left.pop(0)
        names = list(group)
        seen += len(names)
        if seen > _MAX_ENTRIES:
            raise Damaged(f"it has more than {_MAX_ENTRIES} entries", None)
        inside = {entry: group[entry] for entry in names if isinstance(group.get(entry, getlink=True), h5py.HardLink)}
        fields, _ = match_names(inside)
        if len(fields) == len(FIELDS) and all(isinstance(inside[entry], h5py.Dataset) for entry in fields.values()):
            found.append(Place(name or "/", "columns", fields))
            continue
        for entry, value in inside.items():
            inner = f"{name}/{entry}" if name else entry
            if isinstance(value, h5py.Group) and depth < _MAX_DEPTH:
                left.append((inner, value, depth + 1))
            elif isinstance(value, h5py.Dataset) and value.shape is not None:
                records = match_names(value.dtype.names or ())[0]
                if len(value.shape) == 1 and len(records) == len(FIELDS):
                    found.append(Place(inner, "records", records))
                elif entry in _TABLES and len(value.shape) == 2 and value.dtype.kind in "iuf":
                    found.append(Place(inner, "table", {}))
    return found


def _choose(places: list[Place], options: ReadOptions) -> Place:
    said = ", ".join(place.name for place in places[:20])
    if not places:
        raise Damaged("it holds no events that are recognised: a group with t, x, y, p, records of them, or a table "
                      "`events` [N, 4]; external and soft links are not followed", None)  # fmt: skip
    if options.stream is not None:
        chosen = [place for place in places if options.stream in (place.name, place.name.strip("/"))]
        if not chosen:
            chosen = [place for place in places if options.stream in place.name.split("/")]
        if len(chosen) != 1:
            raise Damaged(f"stream {options.stream!r} names {len(chosen)} of: {said}", None)
        return chosen[0]
    if len(places) > 1:
        word = options.word("stream", places[0].name)
        raise Damaged(f"it holds events in {len(places)} places: {said}; choose one, e.g. {word}", None)
    return places[0]


def _opened(file: Any, place: Place, options: ReadOptions) -> Opened:
    notes, left_out = list[str](), LeftOut(options.salvage)
    data = {} if place.kind == "columns" else {"": dataset(file, place.name)}
    if place.kind == "columns":
        data = {field: dataset(file, f"{place.name}/{name}".lstrip("/")) for field, name in place.fields.items()}
    lengths = [len(column) for column in data.values()]
    if len(set(lengths)) != 1:
        raise Damaged(f"t, x, y, p have lengths {lengths}", None)
    read = _reader(data, place, options, notes, lengths[0])
    unit = _unit(read, place, options, notes, lengths[0])
    offset, size = _offset(file, place), _size(file, place, data, options, notes)
    converter = Converter(unit, left_out, notes, offset)
    step = max(_FEW, *((column.chunks or (_PIECE,))[0] for column in data.values()))
    packets = _packets(read, lengths[0], step, converter, left_out)
    return Opened(size, packets, file.close, notes, left_out=left_out)


def _reader(data: dict[str, Any], place: Place, options: ReadOptions, notes: list[str], count: int) -> Read:
    if place.kind == "columns":
        if any(column.ndim != 1 or column.dtype.kind not in "biuf" for column in data.values()):
            raise Damaged(f"{place.name!r} holds no arrays of numbers with one dimension", None)
        return lambda start, stop: {field: np.asarray(column[start:stop]) for field, column in data.items()}
    one = data[""]
    if place.kind == "records":
        if any(one.dtype[name].kind not in "biuf" for name in place.fields.values()):
            raise Damaged(f"{place.name!r} holds {one.dtype}", None)
        from i2e_deploy.events.formats.ecf import records_of

        records = records_of(one)

        def of_records(start: int, stop: int) -> dict[str, NDArray[Any]]:
            rows = records(start, stop)
            return {field: rows[name] for field, name in place.fields.items()}

        return of_records
    order = _table_order(one, place, options, notes, count)

    def of_table(start: int, stop: int) -> dict[str, NDArray[Any]]:
        rows = np.asarray(one[start:stop])
        return {field: rows[:, order.index(field)] for field in FIELDS}

    return of_table


def _table_order(data: Any, place: Place, options: ReadOptions, notes: list[str], count: int) -> str:
    wanted = len(options.columns) if options.columns else len(FIELDS)
    if data.shape[1] != wanted:
        raise Damaged(f"{place.name!r} is {data.dtype} {list(data.shape)}, not a table [N, {wanted}]", None)
    if options.columns is None and _is_mvsec(place):
        return "xytp"
    rows = np.asarray(data[: min(count, _LOOKED_AT)], np.float64)
    return guess_order(rows, options, notes)


def _is_mvsec(place: Place) -> bool:
    return place.name in ("davis/left/events", "davis/right/events")


def _unit(read: Read, place: Place, options: ReadOptions, notes: list[str], count: int) -> Unit:
    """us where times are integers (all layouts above), seconds where they are not."""
    said = match_names(place.fields.values())[1]
    t = read(0, min(count, _LOOKED_AT))["t"]
    if t.dtype.kind in "iu" and options.time_unit is None and said is None:
        return Unit("us", True)
    if _is_mvsec(place):
        said = "s"
    return guess_unit(t.astype(np.float64), said, options, notes)


def _offset(file: Any, place: Place) -> int:
    """us that DSEC and M3ED keep beside the events."""
    group = place.name.strip("/").rpartition("/")[0]
    for name in ("t_offset", f"{group}/t_offset".lstrip("/"), f"{place.name}/t_offset".lstrip("/")):
        if place.kind == "columns" and _has(file, name):
            return _whole("t_offset", dataset(file, name)[()], FAR)
    return 0


def _has(file: Any, name: str) -> bool:
    return file.get(name, getlink=True) is not None


def _size(file: Any, place: Place, data: dict[str, Any], options: ReadOptions, notes: list[str]) -> SensorSize | None:
    attributes = file.attrs
    if "width" in attributes or "height" in attributes:  # ours
        return _whole("width", attributes["width"], 2**16), _whole("height", attributes["height"], 2**16)
    if "geometry" in attributes:  # Metavision: "1280x720"
        text = attributes["geometry"]
        width, _, height = (text.decode("latin-1") if isinstance(text, bytes) else str(text)[:20]).partition("x")
        if width.strip().isdigit() and height.strip().isdigit():
            return int(width), int(height)
        raise Damaged(f"its geometry is {str(text)[:20]!r}, not WIDTHxHEIGHT", None)
    if options.sensor_size is not None:
        return options.sensor_size
    if "sensor_resolution" in attributes:  # event_utils: the shape of its images, where it has some
        sides = np.asarray(attributes["sensor_resolution"]).reshape(-1)[:2]
        if len(sides) == 2:
            height_, width_ = (_whole("sensor_resolution", side, 2**16) for side in sides)
            if width_ != height_:
                notes.append(f"its sensor_resolution was taken for height and width: {width_} x {height_} pixels; "
                             f"{options.size_word()} says another")  # fmt: skip
            return width_, height_
    if _is_mvsec(place):
        return _MVSEC_SIZE
    if place.name == "events" and place.kind == "columns" and _has(file, "ms_to_idx") and _has(file, "t_offset"):
        return _DSEC_SIZE
    return None


def _whole(name: str, value: Any, most: int) -> int:
    """A single integer between -most and most."""
    array = np.asarray(value)
    if array.shape or array.dtype.kind not in "iu" or not -most <= int(array) <= most:
        raise Damaged(f"{name} is {' '.join(str(value).split())[:40]} ({array.dtype}), not a whole number", None)
    return int(array)


def dataset(file: Any, name: str) -> Any:
    """A data set that lies inside the file and inflates in bounded pieces.

    Raises:
        Damaged: a link, another kind of thing, or a chunk beyond `_MAX_CHUNK`.
        MissingDependency: it is compressed in a way that is not installed.
    """
    import h5py

    parts = name.split("/")
    for depth in range(1, len(parts) + 1):
        link = file.get("/".join(parts[:depth]), getlink=True)
        if link is None:
            raise Damaged(f"it holds no {name!r}", None)
        if not isinstance(link, h5py.HardLink):
            raise Damaged(f"{name!r} is a link ({type(link).__name__}): links are not followed", None)
    data = file[name]
    if not isinstance(data, h5py.Dataset) or data.dtype.hasobject or data.shape is None:
        raise Damaged(f"{name!r} is no array of numbers", None)
    if data.external or data.is_virtual:
        raise Damaged(f"{name!r} keeps its values outside the file: that is not followed", None)
    if data.chunks and int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > _MAX_CHUNK:
        raise Damaged(f"{name!r} has chunks {data.chunks}: at most {_MAX_CHUNK} bytes each", None)
    from i2e_deploy.events.formats.ecf import FILTER

    filters = data.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    unknown = [code for code in codes if code != FILTER and not h5py.h5z.filter_avail(code)]
    if unknown:
        need = f"the compression of this file (HDF5 filter {unknown[0]})"
        raise MissingDependency("hdf5plugin", need, install_command("hdf5plugin"))
    return data


def _packets(read: Read, count: int, step: int, converter: Converter, left_out: LeftOut) -> Iterator[Events]:
    """Piece by piece; of a piece that cannot be read, what can be, `step` rows (a chunk) at a time."""
    for start in range(0, count, _PIECE):
        stop = min(start + _PIECE, count)
        columns = _tried(read, start, stop)
        if not isinstance(columns, str):
            yield from converter.events(columns)
            continue
        for low in range(start, stop, step):
            high = min(low + step, stop)
            columns = _tried(read, low, high)
            if isinstance(columns, str):
                left_out.met(f"events from {low} on cannot be read ({columns})", None, low, high - low)
            else:
                yield from converter.events(columns)


def _tried(read: Read, start: int, stop: int) -> dict[str, NDArray[Any]] | str:
    """Columns of rows start..stop, or why they cannot be read."""
    try:
        return read(start, stop)
    except (OSError, RuntimeError) as error:
        return " ".join(str(error).split())[:160]


FORMAT = Format(
    "hdf5", (".h5", ".hdf5", ".hdf"), open_hdf5, None, (2**62, 2**16 - 1, 2**16 - 1), streams=streams, encoder="",
    decoder="h5py, in a child",
    remarks="DSEC, Metavision (ECF is decoded by us), MVSEC, event_utils, v2e, and others of these shapes; links out "
    "of the file are refused; Blosc needs hdf5plugin; each place of events is a stream",
)  # fmt: skip
