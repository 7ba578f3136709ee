"""A decoder in a child: whatever it does, the caller gets an answer or one line."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from i2e_deploy import guarded_child
from i2e_deploy.errors import FileFormatError, InputError, MissingDependency
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.guarded_child import Child

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no limits there")
SERVICE = "bad_services:Bad"


def bad(word: str = "x", seconds: float = 1) -> Child:
    return Child(SERVICE, (word,), "a.file", seconds)


def pid_of(child: Child) -> int:
    return int(child.ask("who")[0]["pid"])


def test_arrays_come_back_as_they_are() -> None:
    rng = np.random.default_rng(0)
    with bad() as child:
        for _ in range(30):
            shape = rng.integers(0, 6, rng.integers(0, 4)).tolist()
            dtype = str(rng.choice(["|u1", "<i2", "<f4", "<i8", "<f8"]))
            count = int(np.prod(shape, dtype=np.int64))
            value, array = child.ask("counted", count, dtype, shape)
            assert value == "x"
            assert array is not None
            assert (array.dtype.str, list(array.shape)) == (dtype, shape)
            assert np.array_equal(array, np.arange(count, dtype=dtype).reshape(shape))
        _, events = child.ask("events", 7)
        assert events is not None
        assert (events.dtype, len(events)) == (EVENT_DTYPE, 7)


def test_a_child_is_used_again_and_two_files_have_two() -> None:
    with bad("first") as one:
        first = pid_of(one)
        with bad("second") as two:
            assert pid_of(two) != first
            assert one.ask("who")[0]["word"] == "first"
    with bad("third") as three:
        again = pid_of(three)
    with bad("fourth") as four:
        assert pid_of(four) == again


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (("hang",), "did not come to an end"),
        (("signal", "SIGSEGV"), "ended the process .SIGSEGV."),
        (("signal", "SIGABRT"), "ended the process .SIGABRT."),
        (("exit",), "ended the process .code 3."),
        (("memory",), "needs more than 3072 MiB"),
    ],
)
def test_what_would_end_or_hang_the_process_is_one_line(question: tuple[str, ...], text: str) -> None:
    with bad() as child, pytest.raises(FileFormatError, match=text) as caught:
        child.ask(*question)
    assert "\n" not in str(caught.value)
    with bad("after") as child:
        assert child.ask("who")[0]["word"] == "after"


def test_a_child_that_sleeps_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded_child, "WALL", 1)
    with bad(seconds=0.5) as child, pytest.raises(FileFormatError, match=r"gave no answer within 0\.5 s"):
        child.ask("sleep")


def test_ctrl_c_comes_through_at_once() -> None:
    """The child hangs with a limit of a minute; the caller is free within a second or two."""
    child = bad(seconds=60)
    pid = pid_of(child)
    through = threading.Event()

    def press() -> None:  # again where it is lost: Python swallows what is raised in a callback of its collector
        for pause in (0.3, 6, 6):
            if through.wait(pause):
                return
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        child.ask("hang")
    through.set()
    assert time.monotonic() - began < 20
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ValueError, match="is closed"):
        child.ask("who")


def test_errors_are_those_of_the_service() -> None:
    with pytest.raises(InputError, match=r"^not a file of this kind$"):
        bad("refused")
    with bad() as child:
        with pytest.raises(MissingDependency, match="install it with `pip install blosc`"):
            child.ask("missing")
        with pytest.raises(RuntimeError, match="KeyError"):
            child.ask("error")
        assert child.ask("print")[0]["word"] == "x"  # what a library prints is no answer


def test_a_fork_has_children_of_its_own() -> None:
    with bad() as child:
        pid_of(child)
    read, write = os.pipe()
    fork = os.fork()
    if fork == 0:
        os.write(write, str(len(guarded_child._idle)).encode())
        os._exit(0)
    os.waitpid(fork, 0)
    assert os.read(read, 10) == b"0"
    assert len(guarded_child._idle) == 1
    os.close(read)
    os.close(write)
