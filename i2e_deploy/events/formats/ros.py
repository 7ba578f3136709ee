"""ROS 1 bags (over rosbags) and MCAP (over mcap), read and written: the libraries give and take messages as bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.in_child import in_child, streams_in_child
from i2e_deploy.events.formats.ros_message import (
    CHECKSUM,
    ROS1_DEFINITION,
    ROS2_DEFINITION,
    TYPE,
    Topic,
    cdr_message,
    read_message,
    ros1_message,
)
from i2e_deploy.events.options import ReadOptions, SensorSize
from i2e_deploy.requirements import install_command

#: Types of messages that are read, and those that hold events in another way.
_TYPES = ("dvs_msgs/EventArray", "prophesee_event_msgs/EventArray")
_PACKED = ("event_camera_msgs/EventPacket", "event_array_msgs/EventArray")
#: First bytes.
_BAG, _MCAP = b"#ROSBAG V2.0", b"\x89MCAP0\r\n"
#: What is written: the topic of the usual drivers, and events of a message.
_TOPIC, _MESSAGE_EVENTS = "/dvs/events", 2**14
#: Longest record of an MCAP file.
_MAX_RECORD = 2**28
#: A file to its topics, and a topic to its messages.
Bag = tuple[list[Topic], Callable[[Topic], Iterator[bytes]], Callable[[], Any]]


def _bag(path: Path) -> Bag:
    try:
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise _missing("rosbags", "a ROS bag") from error
    reader = Reader(path)
    reader.open()
    topics = [Topic(c.topic, _plain(c.msgtype), False) for c in reader.connections]

    def messages(topic: Topic) -> Iterator[bytes]:
        wanted = [c for c in reader.connections if c.topic == topic.name]
        for _, _, data in reader.messages(wanted):
            yield bytes(data)

    return topics, messages, lambda: reader.bio and reader.close()


def _mcap(path: Path) -> Bag:
    try:
        from mcap.reader import SeekingReader
    except ImportError as error:
        raise _missing("mcap", "an MCAP file") from error
    file = path.open("rb")
    try:
        reader = SeekingReader(file, record_size_limit=_MAX_RECORD)
        summary = reader.get_summary()
        if summary is None:
            raise Damaged("it has no summary: it was not closed; `mcap recover` makes one", None)
        topics = []
        for channel in summary.channels.values():
            schema = summary.schemas.get(channel.schema_id)
            if schema is not None:
                topics.append(Topic(channel.topic, _plain(schema.name), channel.message_encoding == "cdr"))
    except BaseException:
        file.close()
        raise

    def messages(topic: Topic) -> Iterator[bytes]:
        for _, _, message in reader.iter_messages([topic.name]):
            yield message.data

    return topics, messages, file.close


def _plain(name: str) -> str:
    """`dvs_msgs/msg/EventArray` and `dvs_msgs/EventArray` are one type."""
    return name.replace("/msg/", "/")


def _guarded(path: Path) -> Bag:
    with path.open("rb") as file:
        head = file.read(16)
    if not head.startswith((_BAG, _MCAP)):
        raise Damaged("it starts neither as a ROS 1 bag (version 2.0) nor as an MCAP file", 0)
    try:
        return _bag(path) if head.startswith(_BAG) else _mcap(path)
    except (Damaged, MissingDependency):
        raise
    except Exception as error:  # the libraries raise many kinds on damaged files
        raise Damaged(f"it cannot be read ({_clause(error)})", 0) from error


def _clause(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def open_here(path: Path, options: ReadOptions) -> Opened:
    """In the child: see `in_child`."""
    topics, messages, close = _guarded(path)
    try:
        topic = _choose(topics, options)
        notes, left_out = list[str](), LeftOut(options.salvage)
        size = next((_size(data, topic) for data in messages(topic)), None)
    except Damaged:
        close()
        raise
    except Exception as error:
        close()
        raise Damaged(f"it cannot be read ({_clause(error)})", None) from error
    return Opened(size, _packets(messages(topic), topic, left_out), close, notes, left_out=left_out)


def streams_here(path: Path) -> tuple[str, ...]:
    """In the child: topics with events."""
    topics, _, close = _guarded(path)
    close()
    return tuple(sorted({topic.name for topic in topics if topic.type in _TYPES}))


def _choose(topics: list[Topic], options: ReadOptions) -> Topic:
    fitting = {topic.name: topic for topic in topics if topic.type in _TYPES}
    said = ", ".join(sorted(fitting))
    if not fitting:
        packed = [topic for topic in topics if topic.type in _PACKED]
        hint = "; convert it with event_camera_tools first" if packed else ""
        types = ", ".join(sorted({topic.type for topic in topics}))[:160]
        raise Damaged(f"it holds no messages of {' or '.join(_TYPES)}, but {types or 'none'}{hint}", None)
    if options.stream is not None:
        if options.stream not in fitting:
            raise Damaged(f"stream {options.stream!r} is none of its topics with events: {said}", None)
        return fitting[options.stream]
    if len(fitting) > 1:
        word = options.word("stream", sorted(fitting)[0])
        raise Damaged(f"it holds events in {len(fitting)} topics: {said}; choose one, e.g. {word}", None)
    return next(iter(fitting.values()))


def _packets(messages: Iterator[bytes], topic: Topic, left_out: LeftOut) -> Iterator[Events]:
    before, number = 0, 0
    while True:
        try:
            data = next(messages, None)
        except Exception as error:
            raise Damaged(f"message {number}: {_clause(error)}", None) from error
        if data is None:
            return
        try:
            _, records = read_message(data, topic)
        except (struct.error, ValueError, IndexError) as error:
            left_out.met(f"message {number} of {topic.name} is no {topic.type} ({error})", None, before, 0)
            records = []
        number += 1
        for part in records:
            for start in range(0, len(part), PACKET_EVENTS):
                events = part[start : start + PACKET_EVENTS]
                before += len(events)
                yield events


def _size(data: bytes, topic: Topic) -> SensorSize | None:
    try:
        (width, height), _ = read_message(data, topic)
    except (struct.error, ValueError, IndexError):
        return None
    return (width, height) if width and height else None


def _messages(packets: Iterable[Events]) -> Iterator[tuple[int, Events]]:
    """Parts of packets, each with its last time, ns; an empty one where there is nothing, which says the size."""
    empty = True
    for packet in packets:
        for start in range(0, len(packet), _MESSAGE_EVENTS):
            part, empty = packet[start : start + _MESSAGE_EVENTS], False
            yield 1000 * int(part["t"][-1]), part
    if empty:
        yield 0, np.empty(0, EVENT_DTYPE)


def _write_bag(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    try:
        from rosbags.rosbag1 import Writer
    except ImportError as error:
        raise _missing("rosbags", "a ROS bag") from error
    writer = Writer(path)
    writer.open()
    try:
        connection = writer.add_connection(_TOPIC, TYPE, msgdef=ROS1_DEFINITION, md5sum=CHECKSUM)
        for number, (time, events) in enumerate(_messages(packets)):
            writer.write(connection, time, ros1_message(events, size, number))
        writer.close()
    finally:
        if writer.bio is not None and not writer.bio.closed:  # the first error counts
            with suppress(OSError):
                writer.bio.close()


def _write_mcap(path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    try:
        import zstandard  # noqa: F401  # what mcap compresses with
        from mcap.writer import Writer
    except ImportError as error:
        raise _missing("mcap", "an MCAP file") from error
    with path.open("wb") as file:
        writer = Writer(file)
        writer.start(profile="ros2")
        schema = writer.register_schema(TYPE, "ros2msg", ROS2_DEFINITION.encode())
        channel = writer.register_channel(_TOPIC, "cdr", schema)
        for number, (time, events) in enumerate(_messages(packets)):
            writer.add_message(channel, time, cdr_message(events, size), time, number)
        writer.finish()


def _missing(package: str, need: str) -> MissingDependency:
    return MissingDependency(package, need, install_command(package, "lz4", "zstandard"))


_streams = partial(streams_in_child, __name__)
#: Seconds are uint32 in ROS 1, int32 in ROS 2.
_ROS1_LIMITS, _ROS2_LIMITS = ((2**bits * 10**6 - 1, 2**16 - 1, 2**16 - 1) for bits in (32, 31))
_REMARKS = "messages EventArray of dvs_msgs and prophesee_event_msgs; each topic is a stream; extra `ros`; written as "
BAG = Format(
    "rosbag", (".bag",), in_child(__name__), _write_bag, _ROS1_LIMITS, streams=_streams,
    decoder="rosbags, ours, in a child", encoder="rosbags, ours", remarks=f"ROS 1: {_REMARKS}dvs_msgs in `{_TOPIC}`",
)  # fmt: skip
MCAP = Format(
    "mcap", (".mcap",), in_child(__name__), _write_mcap, _ROS2_LIMITS, streams=_streams,
    decoder="mcap, ours, in a child", encoder="mcap, ours",
    remarks=f"ROS 1 and ROS 2 encoding: {_REMARKS}dvs_msgs of ROS 2 in `{_TOPIC}`",
)  # fmt: skip
