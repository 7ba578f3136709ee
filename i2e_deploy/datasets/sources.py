"""Where images come from: a folder tree, a zip, a tar or Parquet files, all as sorted names and bytes.

Nothing is ever unpacked to disk, and every size is checked before the bytes are read. A name is a path
with `/`; its last folder is the class, its first folder the split where it is called train, test, ...
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from i2e_deploy.datasets.picture import MAX_FILE_BYTES, UNREAD, endings
from i2e_deploy.errors import FileFormatError, InputError, MissingDependency, UnsupportedError
from i2e_deploy.requirements import install_command
from i2e_deploy.text import one_line

#: Largest row group of a Parquet file, uncompressed, that is read into memory.
MAX_ROW_GROUP_BYTES = 2 << 30
MAX_NAMES = 50_000_000


class ImageSource(Protocol):
    """A collection of image files."""

    def names(self) -> list[str]:
        """All names, sorted; the order is part of what makes a conversion reproducible."""
        ...

    def left_out(self) -> dict[str, int]:
        """Number of pictures of each kind that is not read, by ending, e.g. {".heic": 3}."""
        ...

    def read(self, name: str) -> bytes:
        """Bytes of one image file.

        Raises:
            FileFormatError: larger than `picture.MAX_FILE_BYTES`, damaged, or gone.
        """
        ...


def open_source(path: str) -> ImageSource:
    """The source at `path`, kept open until it changes; each process opens its own.

    Raises:
        InputError: nothing is there, or it is none of folder, .zip, .tar, .parquet.
        FileFormatError: a damaged archive.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"{path}: no such file or folder; give a folder, .zip, .tar, .parquet or an image file")
    about = place.stat()
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
        raise InputError(f"{path}: is a pipe, a device or the like: give a folder or a file")
    return _open(path, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)
def _open(path: str, _mtime: int, _size: int) -> ImageSource:
    place = Path(path)
    if place.is_dir():
        tables = sorted(place.glob("*.parquet"))
        return ParquetSource(tables) if tables else FolderSource(place)
    if place.suffix == ".parquet":
        return ParquetSource([place])
    if place.suffix == ".zip":
        return ZipSource(place)
    if place.suffix == ".tar":
        return TarSource(place)
    if place.suffix in (".gz", ".tgz", ".bz2", ".xz", ".zst"):
        raise InputError(f"{path}: a compressed tar cannot be read out of order; unpack it to .tar first")
    if place.suffix.lower() in endings():
        return SingleSource(place)
    raise InputError(
        f"{path}: give a folder, .zip, .tar, .parquet or an image file; videos become event files (--out NAME.aedat4)"
    )


