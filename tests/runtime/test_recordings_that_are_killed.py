"""A recording has its header before its name, and what was written before a kill or a full disk can be read."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import InputError
from i2e_deploy.runtime.recording import Recorder, read_session

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks of POSIX")
EVENTS = random_events(3000, 34, 34, seed=1)


def killed_at(path: Path, number: int) -> bool:
    """A fork that records, and kills itself at its `number`-th access to the folder; whether it came so far."""
    child = os.fork()
    if child == 0:
        import sys

        left = [number]

        def hook(event: str, args: tuple[object, ...]) -> None:
            if event in ("open", "os.link", "os.remove", "os.rename") and str(path.parent) in str(args[0]):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        Recorder(path, {"seed": 1})
        os.kill(os.getpid(), signal.SIGKILL if left[0] > 0 else signal.SIGTERM)
    os.waitpid(child, 0)
    return path.exists()


def test_killed_at_every_access_it_is_absent_or_has_its_header(tmp_path: Path) -> None:
    seen = []
    for number in range(1, 8):
        path = tmp_path / str(number) / "a.session"
        path.parent.mkdir()
        seen.append(killed_at(path, number))
        if seen[-1]:
            assert [kind for kind, _ in read_session(path)] == ["H"]
        else:
            Recorder(path, {"seed": 2}).close({})  # the name is free
            assert [kind for kind, _ in read_session(path)] == ["H", "E"]
    assert seen[0] is False
    assert seen[-1] is True


def test_a_kill_leaves_what_was_decided_before(tmp_path: Path) -> None:
    """Drawn numbers of packets and decisions; the last packet may be in a buffer, no decision is."""
    rng = np.random.default_rng(0)
    for number in range(12):
        path, count = tmp_path / f"{number}.session", int(rng.integers(1, 20))
        child = os.fork()
        if child == 0:
            recorder = Recorder(path, {"seed": 1})
            for part in np.array_split(EVENTS, count):
                recorder.packet(part)
                recorder.decision({"choice": 1}, 0.1)
            recorder.packet(EVENTS)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        records = list(read_session(path))
        assert records[0][0] == "H"
        assert sum(kind == "D" for kind, _ in records) == count
        packets = [value for kind, value in records if kind == "P"]
        assert np.array_equal(np.concatenate(packets[:count]), EVENTS)


def test_a_full_disk_ends_the_recording_with_one_line(tmp_path: Path) -> None:
    for room in (30_000, 20_001, 400, 10):
        path = tmp_path / f"{room}.session"
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            said = "nothing"
            try:
                recorder = Recorder(path, {"seed": 1})
                for part in np.array_split(EVENTS, 6):
                    recorder.packet(part)
                    recorder.decision({"choice": 1}, 0.1)
            except InputError as error:
                said = str(error)
                try:
                    recorder.close({})
                except (InputError, UnboundLocalError) as again:
                    said += f" | {type(again).__name__}"
            except BaseException as error:
                said = repr(error)
            os.write(write, said.encode())
            os._exit(0)
        os.close(write)
        os.waitpid(child, 0)
        with os.fdopen(read) as pipe:
            text = pipe.read()
        if room == 30_000:
            assert text.startswith(f"{path}: the recording ends here: File too large; it can be read up to"), text
        elif room > 300:
            assert "the recording ends here" in text
        if path.exists():
            records: list[Any] = list(read_session(path))
            assert records[0][0] == "H"
        else:
            assert room == 10
            assert f"cannot record to {path}: File too large" in text
    assert not list(tmp_path.glob(".*"))


def test_a_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.session"
    Recorder(path, {}).close({})
    before = path.read_bytes()
    with pytest.raises(InputError, match="exists: a recording is not overwritten"):
        Recorder(path, {"seed": 9})
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.session"]
