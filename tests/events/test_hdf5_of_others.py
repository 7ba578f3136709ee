"""HDF5 of DSEC, Metavision, MVSEC, event_utils and v2e, written over h5py as those programs write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from event_strategies import random_events
from metavision_files import METAVISION, ecf, metavision

from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.events.files import read_events, stream_names
from i2e_deploy.events.formats.ecf import FILTER


@pytest.mark.parametrize("seed", range(3))
def test_metavision(seed: int, tmp_path: Path) -> None:
    events = random_events(20_000, 1280, 720, seed)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["geometry"] = "1280x720"
        file.create_dataset("CD/events", data=metavision(events), chunks=(16384,), compression="gzip")
        file.create_dataset("CD/indexes", data=np.zeros(3, [("id", "u8"), ("ts", "i8")]))
        file.create_dataset("EXT_TRIGGER/events", data=np.zeros(0, [("p", "i2"), ("t", "i8"), ("id", "i2")]))
    got = read_events(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(got.events, events)
    assert (got.sensor_size, got.notes) == ((1280, 720), ())


@pytest.mark.parametrize("side", ["left", "right"])
def test_mvsec(side: str, tmp_path: Path) -> None:
    """Both cameras in one file: x, y, time since 1970 in seconds, -1 or 1."""
    given = {name: random_events(3000, 346, 260, seed) for seed, name in enumerate(("left", "right"))}
    start = 1_504_645_177_421_234
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name, events in given.items():
            columns = [events["x"], events["y"], (start + events["t"]) / 1e6, 2.0 * events["p"] - 1]
            file.create_dataset(f"davis/{name}/events", data=np.stack(columns, axis=1), chunks=(512, 4))
            file.create_dataset(f"davis/{name}/image_raw", data=np.zeros((2, 3, 4), np.uint8))
    assert stream_names(tmp_path / "a.hdf5") == ("davis/left/events", "davis/right/events")
    with pytest.raises(FileFormatError, match=r'events in 2 places: .*choose one, e.g. stream="davis/left/events"'):
        read_events(tmp_path / "a.hdf5")
    got = read_events(tmp_path / "a.hdf5", stream=side)
    assert got.events["t"].tolist() == (start + given[side]["t"]).tolist()
    for name in "xyp":
        assert got.events[name].tolist() == given[side][name].tolist()
    assert got.sensor_size == (346, 260)


def test_event_utils(tmp_path: Path) -> None:
    events = random_events(3000, 320, 240, 4)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, column in (("xs", events["x"].astype("i2")), ("ys", events["y"].astype("i2")),
                             ("ts", events["t"] / 1e6), ("ps", events["p"].astype(bool))):  # fmt: skip
            file.create_dataset(f"events/{name}", data=column, chunks=True, maxshape=(None,))
        file.create_dataset("images/image000000000", data=np.zeros((240, 320), np.uint8))
        file.attrs["sensor_resolution"] = (240, 320)
    got = read_events(tmp_path / "a.h5")
    np.testing.assert_array_equal(got.events, events)
    assert got.sensor_size == (320, 240)
    assert any("sensor_resolution was taken for height and width" in note for note in got.notes)
    assert any("taken for seconds" in note for note in got.notes)
    assert read_events(tmp_path / "a.h5", sensor_size=(400, 400)).sensor_size == (400, 400)


def test_v2e(tmp_path: Path) -> None:
    events = random_events(3000, 346, 260, 5)
    table = np.stack([events[name].astype("u4") for name in "txyp"], axis=1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("events", data=table, chunks=True, maxshape=(None, 4), compression="gzip")
    got = read_events(tmp_path / "a.h5")
    np.testing.assert_array_equal(got.events, events)
    assert got.notes == ("it has no header: its columns were taken for t, x, y, p",)


def test_m3ed_and_others_with_columns_anywhere(tmp_path: Path) -> None:
    events = random_events(500, 1280, 720, 6)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "xytp":
            file.create_dataset(f"prophesee/left/{name}", data=events[name])
    np.testing.assert_array_equal(read_events(tmp_path / "a.h5").events, events)
    assert read_events(tmp_path / "a.h5").sensor_size is None


def test_several_chunks_and_one_that_is_damaged(tmp_path: Path) -> None:
    """Salvage takes all but the chunk that cannot be read, and counts what it leaves out, in the child too."""
    events = random_events(10_000, 320, 240, 7)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", data=events[name], chunks=(2000,), compression="gzip")
        chunk = file["events/x"].id.get_chunk_info(2)
    np.testing.assert_array_equal(read_events(path).events, events)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="after 4000 events: events from 4000 on cannot be read"):
        read_events(path)
    got = read_events(path, damaged="salvage")
    np.testing.assert_array_equal(got.events, np.concatenate([events[:4000], events[6000:]]))
    assert got.damage is not None
    assert got.damage.dropped == 2000


def test_what_is_no_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(5)
    with pytest.raises(FileFormatError, match="holds no events that are recognised"):
        read_events(path)
    with h5py.File(path, "w") as file:
        for name in "txy":
            file[f"events/{name}"] = np.arange(5)
        file["events/p"] = np.arange(4)
    with pytest.raises(FileFormatError, match="lengths"):
        read_events(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("events", (2**40, 4), "u4", chunks=(2**20, 4), fillvalue=1)
        file.attrs["geometry"] = "wide"
    with pytest.raises(FileFormatError, match="geometry is 'wide'"):
        read_events(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("events", (2**30, 4), "u4", chunks=(2**23, 4))
    with pytest.raises(FileFormatError, match="has chunks"):
        read_events(path)


def ecf_file(path: Path, events: Any, random: np.random.Generator, chunk: int = 1000) -> None:
    """Chunks are written past the filter, which nobody has to have installed."""
    space = h5py.h5s.create_simple((len(events),), (h5py.h5s.UNLIMITED,))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((chunk,))
    plist.set_filter(FILTER, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(path, "w") as file:
        file.attrs["geometry"] = "1280x720"
        group = file.create_group("CD")
        data = h5py.h5d.create(group.id, b"events", h5py.h5t.py_create(METAVISION), space, dcpl=plist)
        for start in range(0, len(events), chunk):
            data.write_direct_chunk((start,), ecf(events[start : start + chunk], int(random.integers(0, 3))))


@pytest.mark.parametrize("seed", range(12))
def test_metavision_compressed_with_ecf(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    events = random_events(int(random.integers(1, 5000)), 1280, 720, seed, span=int(random.choice([2, 10, 5000])))
    if seed % 2:  # rows and neighbours, as a camera gives them
        events["y"] = np.repeat(events["y"][::50], 50)[: len(events)]
        events["x"] = np.cumsum(random.integers(1, 4, len(events))) % 1280
        events["p"] = np.repeat(events["p"][::200], 200)[: len(events)]
    ecf_file(tmp_path / "a.hdf5", events, random)
    got = read_events(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(got.events, events)
    assert got.sensor_size == (1280, 720)


def test_damaged_ecf_never_gives_other_than_an_error(tmp_path: Path) -> None:
    from i2e_deploy.events.formats.ecf import decode

    events = random_events(500, 1280, 720, 3)
    out = np.empty(65535, [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    random = np.random.default_rng(4)
    for _ in range(300):
        raw = bytearray(ecf(events, int(random.integers(0, 3))))
        for _ in range(int(random.integers(1, 6))):
            raw[int(random.integers(0, len(raw)))] = int(random.integers(0, 256))
        raw = raw[: int(random.integers(0, len(raw) + 1))]
        assert -1 <= decode(np.frombuffer(bytes(raw) + bytes(16), np.uint8), len(raw), out) <= 65535


def test_an_unknown_compression_names_the_package(tmp_path: Path) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((10,))
    plist.set_filter(399, h5py.h5z.FLAG_OPTIONAL, ())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("events")
        for name in "txy":
            group[name] = np.arange(10)
        h5py.h5d.create(group.id, b"p", h5py.h5t.STD_U8LE, h5py.h5s.create_simple((10,)), dcpl=plist)
    with pytest.raises(MissingDependency, match=r"HDF5 filter 399\) needs the package 'hdf5plugin'"):
        read_events(tmp_path / "a.h5")
