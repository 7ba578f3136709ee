"""AEDAT 2.0, Metavision's HDF5, ROS bags and MCAP as we write them, read by other people's programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from metavision_files import METAVISION, ecf, metavision

from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.events.files import read_events, write_events
from i2e_deploy.events.formats.aedat2 import _WRITTEN, CHIPS
from i2e_deploy.events.formats.ecf import CHUNK, FILTER, encode

#: (start, longest step between events): at once, close together, and with pauses of minutes.
CLOCKS = ((0, 1), (5, 12), (2**24 + 3, 5000), (2**30, 10**6))


def drawn(seed: int, size: tuple[int, int], most: int = 3000) -> Any:
    random = np.random.default_rng(seed)
    start, span = CLOCKS[seed % len(CLOCKS)]
    events = random_events(int(random.integers(1, most)), *size, seed, span=span)
    events["t"] += start
    return events


@pytest.mark.parametrize("seed", range(8))
def test_aedat2_as_tonic_reads_it(seed: int, tmp_path: Path) -> None:
    io = pytest.importorskip("tonic.io")
    events = drawn(seed, (346, 260), 600)
    path = tmp_path / "a.aedat2"
    write_events(path, events, (346, 260))
    theirs = io.read_davis_346(str(path))[2]
    for name in "txyp":
        np.testing.assert_array_equal(events[name], theirs[name])


@pytest.mark.parametrize("size", _WRITTEN)
def test_aedat2_names_a_chip_of_each_size(size: tuple[int, int], tmp_path: Path) -> None:
    events = drawn(3, size, 600)
    path = tmp_path / "a.aedat2"
    write_events(path, events, size)
    assert CHIPS[_WRITTEN[size].rpartition(".")[2].lower()].size == size
    got = read_events(path)
    np.testing.assert_array_equal(got.events, events)
    assert (got.sensor_size, got.notes) == (size, ())


@pytest.mark.parametrize("ended", [True, False])
def test_a_first_record_that_starts_as_a_line_of_the_header(ended: bool, tmp_path: Path) -> None:
    """The first byte is `#` on rows 140 to 143 from the bottom: jAER leaves such events out, we do not."""
    path = tmp_path / "a.aedat2"
    for row in range(140, 144):
        events = random_events(200, 346, 260, row)
        events["y"][:50] = 259 - row
        events["t"] += 10  # b"\n"
        write_events(path, events, (346, 260))
        data = path.read_bytes()
        head, end, records = data.partition(b"#End Of ASCII Header\r\n")
        assert (end, records[:1]) == (b"#End Of ASCII Header\r\n", b"#")
        path.write_bytes(data if ended else head + records)  # jAER wrote no such line before 2016
        np.testing.assert_array_equal(read_events(path).events, events)


def test_aedat2_refuses_other_sizes_and_later_times(tmp_path: Path) -> None:
    events = random_events(10, 128, 128)
    for size in ((34, 34), (127, 128), (260, 346)):
        small = random_events(10, 34, 34)
        with pytest.raises(InputError, match=r"holds cameras of 128 x 128, 240 x 180, .* pixels, not \d+ x \d+: write"):
            write_events(tmp_path / "a.aedat2", small, size)
    events["t"][-1] = 2**31
    with pytest.raises(InputError, match=r"must lie within 0\.\.2147483647 for aedat2: .*--from-zero"):
        write_events(tmp_path / "a.aedat2", events, (128, 128))
    assert not list(tmp_path.iterdir())


def test_ecf_by_hand() -> None:
    """Two events: 2 << 2 | rows packed; time 5; runs `step 0, 1 event`, `step 3, 1 event`; three words of 24 bits."""
    events = np.array([(5, 1, 2, 1), (8, 3, 4, 0)], [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    first, second = 2 << 12 | 1 << 1 | 1, 4 << 12 | 3 << 1
    words = [first << 8 | second & 0xFF, second >> 8 << 16, 0]
    wanted = bytes([2 << 2 | 2, 0, 0, 0]) + bytes([5]) + bytes(7) + bytes([0x01, 0x31])
    assert encode(events) == wanted + b"".join(word.to_bytes(4, "little") for word in words)


@pytest.mark.parametrize("seed", range(12))
def test_ecf_against_its_description(seed: int) -> None:
    events = drawn(seed, (1280, 720))
    assert encode(events) == ecf(events, 2)


@pytest.mark.parametrize("seed", range(4))
def test_ecf_against_the_plugin_of_metavision(seed: int, tmp_path: Path) -> None:
    """Needs hdf5_ecf, built from its sources, on HDF5_PLUGIN_PATH."""
    import h5py

    if not h5py.h5z.filter_avail(FILTER):
        pytest.skip("no plugin for ECF on HDF5_PLUGIN_PATH")
    events = drawn(seed, (1280, 720), 5 * CHUNK)
    write_events(tmp_path / "ours.hdf5", events, (1280, 720), format="metavision")
    with h5py.File(tmp_path / "ours.hdf5") as file:
        theirs = file["CD/events"][:]
    np.testing.assert_array_equal(theirs, metavision(events))
    with h5py.File(tmp_path / "theirs.hdf5", "w") as file:
        file.attrs["geometry"] = "1280x720"
        file.create_dataset("CD/events", data=metavision(events), chunks=(CHUNK,), compression=FILTER)
    np.testing.assert_array_equal(read_events(tmp_path / "theirs.hdf5").events, events)


@pytest.mark.parametrize("seed", range(6))
def test_the_index_of_metavision(seed: int, tmp_path: Path) -> None:
    """Entry k is the first event of the last 2 ms before 2k ms that hold events; of none before: 0 and -1."""
    import h5py

    events = drawn(seed, (1280, 720), 2000 if seed % 4 == 3 else 3 * CHUNK)
    events["t"] //= 1 + 50 * (seed % 4 == 3)
    write_events(tmp_path / "a.hdf5", np.array_split(events, 1 + seed), (1280, 720), format="metavision")
    with h5py.File(tmp_path / "a.hdf5") as file:
        index, kept = file["CD/indexes"][:], file["CD/events"]
        assert (kept.dtype, kept.chunks, kept.shape) == (METAVISION, (CHUNK,), (len(events),))
        assert file["CD/indexes"].attrs["offset"] == str(-int(events["t"][0]))
        assert (file.attrs["version"], file.attrs["geometry"]) == ("1.0", "1280x720")
        assert len(file["EXT_TRIGGER/events"]) == len(file["EXT_TRIGGER/indexes"]) == 0
    after = events["t"] - events["t"][0]
    assert len(index) == int(after[-1]) // 2000 + 2
    for k in {0, len(index) - 1, *np.random.default_rng(seed).integers(0, len(index), 100).tolist()}:
        before = after[after // 2000 < k] // 2000
        first = int(np.searchsorted(after // 2000, before[-1])) if len(before) else 0
        assert index[k].tolist() == ((first, int(after[first])) if len(before) else (0, -1))


def test_metavision_refuses_what_it_cannot_hold(tmp_path: Path) -> None:
    events = random_events(10, 1280, 720)
    with pytest.raises(InputError, match="limit is 2048 x 2048 for metavision"):
        write_events(tmp_path / "a.hdf5", events, (2049, 720), format="metavision")
    events["t"][-1] = 2**40
    with pytest.raises(InputError, match=r"a\.hdf5: spans \d+ us: at most 34359738368 are written"):
        write_events(tmp_path / "a.hdf5", events, (1280, 720), format="metavision")
    assert not list(tmp_path.iterdir())


def columns(messages: list[Any]) -> Any:
    """Events of rosbags' messages."""
    rows = [
        (e.ts.sec * 10**6 + e.ts.nanosec // 1000, e.x, e.y, e.polarity) for message in messages for e in message.events
    ]
    return np.array(rows, random_events(0, 1, 1).dtype)


@pytest.mark.parametrize("seed", range(4))
def test_a_bag_as_rosbags_reads_it(seed: int, tmp_path: Path) -> None:
    """The types are those that the bag itself defines; their checksum is made of that definition."""
    rosbag1, typesys = pytest.importorskip("rosbags.rosbag1"), pytest.importorskip("rosbags.typesys")
    events = drawn(seed, (346, 260), 20_000)
    write_events(tmp_path / "a.bag", np.array_split(events, 1 + seed), (346, 260))
    with rosbag1.Reader(tmp_path / "a.bag") as reader:
        (connection,) = reader.connections
        store = typesys.get_typestore(typesys.Stores.EMPTY)
        store.register(typesys.get_types_from_msg(connection.msgdef.data, connection.msgtype))
        assert store.generate_msgdef(connection.msgtype)[1] == connection.digest
        found = [(time, store.deserialize_ros1(data, connection.msgtype)) for _, time, data in reader.messages()]
    assert connection.topic == "/dvs/events"
    checked(found, events)


@pytest.mark.parametrize("seed", range(4))
def test_an_mcap_as_its_library_and_rosbags_read_it(seed: int, tmp_path: Path) -> None:
    reader_, typesys = pytest.importorskip("mcap.reader"), pytest.importorskip("rosbags.typesys")
    events = drawn(seed, (346, 260), 20_000)
    write_events(tmp_path / "a.mcap", np.array_split(events, 1 + seed), (346, 260))
    found: list[tuple[int, Any]] = []
    store = typesys.get_typestore(typesys.Stores.EMPTY)
    with (tmp_path / "a.mcap").open("rb") as file:
        for schema, channel, message in reader_.make_reader(file).iter_messages():
            if not found:
                store.register(typesys.get_types_from_msg(schema.data.decode(), schema.name))
            assert (schema.encoding, channel.message_encoding, channel.topic) == ("ros2msg", "cdr", "/dvs/events")
            found.append((message.log_time, store.deserialize_cdr(message.data, schema.name)))
    checked(found, events)


def checked(found: list[tuple[int, Any]], events: Any) -> None:
    np.testing.assert_array_equal(columns([message for _, message in found]), events)
    for time, message in found:
        last, stamp = message.events[-1].ts, message.header.stamp
        assert (stamp.sec, stamp.nanosec) == (last.sec, last.nanosec)
        assert time == last.sec * 10**9 + last.nanosec
        assert (message.width, message.height) == (346, 260)


@pytest.mark.parametrize(("suffix", "bits"), [(".bag", 32), (".mcap", 31)])
def test_ros_refuses_later_times(suffix: str, bits: int, tmp_path: Path) -> None:
    pytest.importorskip("rosbags")
    events = random_events(10, 346, 260)
    events["t"][-1] = 2**bits * 10**6 - 1
    write_events(tmp_path / f"a{suffix}", events, (346, 260))
    np.testing.assert_array_equal(read_events(tmp_path / f"a{suffix}").events, events)
    events["t"][-1] += 1
    with pytest.raises(InputError, match=r"must lie within 0\.\.\d+ for"):
        write_events(tmp_path / f"b{suffix}", events, (346, 260))
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


@pytest.mark.parametrize("name", ["aedat2", "metavision", "rosbag", "mcap"])
def test_a_recording_without_events(name: str, tmp_path: Path) -> None:
    write_events(tmp_path / "a", random_events(0, 346, 260), (346, 260), format=name)
    got = read_events(tmp_path / "a")
    assert (len(got.events), got.sensor_size, got.damage) == (0, (346, 260), None)


@pytest.mark.parametrize(("suffix", "module"), [(".bag", "rosbags.rosbag1"), (".mcap", "mcap.writer")])
def test_the_libraries_are_asked_for(suffix: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    package = module.partition(".")[0]
    with pytest.raises(MissingDependency, match=rf"package '{package}': install it with `pip install .*{package}"):
        write_events(tmp_path / f"a{suffix}", random_events(3, 34, 34), (34, 34))
    assert not list(tmp_path.iterdir())
