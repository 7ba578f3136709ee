"""Messages of ROS with events, `EventArray` of dvs_msgs and prophesee_event_msgs: from their bytes, and to them.

A message is `header, height, width, events`, an event `x: uint16, y: uint16, ts: time, polarity: bool`. ROS 1 packs an
event in 13 bytes. CDR of ROS 2 puts each number on a multiple of its size, so that an event takes 16 bytes, and one in
front of an aligned one 14.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.options import SensorSize

#: The type that is written: its definition in ROS 1 and ROS 2, and the checksum that ROS 1 knows it by.
TYPE, CHECKSUM = "dvs_msgs/msg/EventArray", "5e8beee5a6c107e504c2e78903c224b8"
_RULE = "=" * 80
_ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events\n"
_EVENT = f"{_RULE}\nMSG: dvs_msgs/Event\nuint16 x\nuint16 y\n%s ts\nbool polarity\n"
ROS1_DEFINITION = f"{_ARRAY}{_RULE}\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n{_EVENT % 'time'}"
ROS2_DEFINITION = (
    f"{_ARRAY}{_RULE}\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
    f"{_RULE}\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n{_EVENT % 'builtin_interfaces/Time'}"
)
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


def read_message(data: bytes, topic: Topic) -> tuple[SensorSize, list[Events]]:
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


def ros1_message(events: Events, size: SensorSize, number: int) -> bytes:
    """A message of ROS 1, its stamp that of the last event."""
    head = struct.pack("<III", number, *_stamp(events)) + struct.pack("<IIII", 0, size[1], size[0], len(events))
    return head + _theirs(events, _ROS1).tobytes()


def cdr_message(events: Events, size: SensorSize) -> bytes:
    """A message of ROS 2 in little-endian CDR, its stamp that of the last event."""
    head = struct.pack("<4siI", b"\0\1\0\0", *_stamp(events))
    head += struct.pack("<IB3xIII", 1, 0, size[1], size[0], len(events))  # an empty text has its closing 0
    first = _theirs(events[:1], _ALIGNED).tobytes()
    rest = _theirs(events[1:], _SHIFTED).tobytes()
    return head + first + (b"\0" + rest[:-1] if rest else b"")


def _stamp(events: Events) -> tuple[int, int]:
    """Seconds and ns of the last event; 0 where there is none."""
    last = int(events["t"][-1]) if len(events) else 0
    return last // 1_000_000, last % 1_000_000 * 1000


def _theirs(events: Events, dtype: np.dtype[Any]) -> NDArray[Any]:
    rows = np.zeros(len(events), dtype)
    rows["x"], rows["y"], rows["p"] = events["x"], events["y"], events["p"]
    rows["s"], rows["ns"] = events["t"] // 1_000_000, events["t"] % 1_000_000 * 1000
    return rows
