"""`tcp://host:port`: our framed protocol, or iniVation's AEDAT4 network stream; the first bytes say which."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable
from typing import Any

from i2e_deploy.errors import MissingDependency, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.sources import wire
from i2e_deploy.events.sources.base import MAX_READ, Source, SourceUri
from i2e_deploy.events.sources.dv import read_dv
from i2e_deploy.requirements import install_command

#: Seconds to wait for a connection and its greeting.
CONNECT_TIMEOUT = 5.0
_BLOCK = 2**20


def open_tcp(uri: SourceUri) -> Source:
    """Connect. Option `timeout`: seconds to wait for the connection."""
    uri.only("timeout")
    host, port = uri.host or "127.0.0.1", uri.need_port()
    timeout = uri.number("timeout", CONNECT_TIMEOUT, 0.01, 3600)
    try:
        connection = socket.create_connection((host, port), timeout)
        connection.settimeout(timeout)
        first = connection.recv(wire.GREETING.size, socket.MSG_PEEK | socket.MSG_WAITALL)
    except OSError as error:
        raise SourceLost(f"tcp://{host}:{port}: {error.strerror or error}: is the sender running?") from error
    if first[:4] == wire.MAGIC:
        return TcpSource(connection, f"tcp://{host}:{port}")
    connection.close()
    if not first:
        raise SourceLost(f"tcp://{host}:{port} closed the connection before it sent anything")
    if first[8:] == b"IOHE":  # the size-prefixed FlatBuffer `IOHeader` of AEDAT4
        return Aedat4Stream(host, port)
    raise SourceLost(f"tcp://{host}:{port} speaks neither this protocol nor AEDAT4: its first bytes are {first!r}")


class TcpSource:
    """The receiving end of our protocol: lossless, the kernel's buffers hold a fast sender back."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection, self._name = connection, name
        connection.setblocking(False)
        # what has come and was not given out yet: [start, end) of the buffer
        self._buffer, self._start, self._end = bytearray(_BLOCK), 0, 0
        try:
            self.sensor_size = self._greet(time.monotonic() + CONNECT_TIMEOUT)
        except SourceLost:
            connection.close()
            raise

    def _greet(self, deadline: float) -> tuple[int, int]:
        while self._end - self._start < wire.GREETING.size:
            if not self._receive(max(0.0, deadline - time.monotonic()), wire.GREETING.size):
                raise SourceLost(f"{self._name} sent no greeting within {CONNECT_TIMEOUT:g} s")
        self._start = wire.GREETING.size
        return wire.read_greeting(bytes(self._buffer[: self._start]), self._name)

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        deadline, wanted = time.monotonic() + timeout, wire.COUNT.size
        while True:
            if self._end - self._start >= wire.COUNT.size:
                count = wire.parse_count(self._buffer, self._name, self._start)
                if count < 0:
                    return None
                wanted = wire.COUNT.size + count * EVENT_DTYPE.itemsize
                if self._end - self._start >= wanted:
                    with memoryview(self._buffer) as view:
                        events = wire.parse_events(view[self._start + wire.COUNT.size : self._start + wanted])
                    self._start += wanted
                    return events
            if not self._receive(max(0.0, deadline - time.monotonic()), wanted):
                return empty_events()

    def close(self) -> None:
        """See `Source.close`."""
        self._connection.close()

    def _receive(self, timeout: float, wanted: int) -> bool:
        """Add what has come to the buffer, which gets room for `wanted` bytes; False if nothing came in time."""
        if self._start == self._end:
            self._start = self._end = 0
        if self._start + wanted > len(self._buffer):
            kept = self._end - self._start
            self._buffer[:kept] = self._buffer[self._start : self._end]
            self._start, self._end = 0, kept
            self._buffer.extend(bytes(max(0, wanted - len(self._buffer))))
        try:
            with memoryview(self._buffer) as view:
                count = self._take(view[self._end :], timeout)
        except OSError as error:
            raise SourceLost(f"{self._name}: {error.strerror or error}") from error
        if count == 0:
            raise SourceLost(f"{self._name} closed the connection in the middle of the stream")
        self._end += max(0, count)
        return count > 0

    def _take(self, room: memoryview, timeout: float) -> int:
        """Bytes received into `room`, 0 at the end, -1: none came in time."""
        ready, _, _ = select.select([self._connection], [], [], timeout)
        try:
            return self._connection.recv_into(room) if ready else -1
        except BlockingIOError:
            return -1


class Aedat4Stream:
    """iniVation's network stream, through dv-processing (2.x)."""

    def __init__(self, host: str, port: int) -> None:
        try:
            import dv_processing as dv
        except ImportError as error:
            name = "dv-processing"
            raise MissingDependency(name, "an AEDAT4 network stream", install_command(name)) from error
        self._name = f"tcp://{host}:{port}"
        try:
            self._reader: Any = dv.io.NetworkReader(host, port)
            size = self._reader.getEventResolution()
        except (RuntimeError, ValueError) as error:
            raise SourceLost(f"{self._name}: dv-processing: {' '.join(str(error).split())[:200]}") from error
        if size is None:
            raise SourceLost(f"{self._name}: an AEDAT4 stream without events")
        self.sensor_size = (int(size[0]), int(size[1]))

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        return read_dv(self._reader, timeout, self._name, "the sender closed the AEDAT4 stream")

    def close(self) -> None:
        """See `Source.close`. The reader must go before the writer: dv-processing 2.0.4's writer hangs otherwise."""
        self._reader = None


class EventServer:
    """The sending end of our protocol: waits for one receiver at a time. A context manager.

    Args:
        sensor_size: (width, height) of the events.
        host, port: where to listen; port 0 = a free one, then in `port`.
    """

    def __init__(self, sensor_size: tuple[int, int], host: str = "127.0.0.1", port: int = 0) -> None:
        self._sensor_size = sensor_size
        self._socket = socket.create_server((host, port))
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> EventServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, packets: Iterable[Events], timeout: float = CONNECT_TIMEOUT) -> int:
        """Wait for a receiver and send it all packets and the end; returns the number of events.

        Raises:
            SourceLost: no receiver came within `timeout` seconds, or it went away.
        """
        self._socket.settimeout(timeout)
        sent = 0
        try:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(timeout)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(wire.greeting(self._sensor_size))
                for packet in packets:
                    for start in range(0, max(len(packet), 1), MAX_READ):
                        part = packet[start : start + MAX_READ]
                        connection.sendall(wire.message(part))
                        sent += len(part)
                connection.sendall(wire.COUNT.pack(wire.END))
        except OSError as error:
            raise SourceLost(f"the receiver on port {self.port} went away or never came: {error}") from error
        return sent
