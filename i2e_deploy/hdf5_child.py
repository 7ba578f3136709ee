"""An HDF5 file of a stranger, opened in a child process: `Guarded` asks, `_File` answers.

What libhdf5 does to a damaged file, it does to the child (see `guarded_child`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError
from i2e_deploy.guarded_child import Answer, Child
from i2e_deploy.hdf5_guard import Cut, Guarded, check_file

#: Processor time for a question: so many seconds, and one for so many bytes of the file.
LEAST, _SPEED = 5.0, 5e7


@contextmanager
def open_guarded(path: Path) -> Iterator[Guarded]:
    """The root group of an HDF5 file, checked first (`hdf5_guard.check_file`) and opened in a child.

    Raises:
        FileFormatError: no such file, damaged, or lying.
        RuntimeError: what libhdf5 says of it, here and at every question.
    """
    check_file(path)
    seconds = LEAST + path.stat().st_size / _SPEED
    with Child("i2e_deploy.hdf5_child:File", (str(path.resolve()), path.name), path.name, seconds) as child:
        yield _Asking(child, path.name)


class File:
    """In the child: the open file; groups are named by their path."""

    def __init__(self, path: str, name: str) -> None:
        import h5py

        self._file = h5py.File(path, "r")
        self._groups: dict[tuple[str, ...], Guarded] = {(): Guarded(self._file, name)}

    def answer(self, *question: Any) -> Answer:
        """Run `method` of the group at `where` with `arguments`."""
        method, where, *arguments = question
        group = self._group(tuple(where))
        if method == "group":
            self._group((*where, *arguments))
            return None, None
        if method == "integers":
            before = len(group.cut)
            values = group.integers(arguments[0], arguments[1], arguments[2], _shape(arguments[3]))
            return group.cut[before:], values
        found = getattr(group, method)(*arguments)
        return (None, found) if isinstance(found, np.ndarray) else (found, None)

    def _group(self, where: tuple[str, ...]) -> Guarded:
        if where not in self._groups:
            self._groups[where] = self._group(where[:-1]).group(where[-1])
        return self._groups[where]


def _shape(shape: list[int | None] | None) -> tuple[int | None, ...] | None:
    return None if shape is None else tuple(shape)


class _Asking(Guarded):
    """The same group, seen from the parent."""

    def __init__(self, child: Child, file: str, where: tuple[str, ...] = (), cut: list[Cut] | None = None) -> None:
        self._child, self.file, self._where = child, file, where
        self.cut = [] if cut is None else cut

    def _ask(self, method: str, *arguments: Any) -> Answer:
        return self._child.ask(method, list(self._where), *arguments)

    def error(self, text: str, name: str = "") -> FileFormatError:
        where = f"/{'/'.join(self._where)}/{name}".replace("//", "/").rstrip("/") or "/"
        return FileFormatError(f"{self.file}: {where} {text}")

    def names(self, limit: int) -> tuple[str, ...]:
        return tuple(self._ask("names", limit)[0])

    def __contains__(self, name: str) -> bool:
        return bool(self._ask("__contains__", name)[0])

    def group(self, name: str) -> Guarded:
        self._ask("group", name)
        return _Asking(self._child, self.file, (*self._where, name), self.cut)

    def is_group(self, name: str) -> bool:
        return bool(self._ask("is_group", name)[0])

    def texts(self, name: str, width: int = 1, longest: int | None = None) -> tuple[str, ...]:
        return tuple(self._ask("texts", name, width, longest)[0])

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._ask("shape", name)[0])

    def is_bool(self, name: str) -> bool:
        return bool(self._ask("is_bool", name)[0])

    def numbers(self, name: str, finite: bool = True) -> NDArray[np.float64]:
        return _array(self._ask("numbers", name, finite)[1])

    def integers(
        self, name: str, low: int, high: int, shape: tuple[int | None, ...] | None = None
    ) -> NDArray[np.int64]:
        cut, values = self._ask("integers", name, low, high, shape)
        self.cut.extend(tuple(entry) for entry in cut)
        return _array(values)

    def attribute(self, name: str) -> str | float:
        found: str | float = self._ask("attribute", name)[0]
        return found

    def check_all(self, depth: int = 8) -> None:
        self._ask("check_all", depth)


def _array(values: NDArray[Any] | None) -> NDArray[Any]:
    assert values is not None
    return values
