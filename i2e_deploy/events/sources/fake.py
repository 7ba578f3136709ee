"""`fake://320x240?rate=1e6&seconds=5&faults=unplug@1,garbage@2`: a simulated camera with injected faults.

The same seed gives the same events, whatever the timing. A fault is `kind@second[:value]`:

| kind | what happens | value |
|---|---|---|
| `unplug` | `read` raises SourceLost at that moment | |
| `garbage` | one packet of random bytes | events (1000) |
| `back` | from then on time stamps are that much earlier | seconds (1) |
| `burst` | one packet of 100 ms at that rate | events/s (20e6) |
| `silence` | no events | seconds (1) |
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import numpy as np

from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.sources.base import MAX_READ, SourceUri

_DEFAULTS = {"unplug": 0.0, "garbage": 1000.0, "back": 1.0, "burst": 20e6, "silence": 1.0}


@dataclass(frozen=True)
class Fault:
    """A fault of a `kind` at a time in us of the stream's clock."""

    kind: str
    at: int
    value: float


class FakeCamera:
    """A disc that circles over the sensor, plus noise.

    Options: `rate` events/s, `seconds` until the end (0 = none), `packet` us, `realtime` (1), `seed`, `faults`.
    """

    def __init__(self, uri: SourceUri) -> None:
        uri.only("rate", "seconds", "packet", "realtime", "seed", "faults")
        size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", uri.host or "320x240")
        if size is None or not all(0 < int(side) <= 2**16 for side in size.groups()):
            raise InputError(f"source {uri.text!r}: write the sensor's size as fake://320x240")
        self.sensor_size = (int(size[1]), int(size[2]))
        self._rate, self._packet = uri.number("rate", 1e5, 0, 1e8), int(uri.number("packet", 1000, 1, 1e6))
        self._end = int(uri.number("seconds", 0, 0, 1e9) * 1e6)
        self._realtime = bool(uri.number("realtime", 1, 0, 1))
        self.unpaced = not self._realtime
        self._random = np.random.default_rng(int(uri.number("seed", 0, 0, 2**53)))
        self._faults = sorted(_faults(uri), key=lambda fault: fault.at)
        self._now, self._shift, self._silent_until = 0, 0, 0
        self._pending: list[Events] = []
        self._started: float | None = None

    def read(self, timeout: float) -> Events | None:
        """See `Source.read`."""
        if self._pending:
            return self._pending.pop(0)
        if self._end and self._now >= self._end:
            return None
        if self._realtime:
            self._started = time.monotonic() if self._started is None else self._started
            wait = self._started + (self._now + self._packet) / 1e6 - time.monotonic()
            if wait > 0:
                time.sleep(min(wait, timeout))
            if wait > timeout:
                return empty_events()
        events, self._now = self._packet_at(self._now, self._packet, self._rate), self._now + self._packet
        while self._faults and self._faults[0].at < self._now:
            events = self._fail(self._faults.pop(0), events)
        if self._now <= self._silent_until:
            return empty_events()
        return events

    def close(self) -> None:
        """See `Source.close`."""

    def _packet_at(self, start: int, length: int, rate: float) -> Events:
        """Events of `length` us: a disc's rim, ON in front and OFF behind, one in ten of them noise."""
        count = min(int((start + length) * rate / 1e6) - int(start * rate / 1e6), MAX_READ)
        events = np.empty(count, EVENT_DTYPE)
        events["t"] = start + self._shift + np.arange(count) * length // max(count, 1)
        width, height = self.sensor_size
        way, angle = 2 * np.pi * start / 2e6, self._random.random(count) * 2 * np.pi
        x = width / 2 + width / 4 * np.cos(way) + width / 8 * np.cos(angle)
        y = height / 2 + height / 4 * np.sin(way) + width / 8 * np.sin(angle)
        noise = self._random.random(count) < 0.1
        x[noise], y[noise] = (self._random.random(int(noise.sum())) * side for side in (width, height))
        events["x"], events["y"] = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
        events["p"] = np.where(noise, angle > np.pi, np.cos(angle - way - np.pi / 2) > 0)
        return events

    def _fail(self, fault: Fault, events: Events) -> Events:
        if fault.kind == "unplug":
            raise SourceLost("fake camera: unplugged")
        if fault.kind == "back":
            self._shift -= int(fault.value * 1e6)
        elif fault.kind == "silence":
            self._silent_until = fault.at + int(fault.value * 1e6)
        elif fault.kind == "garbage":
            data = self._random.bytes(int(fault.value) * EVENT_DTYPE.itemsize)
            self._pending.append(np.frombuffer(data, EVENT_DTYPE).copy())
        elif fault.kind == "burst":
            # at one hundredth of the time resolution, so that no event is lost to MAX_READ
            step = max(1, min(self._packet, int(MAX_READ / fault.value * 1e6)))
            self._pending += [self._packet_at(self._now + at, step, fault.value) for at in range(0, 100_000, step)]
            self._now += 100_000
        return events


def _faults(uri: SourceUri) -> list[Fault]:
    faults = []
    for text in filter(None, uri.options.get("faults", "").split(",")):
        match = re.fullmatch(r"([a-z]+)@([\d.e]+)(?::([\d.e]+))?", text)
        if match is None or match[1] not in _DEFAULTS:
            raise InputError(f"source {uri.text!r}: fault {text!r}: write kind@second, kind one of {list(_DEFAULTS)}")
        value = _DEFAULTS[match[1]] if match[3] is None else float(match[3])
        faults.append(Fault(match[1], int(float(match[2]) * 1e6), value))
    return faults
