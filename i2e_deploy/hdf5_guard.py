"""Read untrusted HDF5 files: no links out of the file, no sizes beyond what is stored.

Everything is checked before memory is allocated: kind of link, storage, data type, shape and size.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError

if TYPE_CHECKING:
    import h5py

#: Largest file, largest data set once unpacked, most unpacked bytes for a stored byte (gzip reaches about 1000).
MAX_FILE = 2**30
MAX_BYTES = 2**28
MAX_RATIO = 200
MAX_TEXT = 64
#: Path of a data set with fractions that were cut, how many numbers, of how many, and the one with most cut off.
Cut = tuple[str, int, int, float]


class Guarded:
    """One group of an open file. Every error names the file and the path in it."""

    def __init__(self, group: h5py.Group, file: str, cut: list[Cut] | None = None) -> None:
        self._group, self.file = group, file
        #: Where `integers` has cut fractions off since this list was emptied: one for a file and all its groups.
        self.cut: list[Cut] = [] if cut is None else cut

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
        return Guarded(entry, self.file, self.cut)

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

    def texts(self, name: str, width: int = 1) -> tuple[str, ...]:
        """Short ASCII strings, row by row; of more than one dimension only with `width` strings in the last."""
        import h5py

        data = self._dataset(name)
        if not (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype)):
            raise self.error(f"is {data.dtype} of shape {list(data.shape)}, expected one string or more", name)
        if width > 1 and (data.ndim != 2 or data.shape[1] != width) and data.size:
            raise self.error(f"has shape {list(data.shape)}, expected ['any', {width}]", name)
        values = []
        for value in np.asarray(data[()]).reshape(-1).tolist():
            raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
            if len(raw) > MAX_TEXT or not raw.isascii():
                raise self.error(f"is a string of {len(raw)} bytes, expected at most {MAX_TEXT} of ASCII", name)
            values.append(raw.decode("ascii"))
        return tuple(values)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Finite numbers of any shape, not empty."""
        data = self._dataset(name)
        if data.dtype.kind not in "biuf" or data.dtype.itemsize > 8 or not data.size:
            raise self.error(f"is {data.dtype} {list(data.shape)}, expected numbers", name)
        values = np.asarray(data[()], np.float64)
        if not np.isfinite(values).all():
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
        size, stored = prod(data.shape) * data.dtype.itemsize, data.id.get_storage_size()
        if size > MAX_BYTES:
            raise self.error(f"claims {size} bytes ({list(data.shape)} of {data.dtype}), at most {MAX_BYTES}", name)
        packed = data.id.get_create_plist().get_nfilters() > 0
        if stored * (MAX_RATIO if packed else 1) < size:
            raise self.error(f"claims {size} bytes and stores {stored}", name)
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
