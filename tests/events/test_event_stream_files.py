"""Event Stream (`.es`), read and written by us: faery's own reader and writer are the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events import EVENT_DTYPE
from i2e_deploy.events.files import open_events, read_events, write_events
from i2e_deploy.events.formats.base import PACKET_EVENTS

SIZE = (300, 200)


def drawn_bytes(rng: np.random.Generator, count: int) -> bytes:
    """Events with overflows and resets between them."""
    body = b""
    for _ in range(count):
        body += b"\xff" * int(rng.integers(0, 4) * (rng.random() < 0.3)) + b"\xfe" * int(rng.random() < 0.05)
        x, y = (int(rng.integers(side)) for side in SIZE)
        body += bytes([int(rng.integers(254))]) + x.to_bytes(2, "little") + y.to_bytes(2, "little")
    return body


def file_of(path: Path, body: bytes, kind: int = 1, version: int = 2) -> Path:
    sides = b"".join(side.to_bytes(2, "little") for side in SIZE)
    path.write_bytes(b"Event Stream" + bytes((version, 0, 0, kind)) + sides + body)
    return path


def drawn_events(rng: np.random.Generator, count: int) -> NDArray[Any]:
    events = np.empty(count, EVENT_DTYPE)
    events["t"] = np.cumsum(rng.integers(0, int(rng.choice([2, 127, 128, 5000])), count))
    events["x"], events["y"], events["p"] = (rng.integers(0, side, count) for side in (*SIZE, 2))
    return events


def test_faery_reads_the_same(tmp_path: Path) -> None:
    faery: Any = pytest.importorskip("faery")
    rng = np.random.default_rng(0)
    for number in range(30):
        path = file_of(tmp_path / f"{number}.es", drawn_bytes(rng, int(rng.integers(1, 300))))
        theirs = np.concatenate(list(faery.file_decoder.Decoder(path, file_type="es", time_range_cache=None)))
        ours = read_events(path)
        assert ours.sensor_size == SIZE
        assert len(ours.events) > 0
        for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("p", "on")):
            assert np.array_equal(ours.events[name], theirs[field]), (number, name)


def test_faery_writes_the_same_bytes(tmp_path: Path) -> None:
    faery: Any = pytest.importorskip("faery")
    rng = np.random.default_rng(1)
    for _ in range(20):
        events = drawn_events(rng, int(rng.integers(0, 300)))
        write_events(tmp_path / "a.es", (events[: len(events) // 3], events[len(events) // 3 :]), SIZE)
        theirs = np.empty(len(events), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
        for field, name in (("t", "t"), ("x", "x"), ("y", "y"), ("on", "p")):
            theirs[field] = events[name]
        how = {"use_write_suffix": False, "file_type": "es", "zero_t0": False}
        faery.file_encoder.events_to_file(iter([theirs]), tmp_path / "b.es", SIZE, **how)
        assert (tmp_path / "a.es").read_bytes() == (tmp_path / "b.es").read_bytes()


def test_pieces_are_as_one(tmp_path: Path) -> None:
    """An event may lie on the border between two blocks that are read."""
    rng = np.random.default_rng(2)
    events = drawn_events(rng, PACKET_EVENTS + 1000)
    write_events(tmp_path / "a.es", events, SIZE)
    with open_events(tmp_path / "a.es") as reader:
        packets = list(reader)
    assert len(packets) > 1
    assert np.array_equal(np.concatenate(packets), events)


def test_what_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    good = bytes([2, 1, 0, 1, 0])
    with pytest.raises(FileFormatError, match="it holds ATIS events of version 2"):
        read_events(file_of(tmp_path / "a.es", good, kind=2))
    with pytest.raises(FileFormatError, match=r"version 3\.0\.0"):
        read_events(file_of(tmp_path / "a.es", good, version=3))
    path = file_of(tmp_path / "a.es", good * 3 + bytes([2, 1, 0, SIZE[1], 0]) + good)
    with pytest.raises(FileFormatError, match="after 3 events, byte 35: an event is outside the sensor"):
        read_events(path)
    assert len(read_events(path, damaged="salvage").events) == 3
    path.write_bytes(path.read_bytes()[:33])
    with pytest.raises(FileFormatError, match="after 2 events, byte 30: it is cut off inside an event"):
        read_events(path)
    path.write_bytes(b"Event Stream\2\0\0\1\1")
    with pytest.raises(FileFormatError, match="its header is cut off after 17 bytes"):
        read_events(path)
