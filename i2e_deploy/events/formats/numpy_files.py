"""NumPy's own files: `.npz` with arrays t, x, y, p (and `sensor_size`), and `.npy` with one event array.

Both are read piece by piece; a `.npz` member is a stream, so its claimed length costs nothing.
"""

from __future__ import annotations

import ast
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened, SensorSize

_FIELDS = ("t", "x", "y", "p")
_MAX_HEADER = 2**12


def _npy_header(file: IO[bytes], what: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """dtype and shape of a `.npy` stream; it is then at the data. Format: numpy.lib.format, versions 1 to 3."""
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
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise Damaged(f"{what} has an unreadable header", 0) from error
    if dtype.hasobject or fortran or len(shape) != 1 or shape[0] < 0:
        raise Damaged(f"{what} is {dtype} {list(shape)}, not a one-dimensional array of numbers", 0)
    return dtype, shape


def _open_npz(path: Path, stream: str | None) -> Opened:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise Damaged(f"not a whole .npz file ({error})", 0) from error
    try:
        missing = [name for name in _FIELDS if f"{name}.npy" not in archive.namelist()]
        if missing:
            raise Damaged(f"it holds no array {', '.join(missing)}", 0)
        size = None
        if "sensor_size.npy" in archive.namelist():
            with archive.open("sensor_size.npy") as member:
                dtype, shape = _npy_header(member, "sensor_size")
                if shape != (2,) or dtype.kind not in "iu":
                    raise Damaged(f"sensor_size is {dtype} {list(shape)}", 0)
                width, height = np.frombuffer(member.read(2 * dtype.itemsize), dtype).tolist()
                size = (width, height)
        members = [archive.open(f"{name}.npy") for name in _FIELDS]
        heads = [_npy_header(member, name) for name, member in zip(_FIELDS, members, strict=True)]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError) as error:
        archive.close()
        raise Damaged(f"not a whole .npz file ({error})", 0) from error
    except Damaged:
        archive.close()
        raise

    def close() -> None:
        for member in members:  # the archive holds the file open as long as one of them is
            member.close()
        archive.close()

    return Opened(size, _npz_packets(members, heads), close)


def _npz_packets(members: list[IO[bytes]], heads: list[tuple[np.dtype[Any], tuple[int, ...]]]) -> Iterator[Events]:
    counts = {shape[0] for _, shape in heads}
    if len(counts) != 1 or any(dtype.kind not in "biu" for dtype, _ in heads):
        raise Damaged(f"its arrays are {', '.join(f'{dtype} {list(shape)}' for dtype, shape in heads)}", 0)
    total = counts.pop()
    for start in range(0, total, PACKET_EVENTS):
        count = min(PACKET_EVENTS, total - start)
        columns = []
        for member, (dtype, _), name in zip(members, heads, _FIELDS, strict=True):
            try:
                data = member.read(count * dtype.itemsize)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
                raise Damaged(f"array {name}: {error}", None) from error
            columns.append(np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype))
        whole = min(map(len, columns))
        events = np.empty(whole, EVENT_DTYPE)
        for name, column in zip(_FIELDS, columns, strict=True):
            _check_range(name, column)
            events[name] = column[:whole]
        yield events
        if whole < count:
            raise Damaged(f"its arrays end after {start + whole} of {total} events", None)


def _check_range(name: str, column: NDArray[Any]) -> None:
    """Refuse values that the cast to our dtype would wrap."""
    info = np.iinfo(EVENT_DTYPE[name])
    if column.size and (int(column.min()) < info.min or int(column.max()) > info.max):
        raise Damaged(f"array {name} holds values from {column.min()} to {column.max()}", None)


def _write_npz(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    # Members of unknown length cannot be streamed side by side into one archive: the four columns are spooled.
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent))
        columns = {name: stack.enter_context((Path(folder) / name).open("w+b")) for name in _FIELDS}
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
            with archive.open("sensor_size.npy", "w") as member:
                np.lib.format.write_array(member, np.array(size, np.int64), allow_pickle=False)  # type: ignore[no-untyped-call, unused-ignore]


def _open_npy(path: Path, stream: str | None) -> Opened:
    with path.open("rb") as file:
        dtype, (count,) = _npy_header(file, "the file")
        start = file.tell()
    if dtype != EVENT_DTYPE:
        raise Damaged(f"it holds {dtype}, not events ({EVENT_DTYPE})", 0)
    return Opened(None, _npy_packets(path, start, count))


def _npy_packets(path: Path, position: int, count: int) -> Iterator[Events]:
    item = EVENT_DTYPE.itemsize
    with path.open("rb") as file:
        file.seek(position)
        while count > 0:
            data = file.read(item * min(count, PACKET_EVENTS))
            events = np.frombuffer(data[: len(data) // item * item], EVENT_DTYPE)
            yield events
            position, count = position + item * len(events), count - len(events)
            if len(data) < item * min(count, 1) or len(data) % item:
                raise Damaged(f"it is cut off, {count} events are missing", position)


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
NPZ = Format("npz", (".npz",), _open_npz, _write_npz, _LIMITS)
NPY = Format("npy", (".npy",), _open_npy, _write_npy, _LIMITS)
