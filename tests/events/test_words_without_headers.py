"""DAT of N-CARS and GEN1, `.bin` of any sensor, EVT without a header; salvage goes on after what no camera sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from public_data import public

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events.files import read_events, write_events


def records(events: Any, version: int) -> bytes:
    x, y, p = (events[name].astype(np.uint32) for name in "xyp")
    address = p << 28 | y << 14 | x if version == 2 else p << 17 | y << 9 | x
    data: bytes = np.stack([events["t"].astype(np.uint32), address], axis=1).astype("<u4").tobytes()
    return data


@pytest.mark.parametrize("kind", [0, 12])
@pytest.mark.parametrize("version", [1, 2])
def test_dat_of_both_versions_and_types(version: int, kind: int, tmp_path: Path) -> None:
    for seed in range(10):
        events = random_events(300, 304, 240, seed)
        head = f"% Data file containing Event2D events.\n% Version {version}\n% Date 2016-1-1\n".encode()
        (tmp_path / "a.dat").write_bytes(head + bytes([kind, 8]) + records(events, version))
        got = read_events(tmp_path / "a.dat")
        np.testing.assert_array_equal(got.events, events)
        assert got.notes == ()


def test_dat_version_2_as_expelliarmus_reads_it(tmp_path: Path) -> None:
    expelliarmus = pytest.importorskip("expelliarmus")
    path = public("recordings/ncars.dat")
    theirs, got = expelliarmus.Wizard(encoding="dat").read(path), read_events(path)
    for name in "txyp":
        np.testing.assert_array_equal(got.events[name], theirs[name])


@pytest.mark.parametrize("version", [1, 2])
def test_dat_without_a_header_or_a_version(version: int, tmp_path: Path) -> None:
    events = random_events(300, 304, 240, 1)
    (tmp_path / "a.dat").write_bytes(records(events, version))
    got = read_events(tmp_path / "a.dat")
    np.testing.assert_array_equal(got.events, events)
    assert got.notes[0] == "it has no header: its records were taken for changes of pixels"
    assert f"read as version {version}, by the bits" in got.notes[1]
    (tmp_path / "b.dat").write_bytes(b"% Height 240\n% Width 304\n" + bytes([12, 8]) + records(events, version))
    got = read_events(tmp_path / "b.dat")
    np.testing.assert_array_equal(got.events, events)
    assert got.sensor_size == (304, 240)
    (tmp_path / "c.dat").write_bytes(bytes([0, 8]) + records(events, version))
    np.testing.assert_array_equal(read_events(tmp_path / "c.dat").events, events)


def test_dat_of_an_unknown_version_or_type(tmp_path: Path) -> None:
    for head, message in ((b"% Version 3\n\x0c\x08", "version is '3'"), (b"% Version 2\n\x0e\x08", r"\[14, 8\]")):
        (tmp_path / "a.dat").write_bytes(head + bytes(80))
        with pytest.raises(FileFormatError, match=message):
            read_events(tmp_path / "a.dat")


def test_bin_of_n_caltech101_needs_its_size(tmp_path: Path) -> None:
    """tonic's writer-less format: what it reads is what was written, on 240 x 180 pixels."""
    io = pytest.importorskip("tonic.io")
    events = random_events(2000, 230, 170, 2)
    write_events(tmp_path / "a.bin", events, (240, 180))
    with pytest.raises(FileFormatError, match=r"sensor_size=\(width, height\) says another sensor, damaged="):
        read_events(tmp_path / "a.bin")
    got = read_events(tmp_path / "a.bin", sensor_size=(240, 180))
    theirs = io.read_mnist_file(str(tmp_path / "a.bin"), dtype=io.events_struct)
    for name in "txyp":
        np.testing.assert_array_equal(got.events[name], theirs[name])
    assert (got.sensor_size, got.notes) == ((240, 180), ())


