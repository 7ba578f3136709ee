"""What a file's packets go through on their way out: impossible events and times that go back, refused or by choice.

Times go back for three reasons, and only the caller knows which: the rows are not sorted (`sort`), the clock restarted
(`continue`), or events are garbage (`salvage` leaves them out). Without a choice it is an error with the place.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.events.formats.base import PACKET_EVENTS
from i2e_deploy.events.options import SensorSize, Unsorted

#: Most events that are sorted (2^28 events are 3.3 GiB).
MAX_SORTED = 2**28
_BEFORE_ALL, _ANY = -(2**62), 2**62


@dataclass(frozen=True)
class Wrong:
    """An event that cannot be.

    Args:
        index: counted over all events of the file.
        reason: what is wrong.
        goes_back: whether it is its time.
    """

    index: int
    reason: str
    goes_back: bool


class WrongEvent(Exception):  # inside this package only: `EventReader` turns it into an error
    """`InOrder.trouble` says which event of a file cannot be."""


class InOrder:
    """Takes packets in the order of the file, gives their events in the order of time.

    Args:
        size: (width, height); None: not checked.
        jitter: us that an event may come after a later one.
        unsorted: what is done with times that go back further.
        salvage: leave impossible events out and count them.

    Attributes:
        seen: events taken. dropped: events left out. trouble: the first of these.
        notes: sentences on what was done, complete after `flush`.
    """

    def __init__(self, size: SensorSize | None, jitter: int, unsorted: Unsorted, salvage: bool) -> None:
        self._size, self._salvage, self._unsorted = size, salvage, unsorted
        self._jitter = _ANY if unsorted == "sort" else jitter
        self.seen, self.dropped = 0, 0
        self.trouble: Wrong | None = None
        self.notes: list[str] = []
        self._last, self._shift, self._restarts, self._first_restart = _BEFORE_ALL, 0, 0, 0
        self._late = np.zeros(2, np.int64)
        self._held: list[Events] = []

    def push(self, packet: Events) -> list[Events]:
        """The events that no later packet can come before, in packets.

        Raises:
            WrongEvent: an event that cannot be, without `salvage`; `flush` gives what came before it.
        """
        if not len(packet):
            return []
        if self._unsorted == "continue":
            packet = self._follow(packet)
        late = int(self._late[0])
        kept = self._checked(packet)
        self.seen += len(packet)
        if self._jitter == 0:
            return [kept]
        self._held.append(kept)
        if self._unsorted == "sort":
            if sum(map(len, self._held)) > MAX_SORTED:
                raise InputError(f"more than {MAX_SORTED} events to sort: cut the file into windows first")
            return []
        if self._late[0] > late:
            self._held = [self._sorted()]
        parts, self._held, ready = self._held, [], []
        for part in parts:  # in order, from one to the next too
            t = part["t"]
            sure = bisect_left(range(len(t)), self._last - self._jitter, key=t.__getitem__)
            ready.append(part[:sure])
            if sure < len(part):
                self._held.append(part[sure:])
        return ready

    def flush(self) -> list[Events]:
        """The events that `push` holds back, in packets."""
        if self._late[0]:
            self.notes.append(f"{self._late[0]} events came up to {self._late[1]} us late and were put in order")
            self._late[:] = 0
        if self._restarts:
            self.notes.append(
                f"the clock went back {self._restarts} times, first at event {self._first_restart}: "
                "times go on from the latest there"
            )
            self._restarts = 0
        held = self._sorted()
        self._held = []
        return [held[start : start + PACKET_EVENTS] for start in range(0, len(held), PACKET_EVENTS)]

    def _sorted(self) -> Events:
        held = np.concatenate(self._held) if self._held else empty_events()
        t = np.ascontiguousarray(held["t"])
        return held[np.argsort(t, kind="stable")] if (t[1:] < t[:-1]).any() else held

    def _follow(self, packet: Events) -> Events:
        from i2e_deploy.events.kernels import follow_restarts

        packet = packet.copy()
        self._shift, restarts, first = follow_restarts(packet, self._last, self._jitter, self._shift)
        if restarts and not self._restarts:
            self._first_restart = self.seen + int(first)
        self._restarts += int(restarts)
        return packet

    def _checked(self, packet: Events) -> Events:
        """The possible events of a packet; raises after keeping those before the first wrong one."""
        from i2e_deploy.events.kernels import first_wrong, mark_right

        width, height = self._size or (2**16, 2**16)
        first, last = first_wrong(packet, self._last, self._jitter, width, height, self._late)
        if first == len(packet):
            self._last = int(last)
            return packet
        wrong = self._wrong(packet[first], int(last), self.seen + int(first))
        self.trouble = self.trouble or wrong
        if not self._salvage:
            self._last = int(last)
            self._held.append(packet[:first])
            raise WrongEvent(wrong.reason)
        right = np.ones(len(packet), bool)
        rest: Callable[..., int] = mark_right
        self._last = int(rest(packet[first:], last, self._jitter, width, height, self._late, right[first:]))
        self.dropped += len(packet) - int(right.sum())
        kept: Events = packet[right]
        return kept

    def _wrong(self, event: np.void, last: int, index: int) -> Wrong:
        width, height = self._size or (2**16, 2**16)
        if event["p"] > 1 or event["x"] >= width or event["y"] >= height:
            reason = f"event x={event['x']} y={event['y']} p={event['p']} does not fit a sensor of {self._size}"
            return Wrong(index, reason, False)
        reason = f"time goes back from {last} to {event['t']} us, by {last - int(event['t'])} us"
        return Wrong(index, reason, True)
