"""The bounded queue between the source and the network, with a stated policy for when it is full.

Beside the closed windows that wait it holds the closed steps of the window that is still open: a network with nothing
else to do runs these ahead, so that only the last step is left when the window closes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from i2e_deploy.events.frames import Frames
from i2e_deploy.events.stream import Window
from i2e_deploy.text import record_repr

Policy = Literal["block", "drop", "merge"]
POLICIES: tuple[Policy, ...] = ("block", "drop", "merge")


@dataclass(frozen=True, eq=False)
class Waiting:
    """A window that waits for the network, with those merged into it.

    Args:
        window: what will run.
        indices: numbers of the windows it is made of, oldest first.
        arrived: `time.perf_counter()` when the packet came that closed the (newest) window.
    """

    window: Window
    indices: tuple[int, ...]
    arrived: float

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Ahead:
    """What is known of the window that closes next.

    Args:
        first_step: see `Window.first_step`.
        frames: of its steps closed so far, int32 [C, H, W] each.
    """

    first_step: int
    frames: tuple[Frames, ...]

    __repr__ = record_repr


@dataclass
class BacklogCounts:
    """What the policy cost so far."""

    dropped_windows: int = 0
    dropped_events: int = 0
    merged_windows: int = 0
    blocked_seconds: float = 0.0


def merge(old: Waiting, new: Waiting, binary: bool) -> Waiting:
    """Both windows as one: step by step their events added up (binary: joined), from the old start to the new end."""
    frames = old.window.frames + new.window.frames
    window = replace(
        new.window,
        start=old.window.start,
        frames=np.minimum(frames, 1) if binary else frames,
        events=old.window.events + new.window.events,
    )
    return Waiting(window, old.indices + new.indices, new.arrived)


class Backlog:
    """At most `size` waiting windows.

    Args:
        size: at least 1.
        policy: when full, `"block"` the source until there is room, `"drop"` the oldest window, or `"merge"` the
            newest two. Each is counted in `counts`.
        binary: how to merge.
    """

    def __init__(self, size: int, policy: Policy, binary: bool) -> None:
        self.size, self.policy, self.binary = size, policy, binary
        self.counts = BacklogCounts()
        self._items: deque[Waiting] = deque()
        self._ahead = Ahead(-1, ())
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Waiting) -> None:
        """Add a window; with `"block"` waits for room, unless the backlog is closed."""
        with self._changed:
            if len(self._items) >= self.size:
                if self.policy == "block":
                    start = time.perf_counter()
                    self._changed.wait_for(lambda: len(self._items) < self.size or self._closed)
                    self.counts.blocked_seconds += time.perf_counter() - start
                elif self.policy == "drop":
                    oldest = self._items.popleft()
                    self.counts.dropped_windows += len(oldest.indices)
                    self.counts.dropped_events += oldest.window.events
                else:
                    item = merge(self._items.pop(), item, self.binary)
                    self.counts.merged_windows += 1
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    def put_ahead(self, ahead: Ahead) -> None:
        """Set what is known of the window that closes next, replacing what was set before."""
        with self._changed:
            news = len(ahead.frames) != len(self._ahead.frames) or ahead.first_step != self._ahead.first_step
            self._ahead = ahead
            if news and ahead.frames and not self._items:
                self._changed.notify_all()

    def get(self, timeout: float, known: tuple[int, int] = (-1, 0)) -> Waiting | Ahead | None:
        """The oldest window; with none, steps of the open one; None if neither came within `timeout` seconds.

        Args:
            timeout: seconds.
            known: first step of the open window and number of its steps that the caller has run already.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._is_new(known), timeout)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            return self._ahead if self._is_new(known) and not self._closed else None

    def _is_new(self, known: tuple[int, int]) -> bool:
        return len(self._ahead.frames) > (known[1] if self._ahead.first_step == known[0] else 0)

    def close(self) -> None:
        """Wake everyone up; nothing more is taken in."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