def test_the_size_of_n_mnist_is_assumed_aloud(tmp_path: Path) -> None:
    write_events(tmp_path / "a.bin", random_events(20, 34, 34), (34, 34))
    got = read_events(tmp_path / "a.bin")
    assert got.sensor_size == (34, 34)
    assert "taken for that of N-MNIST, 34 x 34" in got.notes[0]


@pytest.mark.parametrize("name", ["evt2", "evt2.1", "evt3"])
def test_evt_without_a_header(name: str, tmp_path: Path) -> None:
    events = random_events(500, 320, 240, 3)
    write_events(tmp_path / "a.raw", events, (320, 240), format=name)
    data = (tmp_path / "a.raw").read_bytes()
    (tmp_path / "b.raw").write_bytes(data[data.index(b"% end\n") + 6 :])
    with pytest.raises(FileFormatError, match=r'give one of format="evt2", format="evt2.1", format="evt3"'):
        read_events(tmp_path / "b.raw")
    np.testing.assert_array_equal(read_events(tmp_path / "b.raw", format=name).events, events)


@pytest.mark.parametrize(("name", "size", "unknown"), [("evt2", 4, 0x5), ("evt2.1", 8, 0x5), ("evt3", 2, 0x9)])
def test_salvage_goes_on_after_words_of_unknown_types(name: str, size: int, unknown: int, tmp_path: Path) -> None:
    events = random_events(3000, 320, 240, 4)
    write_events(tmp_path / "a.raw", events, (320, 240), format=name)
    data = (tmp_path / "a.raw").read_bytes()
    start = data.index(b"% end\n") + 6
    words = np.frombuffer(data[start:], f"<u{size}")
    for seed in range(10):
        random = np.random.default_rng(seed)
        at = np.sort(random.choice(len(words), int(random.integers(1, 50))))
        strange = np.full(len(at), unknown << 8 * size - 4, np.uint64)
        if name == "evt2.1":  # the halves of a word are stored in the other order
            strange = strange >> np.uint64(32)
        (tmp_path / "b.raw").write_bytes(data[:start] + np.insert(words, at, strange.astype(words.dtype)).tobytes())
        with pytest.raises(FileFormatError, match=f"byte {start + size * at[0]}: word 0x{unknown:x}0+ has an unknown"):
            read_events(tmp_path / "b.raw")
        got = read_events(tmp_path / "b.raw", damaged="salvage")
        np.testing.assert_array_equal(got.events, events)
        assert got.damage is not None
        assert (got.damage.dropped, got.damage.position) == (len(at), start + size * at[0])


def test_salvage_leaves_out_one_packet_of_aedat4(tmp_path: Path) -> None:
    """A packet whose FlatBuffer is spoiled: the others are given."""
    dv = pytest.importorskip("dv_processing")
    events = random_events(3000, 346, 260, 5)
    config = dv.io.MonoCameraWriter.EventOnlyConfig("c", (346, 260), dv.CompressionType.NONE)
    writer = dv.io.MonoCameraWriter(str(tmp_path / "a.aedat4"), config)
    for part in range(3):
        store = dv.EventStore()
        for t, x, y, p in events[1000 * part : 1000 * part + 1000].tolist():
            store.push_back(t, x, y, bool(p))
        writer.writeEvents(store)
    del writer
    data = (tmp_path / "a.aedat4").read_bytes()
    np.testing.assert_array_equal(read_events(tmp_path / "a.aedat4").events, events)
    places = [i for i in range(len(data)) if data[i : i + 4] == b"EVTS"][-3:]
    spoiled = data[: places[1]] + b"XXXX" + data[places[1] + 4 :]
    (tmp_path / "a.aedat4").write_bytes(spoiled)
    with pytest.raises(FileFormatError, match=r"after 1000 events, byte .*is no packet of events"):
        read_events(tmp_path / "a.aedat4")
    got = read_events(tmp_path / "a.aedat4", damaged="salvage")
    np.testing.assert_array_equal(got.events, np.concatenate([events[:1000], events[2000:]]))
    assert got.damage is not None