class SingleSource:
    """One image file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Its file name."""
        return [self._path.name]

    def left_out(self) -> dict[str, int]:
        """See `ImageSource.left_out`."""
        return {}

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`."""
        if name != self._path.name:
            raise FileFormatError(f"{self._path}: holds no {name}")
        return _read_file(self._path)


class FolderSource:
    """A folder and all below it; links to folders are not followed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """See `ImageSource.names`."""
        found = []
        for folder, _, files in os.walk(self._root):
            relative = Path(folder).relative_to(self._root)
            found += [(relative / file).as_posix() for file in files if _is_image(file)]
        return sorted(found)

    def left_out(self) -> dict[str, int]:
        """See `ImageSource.left_out`."""
        return _unread(file for _, _, files in os.walk(self._root) for file in files)

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`."""
        return _read_file(self._root / name)


class ZipSource:
    """A zip; the declared size of a member is checked and never exceeded."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise FileFormatError(f"{path}: not a readable zip ({error})") from None
        self._path = path
        self._infos = {info.filename: info for info in self._zip.infolist() if _is_image(info.filename)}
        self._left_out = _unread(self._zip.namelist())

    def names(self) -> list[str]:
        """See `ImageSource.names`."""
        return _checked_names(self._infos, self._path)

    def left_out(self) -> dict[str, int]:
        """See `ImageSource.left_out`."""
        return self._left_out

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`."""
        info = self._infos[name]
        _check_size(info.file_size, f"{self._path}:{name}")
        try:
            with self._zip.open(info) as member:
                data = member.read(info.file_size + 1)
        except Exception as error:  # zipfile: BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError
            raise FileFormatError(f"{self._path}:{name}: damaged member ({one_line(error)})") from None
        if len(data) != info.file_size:
            raise FileFormatError(f"{self._path}:{name}: {len(data)} bytes, the zip says {info.file_size}")
        return data


class TarSource:
    """An uncompressed tar; only regular files count, links are refused by not being files."""

    def __init__(self, path: Path) -> None:
        try:
            with tarfile.open(path, "r:") as archive:
                files = {m.name: (m.offset_data, m.size) for m in archive if m.isreg()}
        except (tarfile.TarError, OSError, ValueError) as error:
            raise FileFormatError(f"{path}: not a readable tar ({error})") from None
        self._path = path
        self._places = {name: place for name, place in files.items() if _is_image(name)}
        self._left_out = _unread(files)

    def names(self) -> list[str]:
        """See `ImageSource.names`."""
        return _checked_names(self._places, self._path)

    def left_out(self) -> dict[str, int]:
        """See `ImageSource.left_out`."""
        return self._left_out

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`."""
        offset, size = self._places[name]
        _check_size(size, f"{self._path}:{name}")
        with self._path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise FileFormatError(f"{self._path}:{name}: {len(data)} bytes, the tar says {size}: truncated")
        return data


class ParquetSource:
    """Parquet tables with a column `image` (bytes, or a struct with `bytes`) and perhaps `label`.

    Names are `<label>/<table>-<row>.img`, or `<table>-<row>.img` without labels.
    """

    def __init__(self, paths: list[Path]) -> None:
        self._files: list[tuple[Path, Any]] = []
        self._rows: dict[str, tuple[int, int, int]] = {}
        self._held: tuple[tuple[int, int], list[Any]] = ((-1, -1), [])
        for index, path in enumerate(paths):
            file = open_parquet(path)
            if "image" not in file.schema_arrow.names:
                raise FileFormatError(f"{path}: no column 'image', it has {file.schema_arrow.names}")
            self._files.append((path, file))
            for group in range(file.num_row_groups):
                self._index_group(index, group)

    def _index_group(self, index: int, group: int) -> None:
        path, file = self._files[index]
        check_row_group(file, group, path)
        count, first = file.metadata.row_group(group).num_rows, len(self._rows)
        labels = [None] * count
        if "label" in file.schema_arrow.names:
            try:
                labels = file.read_row_group(group, columns=["label"]).column("label").to_pylist()
            except Exception as error:  # pyarrow: OSError, ArrowInvalid, ...
                raise FileFormatError(f"{path}: damaged row group {group} ({one_line(error)})") from None
        if len(labels) != count:
            raise FileFormatError(f"{path}: row group {group} has {len(labels)} labels for {count} rows")
        for row in range(count):
            name = f"{path.stem}-{first + row:08d}.img"
            self._rows[name if labels[row] is None else f"{labels[row]}/{name}"] = (index, group, row)

    def names(self) -> list[str]:
        """See `ImageSource.names`."""
        return sorted(self._rows)

    def left_out(self) -> dict[str, int]:
        """See `ImageSource.left_out`."""
        return {}

    def read(self, name: str) -> bytes:
        """See `ImageSource.read`; holds one row group."""
        index, group, row = self._rows[name]
        path, file = self._files[index]
        if self._held[0] != (index, group):
            try:
                column = file.read_row_group(group, columns=["image"]).column("image").to_pylist()
            except Exception as error:  # pyarrow: OSError, ArrowInvalid, ...
                raise FileFormatError(f"{path}: damaged row group {group} ({one_line(error)})") from None
            if len(column) != file.metadata.row_group(group).num_rows:
                raise FileFormatError(f"{path}: row group {group} has {len(column)} images, it states more or fewer")
            self._held = ((index, group), column)
        cell = self._held[1][row]
        data = cell.get("bytes") if isinstance(cell, dict) else cell
        if not isinstance(data, bytes):
            raise FileFormatError(f"{path}: row {row} of row group {group} holds no image bytes")
        _check_size(len(data), f"{path}:{name}")
        return data


def parquet_module(needed_for: str) -> Any:
    """`pyarrow.parquet`.

    Raises:
        MissingDependency: pyarrow is not installed.
        UnsupportedError: it is, and does not work with the NumPy that is installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MissingDependency("pyarrow", needed_for, install_command("pyarrow")) from None
    except ImportError as error:  # e.g. pyarrow 26 beside numpy 1.26
        raise UnsupportedError(
            f"pyarrow is installed but cannot be used ({error}): install a matching version"
        ) from None
    return pyarrow.parquet


