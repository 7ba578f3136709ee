"""AEDAT 2.0 and 1.0: what jAER records, against tonic's masks, and upright."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from public_data import public

from i2e_deploy.errors import FileFormatError
from i2e_deploy.events.files import read_events
from i2e_deploy.events.formats.aedat2 import CHIPS

DVS128, DAVIS346, DAVIS240 = "ch.unizh.ini.jaer.chip.retina.DVS128", "eu.x.davis.Davis346B", "eu.x.davis.DAVIS240C"


def davis_address(events: Any, width: int, height: int) -> Any:
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    return (height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11


def dvs128_address(events: Any) -> Any:
    x, y, p = (events[name].astype(np.int64) for name in "xyp")
    return (127 - y) << 8 | (127 - x) << 1 | (1 - p)


def write(path: Path, address: Any, t: Any, chip: str | None = None, version: int = 2) -> Path:
    head = f"#!AER-DAT{version}.0\r\n# Creation time: 1 2 3\r\n" + (f"# AEChip: {chip}\r\n" if chip else "")
    rows = np.empty(len(t), [("a", ">u4" if version == 2 else ">u2"), ("t", ">i4")])
    rows["a"], rows["t"] = address, (np.asarray(t, np.int64) + 2**31) % 2**32 - 2**31
    path.write_bytes(head.encode() + rows.tobytes())
    return path


@pytest.mark.parametrize("seed", range(10))
def test_davis346_as_tonic_reads_it(seed: int, tmp_path: Path) -> None:
    io = pytest.importorskip("tonic.io")
    events = random_events(300, 346, 260, seed)
    path = write(tmp_path / "a.aedat", davis_address(events, 346, 260), events["t"], DAVIS346)
    got = read_events(path)
    assert got.sensor_size == (346, 260)
    np.testing.assert_array_equal(got.events, events)
    theirs = io.read_davis_346(str(path))[2]
    for name in "txyp":
        np.testing.assert_array_equal(got.events[name], theirs[name])


@pytest.mark.parametrize("seed", range(10))
def test_dvs128_as_tonic_masks_it(seed: int, tmp_path: Path) -> None:
    """tonic gives the bits of an address as they are: x and y exchanged and not flipped, ON as 0."""
    io = pytest.importorskip("tonic.io")
    events = random_events(300, 128, 128, seed)
    address = dvs128_address(events)
    got = read_events(write(tmp_path / "a.aedat", address, events["t"], DVS128)).events
    np.testing.assert_array_equal(got, events)
    path = tmp_path / "a.aedat"  # tonic's function forgets the third value of its own header reader
    theirs = io.get_aer_events_from_file(str(path), *io.read_aedat_header_from_file(str(path))[:2])["address"]
    np.testing.assert_array_equal(127 - got["x"].astype(int), theirs >> 1 & 0x7F)
    np.testing.assert_array_equal(127 - got["y"].astype(int), theirs >> 8 & 0x7F)
    np.testing.assert_array_equal(1 - got["p"].astype(int), theirs & 1)


def test_aps_imu_and_external_input_are_skipped_and_counted(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    events = random_events(500, 240, 180, 3)
    address = davis_address(events, 240, 180)
    kind = random.integers(0, 4, 500)  # 0: event, 1: APS, 2: IMU, 3: external input
    other = np.choose(kind, [0, 1 << 31, 1 << 31 | 3 << 10, 1 << 10])
    got = read_events(write(tmp_path / "a.aedat", address | other, events["t"], DAVIS240))
    np.testing.assert_array_equal(got.events, events[kind == 0])
    counts = [int((kind == k).sum()) for k in (3, 1, 2)]
    said = "samples and events of other kinds were skipped: {} external input, {} APS, {} IMU".format(*counts)
    assert got.notes == (said,)


def test_the_size_of_each_chip_that_jaer_names(tmp_path: Path) -> None:
    for name, chip in CHIPS.items():
        events = random_events(20, *chip.size, seed=1)
        address = davis_address(events, *chip.size) if chip.davis else dvs128_address(events)
        got = read_events(write(tmp_path / "a.aedat2", address, events["t"], f"eu.package.{name.upper()}"))
        assert got.sensor_size == chip.size
        np.testing.assert_array_equal(got.events, events)
    with pytest.raises(FileFormatError, match=r"recorded with the chip org\.x.Cochlea; known: davis128"):
        read_events(write(tmp_path / "a.aedat", [0], [0], "org.x.Cochlea"))


def test_a_file_without_the_name_of_its_chip(tmp_path: Path) -> None:
    events = random_events(200, 100, 100, 5)
    got = read_events(write(tmp_path / "a.aedat", dvs128_address(events), events["t"]))
    np.testing.assert_array_equal(got.events, events)
    assert got.notes == ("its header names no AEChip: read as a DVS128 of 128 x 128 pixels",)
    path = write(tmp_path / "a.aedat", davis_address(events, 240, 180), events["t"])
    with pytest.raises(FileFormatError, match=r"those of a DAVIS: say which of .* 240 x 180.*sensor_size=\("):
        read_events(path)
    got = read_events(path, sensor_size=(240, 180))
    np.testing.assert_array_equal(got.events, events)
    assert got.sensor_size == (240, 180)


def test_times_wrap_and_may_start_below_0(tmp_path: Path) -> None:
    events = random_events(100, 128, 128, 7)
    events["t"] = np.arange(100) * 1000 - 3000
    got = read_events(write(tmp_path / "a.aedat", dvs128_address(events), events["t"], DVS128))
    np.testing.assert_array_equal(got.events, events)
    events["t"] += 2**31 - 50_000  # goes over the end of int32
    got = read_events(write(tmp_path / "a.aedat", dvs128_address(events), events["t"], DVS128))
    np.testing.assert_array_equal(got.events["t"], events["t"])


def test_a_pixel_outside_is_refused_or_left_out(tmp_path: Path) -> None:
    events = random_events(50, 240, 180, 9)
    address = davis_address(events, 240, 180)
    address[[20, 30]] |= 1023 << 12
    path = write(tmp_path / "a.aedat", address, events["t"], DAVIS240)
    with pytest.raises(FileFormatError, match=r"after 20 events, byte \d+: address 0x[0-9a-f]+ is a pixel outside"):
        read_events(path)
    got = read_events(path, damaged="salvage")
    np.testing.assert_array_equal(got.events, np.delete(events, [20, 30]))
    assert got.damage is not None
    assert got.damage.dropped == 2


def test_version_1_with_and_without_a_header(tmp_path: Path) -> None:
    events = random_events(100, 128, 128, 11)
    path = write(tmp_path / "a.dat", dvs128_address(events), events["t"], version=1)
    np.testing.assert_array_equal(read_events(path).events, events)  # by its first bytes, whatever its name
    data = path.read_bytes()
    (tmp_path / "b.dat").write_bytes(data[data.rindex(b"\n", 0, 60) + 1 :])
    np.testing.assert_array_equal(read_events(tmp_path / "b.dat", format="aedat1").events, events)


def test_a_walker_is_upright() -> None:
    """A real recording: a person comes nearer or goes away, so the head is above and the ground below stays empty."""
    events = read_events(public("aedat2/dvs128_walking.aedat")).events
    assert len(events) == 19_182
    first = events[events["t"] < events["t"][0] + 1_500_000]
    columns = np.bincount(first["x"], minlength=128)
    rows = [first["x"][(first["y"] >= low) & (first["y"] < low + 15)] for low in (0, 100)]
    assert columns.argmax() in range(30, 90)
    assert np.ptp(np.percentile(rows[0], [25, 75])) < np.ptp(np.percentile(first["x"], [5, 95]))


def test_a_davis_with_an_imu() -> None:
    got = read_events(public("aedat2/davis_aps_imu_cut.aedat"), damaged="salvage")
    assert (len(got.events), got.sensor_size) == (43_704, (240, 180))
    assert got.notes == ("samples and events of other kinds were skipped: 9387 IMU",)
    assert got.damage is not None
    assert got.damage.reason == "it is cut off inside an event"
