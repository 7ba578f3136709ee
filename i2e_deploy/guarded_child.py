"""Decoders that are not ours, on files of strangers, in a child process with limits on time and memory.

libhdf5 and its filters can loop for ever, deaf to Ctrl-C, or end the process, and nothing in Python catches that. Here
they do so in a child. The child opens the file and answers questions; plain values and arrays of numbers come back
through a pipe, never pickles. One that ended well waits for the next file, so that a process pays for one start
(`benchmarks/results/guarded_child.txt`). Readers that are wholly ours need no child.

A service is a class, `"module:Class"`: `__init__(*arguments)` opens, `answer(*question)` gives (plain value, array or
None). Without `resource` (Windows) there is no limit but the crash itself.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from types import TracebackType
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy import errors
from i2e_deploy.errors import FileFormatError, I2EDeployError

#: Memory that a child may take beyond what Python and NumPy need, bytes.
MEMORY = 3 * 2**30
#: Longest a question may take by the clock, as a multiple of its limit in seconds of processor time.
WALL = 12
_HEAD = struct.Struct("<IQ")
#: Longest message, bytes: of plain values, of an array.
_MAX_VALUE, _MAX_ARRAY = 2**26, 2**31
#: A child that does nothing is kept for the next file.
_idle: list[_Process] = []
_lock = threading.Lock()
_OWN = "import sys; sys.path[:] = sys.argv[1:]; from i2e_deploy.guarded_child import serve; serve()"

Answer = tuple[Any, "NDArray[Any] | None"]


class Service(Protocol):
    """What a child runs."""

    def answer(self, *question: Any) -> Answer:
        """The answer to one question."""
        ...


class Child:
    """A service in a child process; a context manager.

    Args:
        service: `"module:Class"`, by the caller's own code.
        arguments: of the class, plain values.
        what: of which file the errors speak.
        seconds: processor time that one question may take.

    Raises:
        I2EDeployError: what the service raises, and FileFormatError where the child hangs, ends or takes too much.
        RuntimeError: any other error of the service, as text.
    """

    def __init__(self, service: str, arguments: tuple[Any, ...], what: str, seconds: float = 5) -> None:
        self._what, self._seconds = what, seconds
        self._process: _Process | None = _take()
        self.ask("open", service, *arguments)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def ask(self, *question: Any) -> Answer:
        """The service's answer."""
        process = self._process
        if process is None:
            raise ValueError(f"{self._what} is closed")
        try:
            head, array = process.ask([self._seconds, *question], WALL * self._seconds)
        except _Ended as end:
            self._process = None
            raise FileFormatError(f"{self._what}: damaged, or made to do harm: its decoder {end}") from None
        except BaseException:  # Ctrl-C: what it says later would be taken for the next answer
            self._process = None
            process.kill()
            raise
        if "error" in head:
            if question[0] == "open":
                self.close()
            raise _error(head["error"], str(head["text"]))
        return head["value"], array

    def close(self) -> None:
        """Close the file; the child waits for another one. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.ask([self._seconds, "close"], WALL * self._seconds)
        except _Ended:
            return
        except BaseException:
            process.kill()
            raise
        _give(process)


class _Ended(Exception):
    """The child is no more; the text says why, as a clause."""


class _Process:
    """A child process that is started."""

    def __init__(self) -> None:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self.owner = os.getpid()
        self._popen = subprocess.Popen(  # noqa: S603  # this Python, with our own code
            [sys.executable, "-c", _OWN, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, bufsize=0, env=environment, start_new_session=True,
        )  # fmt: skip

    def ask(self, question: list[Any], wall: float) -> Answer:
        to, of = cast("IO[bytes]", self._popen.stdin), cast("IO[bytes]", self._popen.stdout)
        deadline = time.monotonic() + wall
        try:
            _send(to, question, None)
            return _receive(of, deadline)
        except (BrokenPipeError, EOFError):
            code = self._popen.wait()
            self.kill()
            raise _Ended(_why(code)) from None
        except TimeoutError:
            self.kill()
            raise _Ended(f"gave no answer within {wall:g} s") from None

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", pipe).close()

    @property
    def alive(self) -> bool:
        return self.owner == os.getpid() and self._popen.poll() is None


def _why(code: int) -> str:
    if code == -getattr(signal, "SIGXCPU", 0):
        return "did not come to an end"
    name = signal.Signals(-code).name if code < 0 else f"code {code}"
    return f"ended the process ({name})"


def _take() -> _Process:
    with _lock:
        while _idle:
            process = _idle.pop()
            if process.alive:
                return process
    return _Process()


def _give(process: _Process) -> None:
    with _lock:
        if not _idle and process.alive:
            _idle.append(process)
            return
    process.kill()


def _end_idle() -> None:
    while _idle:
        _idle.pop().kill()


atexit.register(_end_idle)
if hasattr(os, "register_at_fork"):  # a fork's questions would go down the same pipe
    os.register_at_fork(after_in_child=_idle.clear)


def _error(kind: str, text: str) -> Exception:
    """An error of the child again."""
    if kind == "MissingDependency":
        return errors.MissingDependency(*json.loads(text))
    found = getattr(errors, kind, None) if kind in errors.__all__ else None
    return found(text) if found is not None else RuntimeError(text)


def _send(file: IO[bytes], value: Any, array: NDArray[Any] | None) -> None:
    """A message: lengths, plain values as JSON with dtype and shape of the array, the array."""
    about = None if array is None else [array.dtype.descr if array.dtype.names else array.dtype.str, array.shape]
    text = json.dumps([value, about], default=int).encode()  # limits may be NumPy's
    raw: Any = b"" if array is None else np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    data = memoryview(raw)
    for part in (memoryview(_HEAD.pack(len(text), len(data)) + text), data):
        while len(part):
            part = part[file.write(part) :]  # noqa: PLW2901  # a raw pipe may take less


def _receive(file: IO[bytes], deadline: float | None) -> Answer:
    length, size = _HEAD.unpack(_exactly(file, _HEAD.size, deadline))
    if length > _MAX_VALUE or size > _MAX_ARRAY:
        raise EOFError
    value, about = json.loads(_exactly(file, length, deadline))
    if about is None:
        return value, None
    dtype = np.dtype([tuple(field) for field in about[0]] if isinstance(about[0], list) else about[0])
    if dtype.hasobject or dtype.itemsize * math.prod(about[1]) != size:
        raise EOFError
    return value, np.frombuffer(_exactly(file, size, deadline), dtype).reshape(about[1])


def _exactly(file: IO[bytes], length: int, deadline: float | None) -> bytearray:
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        if deadline is not None and os.name != "nt":
            ready, _, _ = select.select([file], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
        count = file.readinto(view[at:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        at += count
    return data


def serve() -> None:
    """The child: answer questions on standard input until it ends."""
    questions: IO[bytes] = cast("Any", sys.stdin.buffer).raw
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    _limit_memory()
    service: Service | None = None
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            (seconds, *question), _ = _receive(questions, None)
            _limit_time(seconds)
            try:
                array = value = None
                if question[0] == "open":
                    service = _service(*question[1:])
                elif question[0] == "close":
                    service = None
                else:
                    assert service is not None
                    value, array = service.answer(*question)
                _send(answers, {"value": value}, array)
            except (EOFError, BrokenPipeError):
                return
            except BaseException as error:
                _send(answers, _told(error), None)


def _service(name: str, *arguments: Any) -> Service:
    module, _, kind = name.partition(":")
    made: Service = getattr(importlib.import_module(module), kind)(*arguments)
    return made


def _told(error: BaseException) -> dict[str, str]:
    text = " ".join(str(error).split())[:2000] or type(error).__name__
    if isinstance(error, errors.MissingDependency):
        text = json.dumps([error.package, error.needed_for, str(error).partition("`")[2].rstrip("`")])
    known = isinstance(error, I2EDeployError)
    if isinstance(error, MemoryError):
        return {"error": "FileFormatError", "text": f"needs more than {MEMORY >> 20} MiB"}
    return {
        "error": type(error).__name__ if known else "",
        "text": text if known else f"{type(error).__name__}: {text}",
    }


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """SIGXCPU after so much processor time: ends a child that hangs also when its parent is no more."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used + seconds), resource.RLIM_INFINITY))