def open_parquet(path: Path) -> Any:
    """A `pyarrow.parquet.ParquetFile`.

    Raises:
        FileFormatError: not a Parquet file, or damaged.
    """
    if not path.is_file():
        raise FileFormatError(f"{path}: is no file: take it away")
    try:
        return parquet_module("reading Parquet files").ParquetFile(path, page_checksum_verification=True)
    except (MissingDependency, UnsupportedError):
        raise
    except Exception as error:  # pyarrow: ArrowInvalid, OSError, ...
        raise FileFormatError(f"{path}: not a readable Parquet file ({one_line(error)})") from None


def check_row_group(file: Any, group: int, path: Path) -> None:
    """Refuse a row group whose declared size is above the limit, before it is read.

    Raises:
        FileFormatError: above `MAX_ROW_GROUP_BYTES`.
    """
    size = file.metadata.row_group(group).total_byte_size
    if not 0 <= size <= MAX_ROW_GROUP_BYTES:
        raise FileFormatError(f"{path}: row group {group} declares {size} bytes, the limit is {MAX_ROW_GROUP_BYTES}")


def _is_image(name: str) -> bool:
    base = name.rsplit("/", 1)[-1]
    return base.lower().endswith(endings()) and not base.startswith("._") and "__MACOSX/" not in name


def _unread(names: Iterable[str]) -> dict[str, int]:
    """Number of pictures of each kind that is not read, by ending."""
    found = (os.path.splitext(name)[1].lower() for name in names if not name.rsplit("/", 1)[-1].startswith("._"))
    read = endings()
    return dict(sorted(Counter(ending for ending in found if ending in UNREAD and ending not in read).items()))


def _checked_names(names: Any, path: Path) -> list[str]:
    """Sorted names; names become keys of the result and must not lead out of it."""
    if len(names) > MAX_NAMES:
        raise FileFormatError(f"{path}: {len(names)} members, the limit is {MAX_NAMES}")
    for name in names:
        if name.startswith("/") or ".." in name.split("/") or "\\" in name:
            raise FileFormatError(f"{path}: member {name!r} points out of the archive")
    return sorted(names)


def _check_size(size: int, where: str) -> None:
    if not 0 <= size <= MAX_FILE_BYTES:
        raise FileFormatError(f"{where}: {size} bytes, the limit is {MAX_FILE_BYTES}")


def _read_file(path: Path) -> bytes:
    """Bytes of a regular file, or of one that a link leads to: a pipe would wait for ever, a device has no end."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FileFormatError(f"{path}: is no file but a pipe, a device or the like: take it away")
            _check_size(about.st_size, str(path))
            data = file.read(MAX_FILE_BYTES + 1)
        _check_size(len(data), str(path))  # files of /proc state 0 bytes
        return data
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror})") from None
