"""Read untrusted HDF5 files: no links out of the file, no sizes beyond what is stored.

Everything is checked before memory is allocated: kind of link, storage, data type, shape and size. `hdf5_child` opens
such a file where libhdf5 can harm nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError

if TYPE_CHECKING:
    import h5py

#: Largest file, largest data set once unpacked, all that is read of one file.
MAX_FILE = 2**30
MAX_BYTES = 2**28
MAX_TOTAL = 2**30
#: Most values of a data set: they become float64 or int64, whatever they are stored as.
MAX_VALUES = 2**26
#: Most unpacked bytes for a stored byte: deflate reaches 1,032, as for thresholds that are all equal; what is larger
#: than 8 million numbers is no such array.
MAX_RATIO, SMALL, MAX_RATIO_SMALL = 200, 2**23, 1032
MAX_TEXT = 64
#: Most entries of a group where all are looked at.
MAX_ENTRIES = 2**16
#: Path of a data set with fractions that were cut, how many numbers, of how many, and the one with most cut off.
Cut = tuple[str, int, int, float]


class Guarded:
    """One group of an open file. Every error names the file and the path in it."""

    def __init__(
        self, group: h5py.Group, file: str, cut: list[Cut] | None = None, taken: dict[str, int] | None = None
    ) -> None:
        self._group, self.file = group, file
        #: Where `integers` has cut fractions off since this list was emptied: one for a file and all its groups.
        self.cut: list[Cut] = [] if cut is None else cut
        self._taken = {"bytes": 0} if taken is None else taken  # of the whole file: two links may lead to one data set

    def error(self, text: str, name: str = "") -> FileFormatError:
        """The error to raise for the entry `name`."""
        where = f"{self._group.name or ''}/{name}".replace("//", "/").rstrip("/") or "/"
        return FileFormatError(f"{self.file}: {where} {text}")

    def names(self, limit: int) -> tuple[str, ...]:
        """Names of the entries, at most `limit`."""
        if len(self._group) > limit:
            raise self.error(f"has {len(self._group)} entries, at most {limit} are read")
        return tuple(map(str, self._group))

    def __contains__(self, name: str) -> bool:
        return self._group.get(name, getlink=True) is not None

    def group(self, name: str) -> Guarded:
        """A group in this group."""
        import h5py

        entry = self._entry(name)
        if not isinstance(entry, h5py.Group):
            raise self.error("is not a group", name)
        return Guarded(entry, self.file, self.cut, self._taken)

    def is_group(self, name: str) -> bool:
        """Whether the entry is a group (False: a data set)."""
        import h5py

        return isinstance(self._entry(name), h5py.Group)

    def text(self, name: str) -> str:
        """A short ASCII string: scalar or [1], of fixed or variable length."""
        values = self.texts(name)
        if len(values) != 1:
            raise self.error(f"holds {len(values)} strings, expected one", name)
        return values[0]

    def texts(self, name: str, width: int = 1, longest: int | None = None) -> tuple[str, ...]:
        """Short strings, row by row: ASCII, or with `longest` UTF-8 of that many bytes at most.

        Of more than one dimension only with `width` strings in the last.
        """
        import h5py

        data = self._dataset(name)
        if not (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype)):
            raise self.error(f"is {data.dtype} of shape {list(data.shape)}, expected one string or more", name)
        if width > 1 and (data.ndim != 2 or data.shape[1] != width) and data.size:
            raise self.error(f"has shape {list(data.shape)}, expected ['any', {width}]", name)
        values = []
        for value in np.asarray(data[()]).reshape(-1).tolist():
            raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
            if len(raw) > (longest or MAX_TEXT) or not (longest or raw.isascii()):
                most = f"{longest} of UTF-8" if longest else f"{MAX_TEXT} of ASCII"
                raise self.error(f"is a string of {len(raw)} bytes, expected at most {most}", name)
            values.append(raw.decode("utf-8", "replace"))
        return tuple(values)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a data set."""
        return tuple(self._dataset(name).shape)

    def is_bool(self, name: str) -> bool:
        """Whether a data set holds booleans, as h5py stores them."""
        return bool(self._dataset(name).dtype.kind == "b")

    def numbers(self, name: str, finite: bool = True) -> NDArray[np.float64]:
        """Numbers of any shape, not empty; all finite, or with `finite=False` infinity and NaN too."""
        data = self._dataset(name)
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8 or not data.size:
            raise self.error(f"is {data.dtype} {list(data.shape)}, expected numbers", name)
        values = np.asarray(data[()], np.float64)
        if finite and not np.isfinite(values).all():
            raise self.error("holds NaN or infinity", name)
        return values

    def integers(
        self, name: str, low: int, high: int, shape: tuple[int | None, ...] | None = None
    ) -> NDArray[np.int64]:
        """Numbers, truncated toward zero as netx does (lava-dl netx/utils.py:68), each in low..high.

        Args:
            name: the data set.
            low: smallest value allowed.
            high: largest value allowed.
            shape: what it must be; None in it stands for any length, None as a whole for any shape.
        """
        data = self._dataset(name)
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8:
            raise self.error(f"is {data.dtype}, expected numbers", name)
        if shape is not None and (
            len(data.shape) != len(shape)
            or any(want not in (None, n) for n, want in zip(data.shape, shape, strict=True))
        ):
            raise self.error(f"has shape {list(data.shape)}, expected {[n or 'any' for n in shape]}", name)
        if 0 in data.shape:
            raise self.error(f"has shape {list(data.shape)}: it is empty", name)
        values = np.asarray(data[()])
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise self.error("holds NaN or infinity", name)
        least, most = values.min(), values.max()
        if least <= low - 1 or most >= high + 1:
            raise self.error(f"holds {least:g}..{most:g}, allowed {low}..{high}", name)
        whole = values.astype(np.int64)
        if values.dtype.kind == "f" and (fractions := np.abs(values - whole)).any():
            worst = float(values.flat[int(fractions.argmax())])
            self.cut.append((str(data.name), int((fractions > 0).sum()), values.size, worst))
        return whole

    def attribute(self, name: str) -> str | float:
        """An attribute of the group: one short ASCII string, or one finite number.

        Raises:
            FileFormatError: it is missing, or something else.
        """
        import h5py

        where = f"attribute {name!r} "
        if name not in self._group.attrs:
            raise self.error(f"{where}is missing")
        held = self._group.attrs.get_id(name)
        if prod(held.shape) != 1 or held.get_storage_size() > MAX_TEXT:
            raise self.error(f"{where}is {held.dtype} {list(held.shape)}, expected one short string or number")
        value = np.asarray(self._group.attrs[name]).reshape(-1)[0]
        if held.dtype.kind in "biuf" and held.dtype.itemsize <= 8 and np.isfinite(value):
            return float(value)
        if held.dtype.kind == "S" or h5py.check_string_dtype(held.dtype):
            raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
            if len(raw) <= MAX_TEXT and raw.isascii():
                return raw.decode("ascii")
        raise self.error(f"{where}is {held.dtype} {str(value)[:MAX_TEXT]!r}, expected a short string or a number")

    def check_all(self, depth: int = 8) -> None:
        """Check and read every entry in the group, for programs that read the file without a guard.

        Raises:
            FileFormatError: a link, a size, or more groups in groups than `depth`.
        """
        if not depth:
            raise self.error("has too many groups in groups")
        for name in self.names(MAX_ENTRIES):
            if self.is_group(name):
                self.group(name).check_all(depth - 1)
            else:
                self._dataset(name)[()]

    def _entry(self, name: str) -> Any:
        import h5py

        link = self._group.get(name, getlink=True)
        if link is None:
            raise self.error("is missing", name)
        if not isinstance(link, h5py.HardLink):
            raise self.error(f"is a {type(link).__name__}: links are refused, store the data itself", name)
        return self._group[name]

    def _dataset(self, name: str) -> h5py.Dataset:
        import h5py

        data = self._entry(name)
        if not isinstance(data, h5py.Dataset) or data.shape is None:
            raise self.error("is not a data set", name)
        if data.is_virtual or data.external:
            raise self.error("keeps its data in another file: refused, store the data itself", name)
        count, stored = prod(data.shape), data.id.get_storage_size()
        size = count * data.dtype.itemsize
        if size > MAX_BYTES or count > MAX_VALUES:
            raise self.error(
                f"claims {size} bytes ({list(data.shape)} of {data.dtype}), at most {MAX_BYTES}, "
                f"in {MAX_VALUES} values",
                name,
            )
        if data.chunks is not None and prod(data.chunks) * data.dtype.itemsize > MAX_BYTES:
            raise self.error(f"is stored in pieces of {list(data.chunks)}, at most {MAX_BYTES} bytes", name)
        packed = data.id.get_create_plist().get_nfilters() > 0
        ratio = MAX_RATIO_SMALL if count <= SMALL and data.dtype.itemsize <= 8 else MAX_RATIO
        if stored * (ratio if packed else 1) < size:
            raise self.error(f"claims {size} bytes and stores {stored}", name)
        self._taken["bytes"] += size
        if self._taken["bytes"] > MAX_TOTAL:
            raise self.error(f"is beyond the {MAX_TOTAL} bytes that are read of one file", name)
        return data


