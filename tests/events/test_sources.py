"""Sources by URI: files at their own pace, our protocol, iniVation's, datagrams, cameras that are not there."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dv_sender import dv_sender
from event_strategies import random_events

from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events import Events, empty_events
from i2e_deploy.events.files import write_events
from i2e_deploy.events.sources import Source, open_source, source_schemes
from i2e_deploy.events.sources.tcp import EventServer
from i2e_deploy.events.sources.udp import UdpSender

EVENTS = random_events(5000, 34, 34, seed=3)


def drain(source: Source, seconds: float = 20) -> Events:
    """Everything up to the end of the stream."""
    parts, deadline = [empty_events()], time.monotonic() + seconds
    with closing(source):
        while time.monotonic() < deadline:
            packet = source.read(0.05)
            if packet is None:
                return np.concatenate(parts)
            parts.append(packet)
    raise AssertionError(f"no end after {seconds} s")


def test_schemes_and_wrong_uris() -> None:
    assert set(source_schemes()) >= {"camera", "fake", "file", "i2e", "speck", "tcp", "udp"}
    for uri, message in (
        ("x.aedat4", "no such file"),
        ("ftp://host/x", "choose one of camera, fake"),
        ("file:///x.npz?sped=2", "no option 'sped'"),
        ("fake://320x240?rate=fast", "rate=fast is not a number from 0 to 1e"),
        ("fake://wide", "fake://320x240"),
        ("fake://8x8?faults=fire@1", "kind one of"),
        ("tcp://127.0.0.1", "has no port"),
        ("udp://192.0.2.1:5000", "remote=1"),
        ("tcp://127.0.0.1:99999", "Port out of range"),
        ("camera://nikon", "choose camera:// alone"),
        ("file:///nowhere/x.npz", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            open_source(uri)


def test_file_fast_looped_and_in_real_time(tmp_path: Path) -> None:
    path = tmp_path / "a b.npz"
    write_events(path, EVENTS, (34, 34))
    uri = path.as_uri()
    source = open_source(uri)
    assert source.sensor_size == (34, 34)
    np.testing.assert_array_equal(drain(source), EVENTS)
    duration = (int(EVENTS["t"][-1]) - int(EVENTS["t"][0])) / 1e6
    start = time.monotonic()
    np.testing.assert_array_equal(drain(open_source(f"{uri}?realtime=1&speed=0.1")), EVENTS)
    assert time.monotonic() - start >= 10 * duration - 0.02  # never faster than real time
    looped = open_source(f"{uri}?loop=1")
    first, second = looped.read(0), looped.read(0)
    assert first is not None
    assert second is not None
    assert second["t"][0] > first["t"][-1]
    looped.close()


def test_a_file_that_states_no_size_is_measured(tmp_path: Path) -> None:
    write_events(tmp_path / "a.npy", EVENTS, (300, 300))
    assert open_source((tmp_path / "a.npy").as_uri()).sensor_size == (34, 34)
    assert open_source((tmp_path / "a.npy").as_uri() + "?width=50&height=40").sensor_size == (50, 40)


def test_tcp_is_lossless_and_ends_cleanly() -> None:
    with EventServer((34, 34)) as server:
        thread = threading.Thread(target=server.send, args=(np.array_split(EVENTS, 13), 60))
        thread.start()
        source = open_source(f"tcp://127.0.0.1:{server.port}")
        assert source.sensor_size == (34, 34)
        np.testing.assert_array_equal(drain(source), EVENTS)
        thread.join()


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"I2EV\x01\x00\x22\x00\x22\x00\x00\x00" + b"\x02\x00\x00\x00" + b"\x00" * 20, "in the middle of the stream"),
        (b"I2EV\x01\x00\x22\x00\x22\x00\x00\x00" + b"\x00\x00\x00\x7f", "announced 2130706432 events"),
        (b"I2EV\x09\x00\x22\x00\x22\x00\x00\x00", "does not speak this protocol"),
        (b"HTTP/1.1 400", "speaks neither this protocol nor AEDAT4"),
        (b"", "before it sent anything"),
    ],
)
def test_tcp_senders_that_lie_or_die(sent: bytes, message: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(SourceLost, match=message):
            drain(open_source(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        thread.join()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceLost, match="is the sender running"):
        open_source(f"tcp://127.0.0.1:{port}")
    with pytest.raises(SourceLost, match="no datagram came"):
        open_source(f"udp://127.0.0.1:{port}?wait=0.05")


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_udp_counts_what_is_lost() -> None:
    port = free_udp_port()
    opened: list[Any] = []
    thread = threading.Thread(target=lambda: opened.append(open_source(f"udp://127.0.0.1:{port}?wait=10")))
    thread.start()
    sender = UdpSender((34, 34), "127.0.0.1", port)
    while thread.is_alive():  # until the receiver listens
        sender.send(EVENTS[:10])
        time.sleep(0.01)
    source = opened[0]
    while len(source.read(0.05)):
        pass
    before = source.lost
    sender.send(EVENTS[:1000])
    sender._number += 3  # three datagrams that never come
    sender.send(EVENTS[1000:3000])
    foreign = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    foreign.sendto(b"hello", ("127.0.0.1", port))
    foreign.close()
    sender.end()
    np.testing.assert_array_equal(drain(source), EVENTS[:3000])
    assert source.lost - before == 3
    assert source.foreign == 1


def test_inivation_network_stream(tmp_path: Path) -> None:
    """A child process plays a recording through dv-processing's NetworkWriter; we receive every event."""
    pytest.importorskip("dv_processing")
    pytest.importorskip("faery")
    write_events(tmp_path / "a.aedat4", EVENTS, (34, 34))
    with dv_sender(tmp_path / "a.aedat4") as (uri, play):
        source = open_source(uri)
        assert source.sensor_size == (34, 34)
        play()
        parts: list[Events] = []
        while sum(map(len, parts)) < len(EVENTS):
            packet = source.read(15.0)
            assert packet is not None
            assert len(packet), "silence"
            parts.append(packet)
        np.testing.assert_array_equal(np.concatenate(parts), EVENTS)
        source.close()


def test_fake_camera_is_the_same_for_the_same_seed_and_fails_as_told() -> None:
    uri = "fake://64x48?rate=1e5&seconds=0.4&realtime=0&seed=5"
    one, two = drain(open_source(uri)), drain(open_source(uri))
    np.testing.assert_array_equal(one, two)
    assert len(one) == 40_000
    assert one["x"].max() < 64
    assert len(drain(open_source(uri + "&faults=burst@0.1"))) > 2_000_000
    assert (np.diff(drain(open_source(uri + "&faults=back@0.2:0.1"))["t"]) < 0).sum() == 1
    assert len(drain(open_source(uri + "&faults=silence@0.1:0.1"))) == 30_000
    with pytest.raises(SourceLost, match="unplugged"):
        drain(open_source(uri + "&faults=unplug@0.2"))
    assert (drain(open_source(uri + "&faults=garbage@0.2"))["x"] >= 64).any()


def test_reads_return_in_time() -> None:
    """Nothing blocks longer than its timeout, so Ctrl-C is never blocked."""
    source = open_source("fake://8x8?packet=1000000")
    start = time.monotonic()
    packet = source.read(0.02)
    assert packet is not None
    assert not len(packet)
    assert time.monotonic() - start < 0.9  # the packet is due after one second
