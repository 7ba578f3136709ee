"""Datagrams: a sender that starts again is followed, a stray number silences nothing, and the unused are counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import SourceLost
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.sources.datagrams import MAX_DROPOUT, MAX_MISORDER, Numbers
from i2e_deploy.events.sources.udp import UdpSender

EVENTS = random_events(20_000, 34, 34)


def taken(numbers: Numbers, given: list[int]) -> list[int]:
    return [number for number in given if numbers.take(number % 2**32)]


@pytest.mark.parametrize("seed", range(20))
def test_each_number_is_taken_or_counted(seed: int) -> None:
    """Losses and late datagrams, also over the wrap after 2^32."""
    random = np.random.default_rng(seed)
    start = [0, 2**32 - 500][seed % 2]
    given = [start + i for i in range(1000) if i == 0 or random.random() > 0.1]
    for place in random.integers(1, len(given) - 5, 20).tolist():
        given.insert(place + 4, given.pop(place))
    follow = Numbers()
    got = taken(follow, given)
    assert all(later > earlier for earlier, later in pairwise(got))
    assert follow.lost + len(got) == got[-1] - start + 1
    assert follow.late == len(given) - len(got)
    assert follow.restarts == 0


@pytest.mark.parametrize("before", [1, 2, 50, 99, 100, 101, 5000, 2**31, 2**32 - 1])
@pytest.mark.parametrize("again", [0, 1, 7])
def test_a_sender_that_starts_again_is_followed(before: int, again: int) -> None:
    follow = Numbers()
    assert taken(follow, [before, before + 1]) == [before, before + 1]
    given = list(range(again, again + 200))
    got = taken(follow, given)
    assert len(got) >= 199 - 2  # at most the first ones are needed to see it
    assert got == given[-len(got) :]


@pytest.mark.parametrize("stray", [2**32 - 1, 2**31, MAX_DROPOUT + 500, 2**32 - MAX_MISORDER - 1])
def test_one_stray_number_silences_nothing(stray: int) -> None:
    follow = Numbers()
    given = [*range(400), (399 + stray) % 2**32, *range(400, 800)]
    assert taken(follow, given) == list(range(800))
    assert (follow.lost, follow.late, follow.restarts) == (1, 0, 0)


@pytest.fixture
def link() -> Iterator[tuple[Any, int]]:
    """A source that has heard from a sender of 34 x 34 pixels, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
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
    yield source, port
    source.close()
    sender._socket.close()


def send(port: int, size: tuple[int, int], events: Any) -> None:
    """From a new sender, which does not end the stream."""
    sender = UdpSender(size, "127.0.0.1", port)
    for start in range(0, len(events), 1000):
        sender.send(events[start : start + 1000])
    sender._socket.close()


def test_udp_from_a_sender_that_was_restarted(link: tuple[Any, int]) -> None:
    source, port = link
    send(port, (34, 34), EVENTS)
    got = 0
    while len(packet := source.read(0.2)):
        got += len(packet)
    assert got >= 17_000
    assert got + 1000 * source.lost >= 20_000


def test_udp_from_another_sensor_is_a_lost_source(link: tuple[Any, int]) -> None:
    source, port = link
    send(port, (64, 64), EVENTS[:10])
    assert not len(source.read(0.2))  # one alone may be garbage
    send(port, (64, 64), EVENTS[:2000])
    with pytest.raises(SourceLost, match=r"a sensor of 64 x 64 sends now, it was \(34, 34\)"):
        source.read(0.5)