def check_file(path: Path) -> None:
    """Raise FileFormatError unless `path` is an ordinary file that starts as HDF5 does and is not too large."""
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file")
    size = path.stat().st_size
    if size > MAX_FILE:
        raise FileFormatError(f"{path}: {size} bytes, at most {MAX_FILE} are read")
    with path.open("rb") as file:
        if file.read(8) != b"\x89HDF\r\n\x1a\n":
            raise FileFormatError(f"{path}: not an HDF5 file (a .net file is one); a Git LFS pointer is not the file")
        check_heaps(file, str(path))


#: Start of a collection of the global heap, where strings of variable length are (HDF5 File Format 3.0, III.E).
_HEAP = b"GCOL\x01\0\0\0"
_BLOCK = 2**24


def check_heaps(file: BinaryIO, name: str) -> None:
    """Raise FileFormatError if the objects of a global heap do not fill it one after the other.

    libhdf5 1.14 walks such a heap for ever (shared/cases: an object of size 0). Sizes are of 8 bytes in all files but
    those that a program made with others on purpose.
    """
    for at in _heaps(file):
        file.seek(at + len(_HEAP))
        (size,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        heap = file.read(min(size, MAX_BYTES) - 16) if size >= 16 else b""
        place = 0
        while place + 16 <= len(heap):
            index, length = struct.unpack_from("<H6xQ", heap, place)
            step = 16 + -(-length // 8) * 8 if index else length
            if step < 16 or place + step > len(heap):
                raise FileFormatError(
                    f"{name}: damaged HDF5: byte {at + 16 + place}: an object of the global heap claims {length} "
                    f"bytes, {len(heap) - place - 16} are there"
                )
            place += step


def _heaps(file: BinaryIO) -> Iterator[int]:
    """Where collections start: anywhere, as libhdf5 aligns nothing."""
    start, data = 0, b""
    file.seek(0)
    while block := file.read(_BLOCK):
        data = data[-8:] + block
        at = data.find(_HEAP)
        places = []
        while at >= 0:
            places.append(start - (len(data) - len(block)) + at)
            at = data.find(_HEAP, at + 1)
        start += len(block)
        yield from places
        file.seek(start)
