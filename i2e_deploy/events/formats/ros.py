"""ROS 1 bags (read over rosbags) and MCAP (over mcap): messages `EventArray` of dvs_msgs and prophesee_event_msgs.

A message is `header, height, width, events`, an event `x: uint16, y: uint16, ts: time, polarity: bool`. ROS 1 packs an
event in 13 bytes. CDR of ROS 2 puts each number on a multiple of its size, so that an event takes 16 bytes, and one in
front of an aligned one 14. The messages are taken apart here; the libraries give their bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.in_child import in_child, streams_in_child
from i2e_deploy.events.options import ReadOptions, SensorSize
from i2e_deploy.requirements import install_command

#: Types of messages that are read, and those that hold events in another way.
_TYPES = ("dvs_msgs/EventArray", "prophesee_event_msgs/EventArray")
_PACKED = ("event_camera_msgs/EventPacket", "event_array_msgs/EventArray")
#: First bytes.
_BAG, _MCAP = b"#ROSBAG V2.0", b"\x89MCAP0\r\n"
#: Longest record of an MCAP file.
_MAX_RECORD = 2**28
_ROS1 = np.dtype({"names": ["x", "y", "s", "ns", "p"], "formats": ["<u2", "<u2", "<u4", "<u4", "u1"],
                  "offsets": [0, 2, 4, 8, 12], "itemsize": 13})  # fmt: skip
#: An event of CDR that starts on a multiple of 4, and one that does not.
_ALIGNED = np.dtype({"names": ["x", "y", "s", "ns", "p"], "formats": ["<u2", "<u2", "<i4", "<u4", "u1"],
                     "offsets": [0, 2, 4, 8, 12], "itemsize": 13})  # fmt: skip
_SHIFTED = np.dtype({"names": ["x", "y", "s", "ns", "p"], "formats": ["<u2", "<u2", "<i4", "<u4", "u1"],
                     "offsets": [0, 2, 6, 10, 14], "itemsize": 16})  # fmt: skip


@dataclass(frozen=True)
class Topic:
    """A stream of messages.

    Args:
        name: of the topic.
        type: of its messages, as `package/Message`.
        cdr: whether they are in ROS 2's encoding, else in ROS 1's.
    """

    name: str
    type: str
    cdr: bool


#: A file to its topics, and a topic to its messages.
Bag = tuple[list[Topic], Callable[[Topic], Iterator[bytes]], Callable[[], Any]]


def _bag(path: Path) -> Bag:
    try:
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise MissingDependency("rosbags", "a ROS bag", install_command("rosbags", "lz4", "zstandard")) from error
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
        raise MissingDependency("mcap", "an MCAP file", install_command("mcap", "lz4", "zstandard")) from error
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
            _, records = _message(data, topic)
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
        (width, height), _ = _message(data, topic)
    except (struct.error, ValueError, IndexError):
        return None
    return (width, height) if width and height else None


def _message(data: bytes, topic: Topic) -> tuple[SensorSize, list[Events]]:
    """Width and height, and the events, of a message."""
    if topic.cdr:
        if data[:2] != b"\0\1":
            raise ValueError(f"encoding {data[:2].hex()}, little-endian CDR is read")
        body = data[4:]
        (length,) = struct.unpack_from("<I", body, 8)
        at = -(-(12 + length) // 4) * 4
    else:
        body = data
        (length,) = struct.unpack_from("<I", body, 12)
        at = 16 + length
    height, width, count = struct.unpack_from("<III", body, at)
    at += 12
    return (width, height), [_events(body, at, count)] if not topic.cdr else _cdr_events(body, at, count)


def _events(body: bytes, at: int, count: int) -> Events:
    return _ours(np.frombuffer(body, _ROS1, count, at))


def _cdr_events(body: bytes, at: int, count: int) -> list[Events]:
    if count == 0:
        return []
    if at % 4 == 2:
        raise ValueError("its events start between words")
    first = np.frombuffer(body, _ALIGNED, 1, at)
    rest = body[at + 14 :].ljust(16 * (count - 1), b"\0") if count > 1 else b""
    if len(body) < at + 14 + 16 * (count - 1) - 1 or count > len(body):
        raise ValueError(f"{count} events in {len(body)} bytes")
    return [_ours(np.concatenate([_plain_rows(first), _plain_rows(np.frombuffer(rest, _SHIFTED, count - 1))]))]


def _plain_rows(rows: NDArray[Any]) -> NDArray[Any]:
    out = np.empty(len(rows), [(name, rows.dtype[name]) for name in ("x", "y", "s", "ns", "p")])
    for name in ("x", "y", "s", "ns", "p"):
        out[name] = rows[name]
    return out


def _ours(rows: NDArray[Any]) -> Events:
    events = np.empty(len(rows), EVENT_DTYPE)
    events["x"], events["y"], events["p"] = rows["x"], rows["y"], rows["p"]
    events["t"] = rows["s"].astype(np.int64) * 1_000_000 + (rows["ns"].astype(np.int64) + 500) // 1000
    return events


_LIMITS = (2**62, 2**16 - 1, 2**16 - 1)
_streams = partial(streams_in_child, __name__)
_REMARKS = "messages EventArray of dvs_msgs and prophesee_event_msgs; each topic is a stream; extra `ros`"
BAG = Format(
    "rosbag", (".bag",), in_child(__name__), None, _LIMITS, streams=_streams, decoder="rosbags, ours, in a child",
    encoder="", remarks=f"ROS 1: {_REMARKS}",
)  # fmt: skip
MCAP = Format(
    "mcap", (".mcap",), in_child(__name__), None, _LIMITS, streams=_streams, decoder="mcap, ours, in a child",
    encoder="", remarks=f"ROS 1 and ROS 2 encoding: {_REMARKS}",
)  # fmt: skip
