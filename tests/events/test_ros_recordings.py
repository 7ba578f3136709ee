"""ROS 1 bags and MCAP, written by rosbags and mcap; without them one line says how to install them."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import FileFormatError, MissingDependency
from i2e_deploy.events.files import read_events, stream_names
from i2e_deploy.events.formats import ros
from i2e_deploy.events.options import ReadOptions

EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
START = 1_600_000_000_000_000


def types(rosbags_typesys: Any, ros1: bool) -> Any:
    store = rosbags_typesys.get_typestore(
        rosbags_typesys.Stores.ROS1_NOETIC if ros1 else rosbags_typesys.Stores.ROS2_HUMBLE
    )
    event = EVENT if ros1 else EVENT.replace("time", "builtin_interfaces/Time")
    store.register(
        {
            **rosbags_typesys.get_types_from_msg(event, "dvs_msgs/msg/Event"),
            **rosbags_typesys.get_types_from_msg(ARRAY, "dvs_msgs/msg/EventArray"),
        }
    )
    return store


def message(store: Any, events: Any, size: tuple[int, int], frame: str, ros1: bool) -> Any:
    time = store.types["builtin_interfaces/msg/Time"]
    header = {"stamp": time(1, 2), "frame_id": frame, **({"seq": 3} if ros1 else {})}
    made = [
        store.types["dvs_msgs/msg/Event"](x=x, y=y, ts=time((START + t) // 10**6, (START + t) % 10**6 * 1000),
                                          polarity=bool(p))
        for t, x, y, p in events.tolist()
    ]  # fmt: skip
    return store.types["dvs_msgs/msg/EventArray"](
        header=store.types["std_msgs/msg/Header"](**header), height=size[1], width=size[0], events=made
    )


def bag(path: Path, given: dict[str, Any], size: tuple[int, int]) -> None:
    rosbag1, typesys = pytest.importorskip("rosbags.rosbag1"), pytest.importorskip("rosbags.typesys")
    store, kind = types(typesys, True), "dvs_msgs/msg/EventArray"
    writer = rosbag1.Writer(path)
    writer.set_compression(rosbag1.Writer.CompressionFormat.BZ2)
    with writer:
        for topic, events in given.items():
            connection = writer.add_connection(topic, kind, typestore=store)
            for number, part in enumerate(np.array_split(events, 5)):
                data = store.serialize_ros1(message(store, part, size, "x" * number, True), kind)
                writer.write(connection, number, data)


def mcap(path: Path, given: dict[str, Any], size: tuple[int, int]) -> None:
    writer_, typesys = pytest.importorskip("mcap.writer"), pytest.importorskip("rosbags.typesys")
    store, kind = types(typesys, False), "dvs_msgs/msg/EventArray"
    with path.open("wb") as file:
        writer = writer_.Writer(file)
        writer.start()
        schema = writer.register_schema(kind, "ros2msg", ARRAY.encode())
        for topic, events in given.items():
            channel = writer.register_channel(topic, "cdr", schema)
            for number, part in enumerate(np.array_split(events, 5)):
                data = bytes(store.serialize_cdr(message(store, part, size, "x" * number, False), kind))
                writer.add_message(channel, number, data, number)
        writer.finish()


WRITERS = {".bag": bag, ".mcap": mcap}


@pytest.mark.parametrize("suffix", WRITERS)
def test_drawn_recordings(suffix: str, tmp_path: Path) -> None:
    for seed in range(6):
        random = np.random.default_rng(seed)
        events = random_events(int(random.integers(1, 200)), 346, 260, seed)
        path = tmp_path / f"{seed}{suffix}"
        WRITERS[suffix](path, {"/dvs/events": events}, (346, 260))
        got = read_events(path)
        assert got.events["t"].tolist() == (START + events["t"]).tolist()
        for name in "xyp":
            assert got.events[name].tolist() == events[name].tolist()
        assert got.sensor_size == (346, 260)


@pytest.mark.parametrize("suffix", WRITERS)
def test_topics_are_streams(suffix: str, tmp_path: Path) -> None:
    given = {f"/{side}/events": random_events(50, 346, 260, seed) for seed, side in enumerate(("left", "right"))}
    path = tmp_path / f"a{suffix}"
    WRITERS[suffix](path, given, (346, 260))
    assert stream_names(path) == ("/left/events", "/right/events")
    with pytest.raises(FileFormatError, match=r'2 topics: /left/events, /right/events; choose one, e.g. stream="/left'):
        read_events(path)
    for topic, events in given.items():
        assert read_events(path, stream=topic).events["x"].tolist() == events["x"].tolist()
    with pytest.raises(FileFormatError, match="'/up' is none of its topics"):
        read_events(path, stream="/up")


@pytest.mark.parametrize("suffix", WRITERS)
def test_damaged_recordings_are_refused_in_one_line(suffix: str, tmp_path: Path) -> None:
    events = random_events(100, 346, 260, 1)
    path = tmp_path / f"a{suffix}"
    WRITERS[suffix](path, {"/dvs/events": events}, (346, 260))
    data = path.read_bytes()
    random = np.random.default_rng(1)
    for _ in range(60):
        spoiled = bytearray(data)
        for at in random.integers(0, len(data), int(random.integers(1, 5))):
            spoiled[at] = int(random.integers(0, 256))
        path.write_bytes(spoiled[: int(random.integers(len(data) // 2, len(data) + 1))])
        try:
            got = read_events(path, damaged="salvage", unsorted="sort")
        except FileFormatError as error:
            said = str(error)
            assert "\n" not in said
            continue
        assert len(got.events) <= 100


@pytest.mark.slow
def test_a_chunk_that_unpacks_to_any_size_takes_no_memory_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 GiB of zeros in 50 KB, bz2: the child that unpacks it has limits."""
    import bz2
    import resource

    monkeypatch.setattr("i2e_deploy.events.formats.in_child._SECONDS", 2)
    path = tmp_path / "a.bag"
    bag(path, {"/dvs/events": random_events(100, 346, 260, 1)}, (346, 260))
    data, bomb = bytearray(path.read_bytes()), bz2.compress(bytes(2**26)) * 2**10
    assert len(bomb) < 10**5
    at = data.index(b"BZh")  # after the length of the chunk's data
    (length,) = struct.unpack_from("<I", data, at - 4)
    spoiled = data[: at - 4] + struct.pack("<I", len(bomb)) + bomb + data[at + length :]
    place = spoiled.index(b"index_pos=") + len(b"index_pos=")
    struct.pack_into("<Q", spoiled, place, struct.unpack_from("<Q", spoiled, place)[0] + len(bomb) - length)
    path.write_bytes(spoiled)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FileFormatError, match=r"cannot be read \(MemoryError\)|made to do harm"):
        read_events(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19  # KiB


def test_the_libraries_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, head in (("rosbags", b"#ROSBAG V2.0\n"), ("mcap", b"\x89MCAP0\r\n")):
        monkeypatch.setitem(sys.modules, f"{name}.rosbag1" if name == "rosbags" else "mcap.reader", None)
        (tmp_path / "a").write_bytes(head + bytes(100))
        with pytest.raises(MissingDependency, match=rf"package '{name}': install it with `pip install '{name}>="):
            ros.open_here(tmp_path / "a", ReadOptions())


def test_messages_taken_apart_here_need_no_library() -> None:
    """Against `struct`: one message of ROS 1 with a text of any length."""
    from i2e_deploy.events.formats.ros import Topic, _message

    for seed in range(20):
        random = np.random.default_rng(seed)
        events = random_events(int(random.integers(0, 40)), 346, 260, seed)
        name = b"n" * int(random.integers(0, 9))
        data = struct.pack("<III", 7, 1, 2) + struct.pack("<I", len(name)) + name
        data += struct.pack("<III", 260, 346, len(events))
        for t, x, y, p in events.tolist():
            data += struct.pack("<HHIIB", x, y, t // 10**6, t % 10**6 * 1000, p)
        (width, height), parts = _message(data, Topic("/e", "dvs_msgs/EventArray", False))
        assert (width, height) == (346, 260)
        np.testing.assert_array_equal(np.concatenate(parts), events)
