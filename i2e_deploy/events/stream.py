"""Windows over a stream whose end is not known: events go in as they come, closed windows come out.

A window is T steps, and a step is some microseconds or some events. Events are counted into the open step's frame
at once and not kept, so memory is constant at any rate. Everything depends on the calls alone, not on any clock:
the same calls give the same windows, which is what makes a recorded session replay.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import FAR, Events
from i2e_deploy.events.frames import Frames, FrameSpec
from i2e_deploy.text import record_repr

#: Values of the frames that are made at a time (int32).
_BLOCK_VALUES = 2**17


#: Most steps of a window, and the longest step: an hour in us, or as many events.
MAX_STEPS, MAX_STEP = 2**16, 3_600_000_000


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
        InputError: a value below 1, `stride` above `steps`, or more than MAX_STEPS or MAX_STEP.
    """

    steps: int
    step: int
    unit: Literal["us", "events"] = "us"
    stride: int | None = None
    max_jump: int = 10_000_000

    def __post_init__(self) -> None:
        if min(self.steps, self.step, self.hop, self.max_jump) < 1 or self.hop > self.steps:
            raise InputError(f"{self}: all values are at least 1, and stride is at most steps ({self.steps})")
        if self.steps > MAX_STEPS or self.step > MAX_STEP:
            raise InputError(
                f"{self.steps} steps of {self.step} {self.unit} a window: at most {MAX_STEPS} of at most {MAX_STEP}; "
                "choose a shorter window or fewer steps"
            )
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
        first_step: number of its first step, over all steps that closed; see `Windower.ahead`.
    """

    index: int
    start: int
    end: int
    frames: Frames
    events: int
    first_step: int

    __repr__ = record_repr


@dataclass
class StreamCounts:
    """What became of the events, over the whole stream.

    Args:
        events: all that came.
        outside: not seen by the network: outside the crop or the sensor, or of no polarity.
        late: before the open step, so not counted into any, or with a time beyond 2^60 us.
        epochs: how often time jumped or the source was found again.
        given_up: events that no window holds, because it was open when that happened.
        pending: events that no window holds yet.
    """

    events: int = 0
    outside: int = 0
    late: int = 0
    epochs: int = 0
    given_up: int = 0
    pending: int = 0


class Windower:
    """Cuts a stream into windows.

    Args:
        spec: how.
        frame: how a pixel is counted.
    """

    def __init__(self, spec: StreamSpec, frame: FrameSpec) -> None:
        from i2e_deploy.events.kernels import fill_steps

        self.spec, self.frame, self.counts = spec, frame, StreamCounts()
        self._fill, self._tables = fill_steps, frame.tables()
        self._steps: deque[tuple[Frames, int, int, int]] = deque(maxlen=spec.steps)
        self._index = 0
        # steps are numbered over the whole stream: the one that is open, the first of the next window, and the
        # first that no window holds yet
        self._step, self._first, self._unused = 0, 0, 0
        self._start: int | None = None
        self._last = 0
        self._new_block()

    @property
    def latest(self) -> int:
        """Time of the latest event of this epoch, us."""
        return self._last

    @property
    def step_end(self) -> int | None:
        """When the open step ends, us; None before the first event and when steps are counted in events."""
        return None if self._start is None or self.spec.unit == "events" else self._start + self.spec.step

    def ahead(self) -> tuple[int, tuple[Frames, ...]]:
        """Of the window that closes next: the number of its first step, and the frames of its steps closed so far."""
        count = max(0, self._step - self._first)
        return self._first, tuple(self._steps[i][0] for i in range(len(self._steps) - count, len(self._steps)))

    def push(self, events: Events) -> list[Window]:
        """Count `events` [N] in and return the windows that closed. They may be unsorted and may be garbage."""
        closed: list[Window] = []
        i, lost, by_time = 0, np.zeros(2, np.int64), self.spec.unit == "us"
        while i < len(events):
            now = int(events[i]["t"])
            if self._start is None or self._jumps(now):
                if not -FAR < now < FAR:
                    lost[1], i = lost[1] + 1, i + 1
                    continue
                self._new_epoch(now)
            i, count, self._last = self._fill(
                events, i, self._start, self._last, self.spec.step, by_time, self.spec.max_jump, *self._tables,
                self.frame.binary, self._frames[self._at :].reshape(-1, prod(self.frame.shape)),
                self._taken[self._at :], self._ends, lost,
            )  # fmt: skip
            for end in self._ends[:count].tolist():
                self._close_step(closed, end)
        self.counts.events += len(events)
        self.counts.outside += int(lost[0])
        self.counts.late += int(lost[1])
        self.counts.pending = self._pending()
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
        self.counts.pending = self._pending()
        return closed

    def restart(self) -> None:
        """Give up the open window; the next event starts a new epoch. For a source that was lost and found again."""
        if self._start is not None:
            self._give_up()
            self._start, self.counts.pending = None, 0

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
        self.counts.given_up += self._pending()
        self._steps.clear()
        self._first = self._unused = self._step
        self._new_block()

    def _pending(self) -> int:
        kept = self._step - self._unused
        return int(self._taken[self._at]) + sum(self._steps[-1 - i][3] for i in range(kept))

    def _new_block(self) -> None:
        """Room for the open step and more after it, so that a call counts into several."""
        size = prod(self.frame.shape)
        count = min(max(64, self.spec.steps), max(1, _BLOCK_VALUES // size))
        if count > self.spec.steps:
            count -= count % self.spec.steps  # so that no window lies in two blocks, unless they overlap
        self._frames: Frames = np.zeros((count, *self.frame.shape), np.int32)
        self._taken, self._ends, self._at = np.zeros(count, np.int64), np.zeros(count, np.int64), 0

    def _close_step(self, closed: list[Window], end: int) -> None:
        assert self._start is not None
        steps = self.spec.steps
        self._steps.append((self._frames[self._at], self._start, end, int(self._taken[self._at])))
        self._start, self._step, self._at = end, self._step + 1, self._at + 1
        if self._step - self._first == steps:
            if self._at >= steps:  # all of them lie in this block
                frames = self._frames[self._at - steps : self._at]
            else:
                frames = np.stack([frame for frame, *_ in self._steps])
            count = sum([taken for *_, taken in self._steps])
            closed.append(Window(self._index, self._steps[0][1], end, frames, count, self._first))
            self._index, self._first, self._unused = self._index + 1, self._first + self.spec.hop, self._step
        if self._at == len(self._frames):
            self._new_block()
