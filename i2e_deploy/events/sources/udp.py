"""`udp://127.0.0.1:port`: listen for datagrams of our protocol. Fast and lossy: what is lost is counted."""

from __future__ import annotations

import ipaddress
import select
import socket
import time

import numpy as np

from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.sources import wire
from i2e_deploy.events.sources.base import SourceUri
from i2e_deploy.events.sources.datagrams import Numbers

_RECEIVE_BUFFER = 2**23


class UdpSource:
    """Receives datagrams.

    Options: `wait` = seconds to wait for the first datagram (10), which says the sensor's size; `remote` 1 = listen on
    an address other than this machine's own. Datagrams that are not of this protocol, or late, are dropped. A sender
    that starts again is followed (`Numbers`); one with another sensor is a source that was lost.

    Attributes:
        foreign: datagrams that are not of this protocol, or of another sensor.
    """

    def __init__(self, uri: SourceUri) -> None:
        uri.only("wait", "remote")
        host, port = uri.host or "127.0.0.1", uri.need_port()
        if not is_loopback(host) and not uri.flag("remote"):
            raise InputError(f"source {uri.text!r} would listen to the network: add remote=1 if that is meant")
        self._name = f"udp://{host}:{port}"
        self.foreign, self._numbers, self._strange = 0, Numbers(), (0, 0)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise SourceLost(f"{self._name}: cannot listen: {error.strerror or error}") from error
        self.sensor_size, self._size = (1, 1), (0, 0)
        self._first = self._wait_first(uri.number("wait", 10, 0, 1e6))

    def _wait_first(self, wait: float) -> Events | None:
        """The first events; `sensor_size` is known from them."""
        deadline = time.monotonic() + wait
        events: Events | None = empty_events()
        while events is not None and not len(events):
            left = deadline - time.monotonic()
            if left <= 0:
                self.close()
                raise SourceLost(f"{self._name}: no datagram came within {wait:g} s")
            events = self.read(min(left, 0.2))
        return events

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        first, self._first = getattr(self, "_first", empty_events()), empty_events()
        if first is None or len(first):
            return first
        deadline = time.monotonic() + timeout
        while True:
            ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return empty_events()
            data = self._socket.recv(2**16)
            events = self._parse(data)
            if events is None or len(events):
                return events

    def _parse(self, data: bytes) -> Events | None:
        """Events of a datagram: none if it is foreign or late, None at the end."""
        header = wire.DATAGRAM.size
        if len(data) < header or (len(data) - header) % EVENT_DTYPE.itemsize or data[:4] != wire.DATAGRAM_MAGIC:
            self.foreign += 1
            return empty_events()
        _, number, *size = wire.DATAGRAM.unpack_from(data)
        if self._size == (0, 0):
            self._size = self.sensor_size = (size[0], size[1])
        if (size[0], size[1]) != self._size or not all(size):
            self.foreign += 1
            before, self._strange = self._strange, (size[0], size[1])
            if before == self._strange and all(size):  # one alone may be garbage
                raise SourceLost(f"{self._name}: a sensor of {size[0]} x {size[1]} sends now, it was {self._size}")
            return empty_events()
        self._strange = (0, 0)
        if not self._numbers.take(number):
            return empty_events()
        return wire.parse_events(data[header:]) if len(data) > header else None

    @property
    def lost(self) -> int:
        """Datagrams that never came or came too late."""
        return self._numbers.lost

    @property
    def late(self) -> int:
        """Datagrams that came after a later one; they are among those that are `lost`."""
        return self._numbers.late

    @property
    def restarts(self) -> int:
        """How often the sender began to count anew."""
        return self._numbers.restarts

    def close(self) -> None:
        """See `Source.close`."""
        self._socket.close()


class UdpSender:
    """Sends events as datagrams to one address."""

    def __init__(self, sensor_size: tuple[int, int], host: str, port: int) -> None:
        self._address, self._size, self._number = (host, port), sensor_size, 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, events: Events) -> None:
        """Send `events` in datagrams of at most `wire.DATAGRAM_EVENTS`."""
        for start in range(0, len(events), wire.DATAGRAM_EVENTS):
            self._send(np.ascontiguousarray(events[start : start + wire.DATAGRAM_EVENTS]).tobytes())

    def end(self) -> None:
        """Send the end of the stream, three times as datagrams get lost, and close."""
        for _ in range(3):
            self._send(b"")
        self._socket.close()

    def _send(self, payload: bytes) -> None:
        header = wire.DATAGRAM.pack(wire.DATAGRAM_MAGIC, self._number, *self._size)
        self._socket.sendto(header + payload, self._address)
        self._number = (self._number + 1) % 2**32


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
