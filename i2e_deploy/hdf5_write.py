"""Write an HDF5 file so that a full disk is an error: libhdf5 1.14 ends the process when it cannot write (SIGSEGV).

It writes through a Python file here. When the disk takes no more, libhdf5 is told that all went well, what it writes
from then on is kept in memory until it has closed, and then the error is raised.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import h5py


@contextmanager
def writing(path: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A new HDF5 file, and a function that raises the error of the disk: call it from time to time.

    Raises:
        OSError: it cannot be written.
    """
    import h5py

    with path.open("w+b", buffering=0) as raw:
        kept = _Kept(raw)
        with h5py.File(kept, "w") as file:
            yield file, kept.check
        kept.check()


class _Kept(io.RawIOBase):
    """A file that never fails while it is written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0
        self._error: OSError | None = None
        #: What was written after the error, with its offset.
        self._late: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the error of a write that failed."""
        if self._error is not None:
            raise self._error

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._file.seek(offset, whence) if whence == 2 else self._at + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._at)
        view[:] = self._file.read(len(view)).ljust(len(view), b"\0")
        for start, data in self._late:
            low, high = max(start, self._at), min(start + len(data), self._at + len(view))
            if low < high:
                view[low - self._at : high - self._at] = data[low - start : high - start]
        self._at += len(view)
        return len(view)

    def write(self, data: Any) -> int:
        view, done = memoryview(data).cast("B"), 0
        try:
            self._file.seek(self._at)
            while self._error is None and done < len(view):
                done += self._file.write(view[done:])
        except OSError as error:
            self._error = error
        if self._error is not None:
            self._late.append((self._at, bytes(view)))
        self._at += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            if self._error is None:
                self._file.truncate(size)
        except OSError as error:
            self._error = error
        return size or 0

    def flush(self) -> None:
        """Nothing is held back."""
