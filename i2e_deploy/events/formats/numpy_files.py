"""NumPy's own files: `.npz` and `.npy` of our own, of tonic, Metavision, expelliarmus, and tables `[N, 4]`.

A `.npz` holds arrays t, x, y, p (and `sensor_size`), or one array as a `.npy` does: structured, with the fields in any
order and of any number type, or a table. All are read piece by piece; a `.npz` member is a stream, so the length that
it claims costs nothing.
"""

from __future__ import annotations

import ast
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.columns import FIELDS, Converter, Unit, guess_order, guess_unit, match_names
from i2e_deploy.events.options import ReadOptions, SensorSize

_MAX_HEADER = 2**12
_MAX_MEMBERS = 64
#: Largest record of a structured array, and rows that are looked at.
_MAX_ITEM, _LOOKED_AT = 256, 1000
_SIZE = "sensor_size"
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError)


@dataclass(frozen=True)
class Header:
    """Header of a `.npy` stream.

    Args:
        dtype: of an element.
        shape: of the array, one or two dimensions.
        by_column: stored column after column (Fortran order).
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_column: bool

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def _npy_header(file: IO[bytes], what: str) -> Header:
    """Read it; the stream is then at the data. Format: numpy.lib.format, versions 1 to 3."""
    magic = file.read(8)
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY":
        raise Damaged(f"{what} is no .npy array", 0)
    width = 2 if magic[6] == 1 else 4
    (length,) = struct.unpack("<H" if width == 2 else "<I", file.read(width).ljust(width, b"\0"))
    if length > _MAX_HEADER:
        raise Damaged(f"{what} claims a header of {length} bytes, at most {_MAX_HEADER} are read", 0)
    try:
        fields = ast.literal_eval(file.read(length).decode("latin-1"))
        dtype = np.dtype(fields["descr"])
        shape = tuple(int(n) for n in fields["shape"])
        fortran = bool(fields["fortran_order"])
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError, OverflowError) as error:
        raise Damaged(f"{what} has an unreadable header", 0) from error
    header = Header(dtype, shape, fortran and len(shape) > 1)
    if (
        dtype.hasobject
        or dtype.subdtype is not None
        or not 1 <= dtype.itemsize <= _MAX_ITEM
        or min(shape, default=0) < 0
    ):
        raise Damaged(f"{what} is {header}, not an array of numbers", 0)
    return header


class Streams:
    """Opens the same array again and again, and closes all that it opened."""

    def __init__(self, opener: Callable[[str], IO[bytes]]) -> None:
        self._opener, self._stack = opener, ExitStack()

    def open(self, name: str = "") -> IO[bytes]:
        """A stream at the first byte of an array."""
        return self._stack.enter_context(self._opener(name))

    def close(self) -> None:
        """Close all streams."""
        self._stack.close()


@dataclass(frozen=True)
class Column:
    """Where the numbers of a column are: a stream at its first value, the dtype of an element, and a field of it."""

    stream: IO[bytes]
    dtype: np.dtype[Any]
    field: str | None = None


Block = Mapping[str, NDArray[Any]]


def _read(stream: IO[bytes], dtype: np.dtype[Any], count: int, what: str) -> NDArray[Any]:
    """At most `count` whole elements."""
    try:
        data = stream.read(count * dtype.itemsize)
    except _ZIP_ERRORS as error:
        raise Damaged(f"array {what}: {error}", None) from error
    return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)


def _columns_blocks(columns: Mapping[str, Column], total: int) -> Iterator[Block]:
    """t, x, y, p from a stream each."""
    for start in range(0, total, PACKET_EVENTS):
        count = min(PACKET_EVENTS, total - start)
        parts = {name: _read(column.stream, column.dtype, count, name) for name, column in columns.items()}
        whole = min(map(len, parts.values()))
        yield {name: part[:whole] for name, part in parts.items()}
        if whole < count:
            raise Damaged(f"its arrays end after {start + whole} of {total} events", None)


def _record_blocks(stream: IO[bytes], header: Header, fields: Mapping[str, str]) -> Iterator[Block]:
    """t, x, y, p from the records of a structured array."""
    total, begin = header.shape[0], stream.tell()
    for start in range(0, total, PACKET_EVENTS):
        count = min(PACKET_EVENTS, total - start)
        records = _read(stream, header.dtype, count, "of events")
        yield {name: records[field] for name, field in fields.items()}
        if len(records) < count:
            after = start + len(records)
            raise Damaged(f"it is cut off, {total - after} events are missing", begin + after * header.dtype.itemsize)


def _table_blocks(stream: IO[bytes], header: Header, order: str) -> Iterator[Block]:
    """t, x, y, p from the rows of a table."""
    total, width = header.shape
    row = np.dtype((header.dtype, (width,)))
    begin = stream.tell()
    for start in range(0, total, PACKET_EVENTS):
        count = min(PACKET_EVENTS, total - start)
        values = _read(stream, row, count, "of events") if width else np.empty((0, 0))
        yield {name: values[:, order.index(name)] for name in FIELDS}
        if len(values) < count:
            after = start + len(values)
            raise Damaged(f"it is cut off, {total - after} events are missing", begin + after * row.itemsize)


def _packets(
    blocks: Iterator[Block], said: Unit | None, options: ReadOptions, left_out: LeftOut, notes: list[str]
) -> Iterator[Events]:
    converter: Converter | None = None
    for block in blocks:
        if converter is None:  # the first rows tell what nothing else says
            unit = said or guess_unit(block["t"][:_LOOKED_AT].astype(np.float64), None, options, notes)
            converter = Converter(unit, left_out, notes)
        yield from converter.events(block)


def _open_array(
    streams: Streams, name: str, what: str, options: ReadOptions, notes: list[str]
) -> tuple[Iterator[Block], Unit | None]:
    """Blocks of a structured array or of a table, and the unit if it is known."""
    stream = streams.open(name)
    header = _npy_header(stream, what)
    if header.dtype.names is not None:
        fields, unit = match_names(header.dtype.names)
        numbers = all(header.dtype[field].kind in "biuf" for field in fields.values())
        if len(header.shape) != 1 or len(fields) < len(FIELDS) or not numbers:
            raise Damaged(f"{what} is {header}: one dimension with numbers t, x, y, p is read", 0)
        known = options.time_unit or unit or ("us" if header.dtype[fields["t"]].kind in "iu" else None)
        return _record_blocks(stream, header, fields), Unit(known, True) if known else None
    order = _table_order(streams, name, header, what, options, notes)
    if not header.by_column:
        return _table_blocks(stream, header, order), None
    return _columns_blocks(_fortran(streams, name, header, order), header.shape[0]), None


def _fortran(streams: Streams, array: str, header: Header, order: str) -> dict[str, Column]:
    """A stream for each column of a table that is stored column after column."""
    columns = {}
    for name in FIELDS:
        stream = streams.open(array)
        _npy_header(stream, name)
        left = order.index(name) * header.shape[0] * header.dtype.itemsize
        while left > 0 and (skipped := stream.read(min(left, 2**20))):
            left -= len(skipped)
        columns[name] = Column(stream, header.dtype)
    return columns


def _table_order(streams: Streams, name: str, header: Header, what: str, options: ReadOptions, notes: list[str]) -> str:
    """Order of the columns of a table."""
    width = header.shape[1] if len(header.shape) == 2 else 0
    wanted = len(options.columns) if options.columns else len(FIELDS)
    if header.dtype.kind not in "biuf" or width != wanted:
        hint = ": its rows and columns are exchanged" if len(header.shape) == 2 and header.shape[0] == wanted else ""
        raise Damaged(f"{what} is {header}, not events with fields t, x, y, p nor a table [N, {wanted}]{hint}", 0)
    if options.columns is not None:
        return options.columns
    looked_at = min(_LOOKED_AT, header.shape[0])
    if header.by_column:
        opened = _fortran(streams, name, header, "txyp").values()
        columns = [_read(column.stream, header.dtype, looked_at, what) for column in opened]
        rows = np.stack([column[: min(map(len, columns))] for column in columns], axis=1)
    else:
        stream = streams.open(name)
        _npy_header(stream, what)
        rows = _read(stream, np.dtype((header.dtype, (width,))), looked_at, what)
    with np.errstate(over="ignore", invalid="ignore"):  # long doubles beyond float64
        values = rows.reshape(-1, width).astype(np.float64)
    return guess_order(values, options, notes)


def _open_npz(path: Path, options: ReadOptions) -> Opened:
    try:
        archive = zipfile.ZipFile(path)
    except _ZIP_ERRORS as error:
        raise Damaged(f"not a whole .npz file ({error})", 0) from error
    streams = Streams(lambda name: archive.open(f"{name}.npy"))

    def close() -> None:
        streams.close()  # the archive holds the file open as long as one of them is
        archive.close()

    notes, left_out = list[str](), LeftOut(options.salvage)
    try:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        if len(names) > _MAX_MEMBERS:
            raise Damaged(f"it holds {len(names)} arrays, at most {_MAX_MEMBERS} are read", 0)
        size = _size(streams.open(_SIZE)) if _SIZE in names else None
        blocks, unit = _npz_blocks(streams, names, options, notes)
    except _ZIP_ERRORS as error:
        close()
        raise Damaged(f"not a whole .npz file ({error})", 0) from error
    except Damaged:
        close()
        raise
    return Opened(size, _packets(blocks, unit, options, left_out, notes), close, notes, left_out=left_out)


def _npz_blocks(
    streams: Streams, names: list[str], options: ReadOptions, notes: list[str]
) -> tuple[Iterator[Block], Unit | None]:
    fields, unit = match_names(names)
    if len(fields) == len(FIELDS):
        opened = {field: streams.open(name) for field, name in fields.items()}
        heads = {field: _npy_header(stream, field) for field, stream in opened.items()}
        if len({head.shape for head in heads.values()}) != 1 or any(
            head.dtype.kind not in "biuf" or len(head.shape) != 1 for head in heads.values()
        ):
            raise Damaged(f"its arrays are {', '.join(map(str, heads.values()))}", 0)
        known = options.time_unit or unit or ("us" if heads["t"].dtype.kind in "iu" else None)
        columns = {field: Column(opened[field], heads[field].dtype) for field in FIELDS}
        return _columns_blocks(columns, heads["t"].shape[0]), Unit(known, True) if known else None
    rest = [name for name in names if name != _SIZE]
    if "frames" in rest:
        raise Damaged("it holds frames, which have no times of their own: `simulate` and `check` take it as --input", 0)
    one = rest[0] if len(rest) == 1 else next((name for name in ("events", "arr_0") if name in rest), None)
    if one is None:
        missing = ", ".join(field for field in FIELDS if field not in fields)
        raise Damaged(f"it holds no array {missing}; its arrays are {_one_line(', '.join(rest))[:80] or 'none'}", 0)
    return _open_array(streams, one, f"array {_one_line(one)[:40]}", options, notes)


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _size(member: IO[bytes]) -> SensorSize:
    header = _npy_header(member, _SIZE)
    if header.shape != (2,) or header.dtype.kind not in "iu":
        raise Damaged(f"{_SIZE} is {header}", 0)
    sides = _read(member, header.dtype, 2, _SIZE).tolist()
    if len(sides) != 2:
        raise Damaged(f"{_SIZE} is cut off", 0)
    return sides[0], sides[1]


def _open_npy(path: Path, options: ReadOptions) -> Opened:
    notes, left_out = list[str](), LeftOut(options.salvage)
    with closing(Streams(lambda _: path.open("rb"))) as streams:
        _open_array(streams, "", "the file", options, notes)  # to refuse it now; it is open while it is read only

    def packets() -> Generator[Events, None, None]:
        with closing(Streams(lambda _: path.open("rb"))) as streams:
            blocks, unit = _open_array(streams, "", "the file", options, [])
            yield from _packets(blocks, unit, options, left_out, notes)

    reading = packets()
    return Opened(None, reading, reading.close, notes, left_out=left_out)


def _write_npz(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    # Members of unknown length cannot be streamed side by side into one archive: the four columns are spooled.
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent))
        columns = {name: stack.enter_context((Path(folder) / name).open("w+b")) for name in FIELDS}
        total = 0
        for packet in packets:
            total += len(packet)
            for name, file in columns.items():
                file.write(np.ascontiguousarray(packet[name]).tobytes())
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, file in columns.items():
                file.seek(0)
                header = {"descr": EVENT_DTYPE[name].str, "fortran_order": False, "shape": (total,)}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)  # type: ignore[no-untyped-call, unused-ignore]
                    while block := file.read(2**20):
                        member.write(block)
            with archive.open(f"{_SIZE}.npy", "w") as member:
                np.lib.format.write_array(member, np.array(size, np.int64), allow_pickle=False)  # type: ignore[no-untyped-call, unused-ignore]


def _write_npy(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    # The length stands first, so the header is written again; NumPy pads it, and so it has the same length.
    count = 0
    with path.open("wb") as file:
        _npy_start(file, 0)
        for packet in packets:
            file.write(np.ascontiguousarray(packet, EVENT_DTYPE).tobytes())  # `tofile` hides why a disk refuses
            count += len(packet)
        file.seek(0)
        _npy_start(file, count)


def _npy_start(file: IO[bytes], count: int) -> None:
    """The header of `count` events."""
    header = {"descr": EVENT_DTYPE.descr, "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call, unused-ignore]


_LIMITS = (2**63 - 1, 2**16 - 1, 2**16 - 1)
NPZ = Format(
    "npz", (".npz",), _open_npz, _write_npz, _LIMITS,
    remarks="arrays t, x, y, p, or one array as in NPY; never unpickled, members are streamed",
)  # fmt: skip
NPY = Format(
    "npy", (".npy",), _open_npy, _write_npy, _LIMITS, says_size=False,
    remarks="a structured array with t, x, y, p in any order (tonic, Metavision, expelliarmus), or a table [N, 4]",
)  # fmt: skip
