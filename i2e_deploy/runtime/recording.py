"""A live session on disk: everything that came, in order, and everything that was decided.

One file of records `kind: 1 byte, length: uint32, payload`, written as things happen, so that a crash leaves all up
to then. The file appears under its name with its header in it. Kinds: `H` header (JSON), `P` packet (events of 13
bytes), `A` advance (int64 us), `R` restart, `D` decision (JSON), `E` end with the counters (JSON).
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events

FORMAT, FORMAT_VERSION = "i2e-deploy-session", 1
_HEAD = struct.Struct("<cI")
_TIME = struct.Struct("<q")
#: A longer record is refused; `P` holds at most what a source gives at once.
MAX_RECORD = 2**28


class Recorder:
    """Writes a session as it happens; from several threads.

    Args:
        path: file to make; it must not exist, as a recording is not overwritten by accident.
        header: what the session is, plain data for JSON.

    Raises:
        InputError: the file exists or its folder does not.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self._path, self._lock = path, threading.Lock()
        head = _record(b"H", _json({"format": FORMAT, "version": FORMAT_VERSION, **header}))
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._file: BinaryIO = temporary.open("wb")
            try:
                self._file.write(head)
                self._file.flush()
                os.fsync(self._file.fileno())
                _appear(temporary, path)
            except BaseException:
                self._file.close()
                raise
            finally:
                temporary.unlink(missing_ok=True)
        except FileExistsError as error:
            raise InputError(f"{path} exists: a recording is not overwritten; give another name") from error
        except OSError as error:
            raise InputError(f"cannot record to {path}: {error.strerror}") from error

    def packet(self, events: Events) -> None:
        """Events as they came, before any check."""
        self._write(b"P", np.ascontiguousarray(events).tobytes())

    def advance(self, now: int) -> None:
        """Time went on without events."""
        self._write(b"A", _TIME.pack(now))

    def restart(self) -> None:
        """The source was lost and found again."""
        self._write(b"R", b"")

    def decision(self, exact: Mapping[str, Any], latency: float) -> None:
        """What was decided, and how long it took."""
        self._write(b"D", _json({**exact, "latency": latency}), flush=True)

    def close(self, stats: Mapping[str, Any]) -> None:
        """Write the end and close; may be called twice."""
        if not self._file.closed:
            try:
                self._write(b"E", _json(stats), flush=True)
            finally:
                with contextlib.suppress(OSError):  # said already
                    self._file.close()

    def discard(self) -> None:
        """Close and remove the file: the session never began."""
        self._file.close()
        self._path.unlink()

    def _write(self, kind: bytes, payload: bytes, flush: bool = False) -> None:
        try:
            with self._lock:
                self._file.write(_record(kind, payload))
                if flush:
                    self._file.flush()
        except OSError as error:
            raise InputError(
                f"{self._path}: the recording ends here: {error.strerror}; it can be read up to its last whole record"
            ) from error


def _record(kind: bytes, payload: bytes) -> bytes:
    return _HEAD.pack(kind, len(payload)) + payload


def _appear(temporary: Path, path: Path) -> None:
    """Give an open file its name, which nobody may have yet; FileExistsError otherwise."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links there (FAT, some network folders): a kill between these lines leaves an empty file
        path.open("xb").close()
        os.replace(temporary, path)


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()


def read_session(path: Path | str) -> Iterator[tuple[str, Any]]:
    """Records in order, in constant memory: (kind, parsed payload). A file that was cut off ends with its last record.

    Yields:
        `("H", dict)` first, then `("P", events [N])`, `("A", int)`, `("R", None)`, `("D", dict)`, `("E", dict)`.

    Raises:
        InputError: no such file.
        FileFormatError: not a session, another version, or a record that cannot be.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    with path.open("rb") as file:
        first = True
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            kind, length = _HEAD.unpack(head)
            where = f"{path}, byte {file.tell() - _HEAD.size}"
            if first and kind != b"H":
                raise FileFormatError(f"{path} is not a recorded session, as `live --record` writes it")
            if length > MAX_RECORD:
                raise FileFormatError(f"{where}: a record claims {length} bytes, the limit is {MAX_RECORD}")
            payload = file.read(length)
            if len(payload) < length:
                return  # the session was cut off here
            yield _parse(kind, payload, first, where)
            first = False
    if first:
        raise FileFormatError(f"{path} is not a recorded session: it is empty")


def _parse(kind: bytes, payload: bytes, first: bool, where: str) -> tuple[str, Any]:
    try:
        if kind == b"P":
            return "P", np.frombuffer(payload, EVENT_DTYPE)
        if kind == b"A":
            return "A", _TIME.unpack(payload)[0]
        if kind == b"R":
            return "R", None
        if kind in (b"H", b"D", b"E"):
            data = json.loads(payload)
            if first and (data.get("format"), data.get("version")) != (FORMAT, FORMAT_VERSION):
                raise FileFormatError(f"{where}: not a session of version {FORMAT_VERSION}")
            return kind.decode(), data
    except (ValueError, struct.error, AttributeError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{where}: record {kind!r} is damaged ({error})") from error
    raise FileFormatError(f"{where}: unknown record {kind!r}")
