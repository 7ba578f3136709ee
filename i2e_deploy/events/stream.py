"""Windows over a stream whose end is not known: events go in as they come, closed windows come out.

A window is T steps, and a step is some microseconds or some events. Events are counted into the open step's frame
at once and not kept, so memory is constant at any rate. Everything depends on the calls alone, not on any clock:
the same calls give the same windows, which is what makes a recorded session replay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import Frames, FrameSpec

_NEVER, _FAR = 2**62, 2**60


@dataclass(frozen=True)
class StreamSpec:
    """How a stream is cut.

    Args:
        steps: T, steps a window.
        step: length of a step, in `unit`.
        unit: `"us"`, or `"events"` a step.
        stride: steps from one window's start to the next; `steps` = no overlap, fewer = overlap.
        max_jump: a time stamp further than this (us) before the open step or after the last one starts a new
            epoch: the open window is given up, and time counts from there. A camera that was reset does this, and
            so does a garbage packet.

    Raises:
        InputError: a value below 1, or `stride` above `steps`.
    """

    steps: int
    step: int
    unit: Literal["us", "events"] = "us"
    stride: int | None = None
    max_jump: int = 10_000_000

    def __post_init__(self) -> None:
        if min(self.steps, self.step, self.hop, self.max_jump) < 1 or self.hop > self.steps:
            raise InputError(f"{self}: all values are at least 1, and stride is at most steps ({self.steps})")
        if self.unit not in ("us", "events"):
            raise InputError(f"unit {self.unit!r}: choose 'us' or 'events'")

    @property
    def hop(self) -> int:
        """Steps from one window's start to the next."""
        return self.steps if self.stride is None else self.stride


@dataclass(frozen=True, eq=False)
class Window:
    """A closed window.

    Args:
        index: counts from 0 over the whole stream.
        start, end: us of the stream's clock; `end` is exclusive.
        frames: int32 [T, C, H, W].
        events: how many events it holds, those outside the crop included.
    """

    index: int
    start: int
    end: int
    frames: Frames
    events: int


@dataclass
class StreamCounts:
    """What became of the events, over the whole stream.

    Args:
        events: all that came.
        outside: not seen by the network: outside the crop or the sensor, or of no polarity.
        late: before the open step, so not counted into any, or with a time beyond 2^60 us.
        epochs: how often time jumped or the source was found again.
        given_up: events in steps that were open when that happened.
    """

    events: int = 0
    outside: int = 0
    late: int = 0
    epochs: int = 0
    given_up: int = 0


class Windower:
    """Cuts a stream into windows.

    Args:
        spec: how.
        frame: how a pixel is counted.
    """

    def __init__(self, spec: StreamSpec, frame: FrameSpec) -> None:
        from i2e_deploy.events._kernels import fill_step

        self.spec, self.frame, self.counts = spec, frame, StreamCounts()
        self._fill = fill_step
        self._tables = frame.tables()
        self._steps: deque[tuple[Frames, int, int, int]] = deque(maxlen=spec.steps)
        self._index, self._closed = 0, 0
        self._start: int | None = None
        self._last = 0
        self._open: Frames = np.zeros(frame.shape, np.int32)
        self._taken = 0

    @property
    def latest(self) -> int:
        """Time of the latest event of this epoch, us."""
        return self._last

    @property
    def step_end(self) -> int | None:
        """When the open step ends, us; None before the first event and when steps are counted in events."""
        return None if self._start is None or self.spec.unit == "events" else self._start + self.spec.step

    def push(self, events: Events) -> list[Window]:
        """Count `events` [N] in and return the windows that closed. They may be unsorted and may be garbage."""
        closed: list[Window] = []
        t = events["t"]
        by_time = self.spec.unit == "us"
        i = 0
        while i < len(t):
            now = int(t[i])
            if not -_FAR < now < _FAR:  # no clock says so; it would not leave room to calculate
                self.counts.events, self.counts.late, i = self.counts.events + 1, self.counts.late + 1, i + 1
                continue
            if self._start is None or self._jumps(now):
                self._new_epoch(now)
            assert self._start is not None
            start = self._start if by_time else -_NEVER
            end = self._start + self.spec.step if by_time else _NEVER
            most = _NEVER if by_time else self.spec.step - self._taken
            before = i
            i, taken, outside, late = self._fill(
                events, i, most, start, end, self.spec.max_jump if by_time else 0, *self._tables,
                self.frame.binary, self._open.reshape(-1),
            )  # fmt: skip
            self._taken += taken
            self.counts.events += i - before
            self.counts.outside += outside
            self.counts.late += late
            if i > before:
                self._last = max(self._last, int(t[i - 1]))
            if by_time:
                if i < len(t) and not self._jumps(int(t[i])):
                    self._close_step(closed, end)
            elif self._taken == self.spec.step:
                self._close_step(closed, int(t[i - 1]))
        return closed

    def advance(self, now: int) -> list[Window]:
        """Close every step that ended by `now` (us of the stream's clock): for a scene in which nothing moves.

        At most `max_jump` us are advanced over. Steps counted in events are not closed by time.
        """
        closed: list[Window] = []
        end = self.step_end
        limit = self._last + self.spec.max_jump
        while end is not None and end <= min(now, limit):
            self._close_step(closed, end)
            end = self.step_end
        return closed

    def restart(self) -> None:
        """Give up the open window; the next event starts a new epoch. For a source that was lost and found again."""
        if self._start is not None:
            self._give_up()
            self._start = None

    def _jumps(self, t: int) -> bool:
        if self.spec.unit == "events" or self._start is None:
            return False
        return t < self._start - self.spec.max_jump or t > max(self._last, self._start) + self.spec.max_jump

    def _new_epoch(self, t: int) -> None:
        if self._start is not None:
            self._give_up()
        self._start = self._last = t

    def _give_up(self) -> None:
        self.counts.epochs += 1
        self.counts.given_up += self._taken
        self._steps.clear()
        self._closed, self._taken = 0, 0
        self._open[:] = 0

    def _close_step(self, closed: list[Window], end: int) -> None:
        assert self._start is not None
        self._steps.append((self._open, self._start, end, self._taken))
        self._open, self._taken, self._start = np.zeros(self.frame.shape, np.int32), 0, end
        self._closed += 1
        if self._closed >= self.spec.steps and (self._closed - self.spec.steps) % self.spec.hop == 0:
            frames = np.stack([frame for frame, *_ in self._steps])
            count = sum(taken for *_, taken in self._steps)
            closed.append(Window(self._index, self._steps[0][1], end, frames, count))
            self._index += 1
