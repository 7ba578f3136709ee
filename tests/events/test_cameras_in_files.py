"""Files of several cameras: none is lost, none merged; each can be chosen, by number or by name."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from public_data import case, public

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events.files import read_events, write_events

SIZES = {"L": (346, 260), "R": (640, 480)}


def store(dv: Any, events: Any) -> Any:
    made = dv.EventStore()
    for t, x, y, p in events.tolist():
        made.push_back(t, x, y, bool(p))
    return made


def two_cameras(path: Path, compression: str = "LZ4") -> dict[str, Any]:
    """A file of dv-processing with the streams `left` and `right` in turn."""
    dv = pytest.importorskip("dv_processing")
    given = {name: random_events(900, *size, seed=ord(name)) for name, size in SIZES.items()}
    kind = getattr(dv.io.CompressionType if hasattr(dv.io, "CompressionType") else dv.CompressionType, compression)
    left, right = (dv.io.MonoCameraWriter.EventOnlyConfig(name, SIZES[name], kind) for name in ("L", "R"))
    writer = dv.io.StereoCameraWriter(str(path), left, right)
    for part in range(3):
        writer.left.writeEvents(store(dv, given["L"][300 * part : 300 * part + 300]))
        writer.right.writeEvents(store(dv, given["R"][300 * part : 300 * part + 300]))
    del writer
    return given


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH"])
def test_aedat4_with_two_cameras_of_dv_processing(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "a.aedat4"
    given = two_cameras(path, compression)
    with pytest.raises(FileFormatError, match=r"holds 2 cameras: .* of L, 346 x 260\), .* of R, 640 x 480\); choose"):
        read_events(path)
    for number, name in enumerate(("L", "R")):
        for stream in (name, str(number)):
            got = read_events(path, stream=stream)
            np.testing.assert_array_equal(got.events, given[name])
            assert got.sensor_size == SIZES[name]
    for stream in ("5", "events", ""):
        with pytest.raises(FileFormatError, match=f"stream '{stream}' names . of its cameras: 0 "):
            read_events(path, stream=stream)


def test_aedat4_of_dv_processing_and_of_a_public_recording_equal_their_readers(tmp_path: Path) -> None:
    """A real file: every event as dv-processing's own reader gives it."""
    dv = pytest.importorskip("dv_processing")
    path = public("recordings/sample.aedat4")
    reader, batches = dv.io.MonoCameraRecording(str(path)), []
    while (batch := reader.getNextEventBatch()) is not None:
        batches.append(batch.numpy().copy())
    theirs, ours = np.concatenate(batches), read_events(path).events
    for field, name in (("t", "timestamp"), ("x", "x"), ("y", "y"), ("p", "polarity")):
        np.testing.assert_array_equal(ours[field].astype(np.int64), theirs[name].astype(np.int64))


def test_aedat4_headers_that_cannot_be_read(tmp_path: Path) -> None:
    """A byte that is no UTF-8 aborted the process; an entity can grow without end."""
    path = tmp_path / "a.aedat4"
    write_events(path, random_events(50, 20, 20), (20, 20))
    good = path.read_bytes()
    for old, new, message in (
        (b"<dv version", b"<d\xc5 version", "XML header cannot be read"),
        (b"<dv version", b"<!DOCTYPE x", "declaration"),
        (b"</dv>", b"</dw>", "XML header cannot be read"),
        (b"EVTS", b"FRME", "no stream of events"),
        (b'node name="0"', b'node name="x"', "not a number"),
    ):
        assert good.count(old) >= 1
        path.write_bytes(good.replace(old, new, 1))
        with pytest.raises(FileFormatError, match=message):
            read_events(path)


def aedat31(path: Path, packets: list[tuple[int, Any]], names: bytes = b"") -> None:
    data = b"#!AER-DAT3.1\r\n" + names + b"#!END-HEADER\r\n"
    for source, events in packets:
        data += struct.pack("<HHIIIIII", 1, source, 8, 4, 0, len(events), len(events), len(events))
        for t, x, y, p in events.tolist():
            data += struct.pack("<II", x << 17 | y << 2 | p << 1 | 1, t)
    path.write_bytes(data)


def test_aedat31_with_two_cameras(tmp_path: Path) -> None:
    path = tmp_path / "a.aedat"
    first, second = random_events(60, 100, 100, seed=1), random_events(40, 100, 100, seed=2)
    packets = [(1, first[:30]), (2, second[:20]), (1, first[30:]), (2, second[20:])]
    aedat31(path, packets, b"#Source 1: DVS128\r\n#Source 2: DAVIS240C\r\n")
    with pytest.raises(FileFormatError, match=r"2 cameras: 1 \(DVS128\), 2 \(DAVIS240C\); choose one"):
        read_events(path)
    for events, streams in ((first, ("1", "DVS128")), (second, ("2", "DAVIS240C"))):
        for stream in streams:
            np.testing.assert_array_equal(read_events(path, stream=stream).events, events)
    with pytest.raises(FileFormatError, match="stream '3' names 0 of its cameras"):
        read_events(path, stream="3")
    aedat31(path, [(7, first)])
    np.testing.assert_array_equal(read_events(path).events, first)


@pytest.mark.parametrize("name", ["aedat4_two_cameras_second_lost.aedat4", "aedat31_two_cameras_merged.aedat"])
def test_a_found_file_of_two_cameras(name: str) -> None:
    with pytest.raises(FileFormatError, match="holds 2 cameras"):
        read_events(case(name))
    counts = [len(read_events(case(name), stream=stream).events) for stream in ("0" if "4_" in name else "2", "1")]
    assert min(counts) > 0
