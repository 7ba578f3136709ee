"""The framed protocol of `tcp://` and `udp://`. All numbers are little-endian.

TCP: a greeting `magic "I2EV", version: uint16 = 1, width: uint16, height: uint16, reserved: uint16`, then messages
`count: uint32` and `count` events of 13 bytes (`EVENT_DTYPE`). Count 0 is a sign of life, count 2^32 - 1 the end.
UDP: one datagram `magic "I2EU", number: uint32, width: uint16, height: uint16` and its events; a datagram without
events is the end.
"""

from __future__ import annotations

import struct

import numpy as np

from i2e_deploy.errors import SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.sources.base import MAX_READ

GREETING = struct.Struct("<4sHHHH")
MAGIC, VERSION = b"I2EV", 1
COUNT = struct.Struct("<I")
END = 2**32 - 1

DATAGRAM = struct.Struct("<4sIHH")
DATAGRAM_MAGIC = b"I2EU"
#: 1,000 events are 13 kB: over loopback and jumbo frames in one piece, elsewhere in nine.
DATAGRAM_EVENTS = 1000


def greeting(sensor_size: tuple[int, int]) -> bytes:
    """The first bytes of a TCP stream."""
    return GREETING.pack(MAGIC, VERSION, *sensor_size, 0)


def message(events: Events) -> bytes:
    """One TCP message; at most `MAX_READ` events."""
    return COUNT.pack(len(events)) + np.ascontiguousarray(events).tobytes()


def read_greeting(data: bytes, who: str) -> tuple[int, int]:
    """Sensor size of a greeting.

    Raises:
        SourceLost: not this protocol, or another version.
    """
    magic, version, width, height, _ = GREETING.unpack(data)
    if magic != MAGIC or version != VERSION or not width or not height:
        raise SourceLost(f"{who} does not speak this protocol (version {VERSION}): it sent {data!r}")
    return width, height


def parse_count(data: bytes | bytearray, who: str, start: int = 0) -> int:
    """Number of events of the message that begins at byte `start`; -1 at the end of the stream.

    Raises:
        SourceLost: more than `MAX_READ`.
    """
    (count,) = COUNT.unpack_from(data, start)
    if count == END:
        return -1
    if count > MAX_READ:
        raise SourceLost(f"{who} announced {count} events at once, the limit is {MAX_READ}: garbage, or out of step")
    return int(count)


def parse_events(data: bytes | bytearray | memoryview) -> Events:
    """Events of a whole number of records, as an own array."""
    return np.frombuffer(data, EVENT_DTYPE).copy()
