"""A day of live events in minutes: memory stays flat, and every event is in one counter or another.

    python benchmarks/live_day.py [--hours 24] [--rate 1e6] [--policy drop]

The stream's clock runs as fast as the events are taken; decisions come as often as in a session that is not in haste,
50 a second, so most windows are dropped, and counted. Every `period` of it has one fault of each kind: the camera is
unplugged and found again, a packet of garbage, a burst of 20 M events/s, a second of silence, a clock that goes back.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from event_maker import disc

from i2e_deploy.chips import Program
from i2e_deploy.errors import SourceLost
from i2e_deploy.events import Events, empty_events
from i2e_deploy.events.array import EVENT_DTYPE
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.runtime.decider import LiveSpec
from i2e_deploy.runtime.live import Live

SIZE = (64, 48)
#: Length of a packet, us of the stream: the most events that a source may give at once, at 1 M events/s.
PACKET_US = 1_000_000
KINDS = ("unplug", "garbage", "burst", "silence", "back")


@dataclass
class Ledger:
    """What the source gave, kept beside the session's own counters.

    Args:
        sent: events.
        faults: of each kind.
        now: us of the stream that have passed.
        shift: us that its clock has gone back.
    """

    sent: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    now: int = 0
    shift: int = 0


class Day:
    """A source that repeats one second of events for `seconds`; opened again it goes on.

    Args:
        seconds: of the stream's clock.
        rate: events a second.
        period: seconds in which each kind of fault comes once.
        ledger: of all that are opened in a session.
    """

    sensor_size = SIZE
    unpaced = True

    def __init__(self, seconds: float, rate: float, period: float, ledger: Ledger) -> None:
        self._end, self._period, self.ledger = int(seconds * 1e6), int(period * 1e6), ledger
        self._packet, self._starts = _second(int(rate)).copy(), 0
        self._random = np.random.default_rng(0)

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        del timeout
        book = self.ledger
        if book.now >= self._end:
            return None
        kind = self._due()
        if kind == "unplug":
            raise SourceLost("unplugged")
        if kind == "garbage":
            data = self._random.bytes(1000 * EVENT_DTYPE.itemsize)
            return self._given(np.frombuffer(data, EVENT_DTYPE).copy())
        if kind == "silence":
            book.now += 1_000_000
            return empty_events()
        if kind == "back":
            book.shift += 60_000_000
        packet = self._packet
        packet["t"] += book.now - book.shift - self._starts  # in place: the session keeps no packet
        self._starts = book.now - book.shift
        book.now += PACKET_US
        return self._given(np.repeat(packet[: len(packet) // 10], 20) if kind == "burst" else packet)

    def _given(self, packet: Events) -> Events:
        self.ledger.sent += len(packet)
        return packet

    def _due(self) -> str | None:
        """The fault of this moment: in each period one of each kind, a sixth of the period apart."""
        book = self.ledger
        done = sum(book.faults.values())
        when = done // len(KINDS) * self._period + (done % len(KINDS) + 1) * self._period // (len(KINDS) + 1)
        if book.now < when:
            return None
        kind = KINDS[done % len(KINDS)]
        book.faults[kind] += 1
        return kind

    def close(self) -> None:
        """See `Source.close`."""


@lru_cache(maxsize=1)
def _second(rate: int) -> Events:
    """`rate` events in one second."""
    events = disc(SIZE, rate)
    events["t"] = np.arange(rate) * 1_000_000 // rate
    return events


@dataclass(frozen=True)
class Outcome:
    """What came of a session.

    Args:
        ledger: of the source.
        stats: of the session.
        decided: events in the windows of decisions.
        memory: resident bytes at each period's end.
    """

    ledger: Ledger
    stats: dict[str, Any]
    decided: int
    memory: tuple[int, ...]

    @property
    def unaccounted(self) -> int:
        """Events of the source that are in no counter of the session."""
        lost = sum(int(self.stats[name]) for name in ("late", "given_up", "dropped_events", "pending"))
        return self.ledger.sent - self.decided - lost


def run(
    program: Program,
    seconds: float,
    rate: float,
    period: float,
    policy: Any,
    say: Callable[[str], None],
    pause: float = 0.02,
) -> Outcome:
    """A session of `seconds` of the stream's clock; after each decision it rests for `pause` seconds of the wall's."""
    ledger = Ledger()

    def opened() -> Day:
        return Day(seconds, rate, period, ledger)

    spec = LiveSpec(StreamSpec(4, 5000), FrameSpec(SIZE, (2, 8, 8)), policy=policy)
    memory: list[int] = []
    decided, began = 0, time.monotonic()
    live = Live(opened(), program, spec, reopen=opened)
    with live:
        for decision in live:
            decided += decision.events
            time.sleep(pause)  # else it takes half of the processor from the reading thread, as windows always wait
            if ledger.now >= (len(memory) + 1) * period * 1e6:
                memory.append(resident())
                stats = live.stats()
                say(
                    f"{ledger.now / 3.6e9:7.2f} h {time.monotonic() - began:8.0f} s {memory[-1] / 2**20:9.1f} MiB "
                    f"{stats['events']:>16,} events {stats['decisions']:>11,} decisions "
                    f"{stats['dropped_windows']:>11,} dropped {stats['lost']:>4} lost {stats['epochs']:>7} epochs"
                )
    return Outcome(ledger, live.stats(), decided, tuple(memory))


def resident() -> int:
    """Bytes of this process in memory now."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def small_program() -> Program:
    """A network [2, 8, 8] -> 3 for Speck."""
    from fuzz_seeds import small_network

    from i2e_deploy.chips import get

    return get("speck2f").lower(small_network())


def main() -> int:
    parser = argparse.ArgumentParser(description="A day of live events in minutes.")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--rate", type=float, default=1e6)
    parser.add_argument("--policy", default="drop")
    given = parser.parse_args()
    print(
        f"{given.hours:g} h at {given.rate:g} events/s, policy {given.policy}, one fault of each kind an hour",
        flush=True,
    )

    def say(line: str) -> None:
        print(line, flush=True)

    outcome = run(small_program(), given.hours * 3600, given.rate, 3600, given.policy, say)
    # The allocator keeps what the first bursts took: memory is level after some hours.
    grown = (outcome.memory[-1] - outcome.memory[len(outcome.memory) // 4]) / 2**20 if outcome.memory else 0.0
    print(f"faults: {outcome.ledger.faults}")
    print("counters: " + ", ".join(f"{k} {v:,}" for k, v in outcome.stats.items() if isinstance(v, int | float)))
    print(f"sent {outcome.ledger.sent:,}, in windows decided {outcome.decided:,}, unaccounted {outcome.unaccounted:,}")
    print(f"memory from a quarter of the session to its end: {grown:+.1f} MiB")
    return int(outcome.unaccounted != 0 or grown > 16)


if __name__ == "__main__":
    sys.exit(main())
