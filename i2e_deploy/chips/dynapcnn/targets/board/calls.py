"""Calls into samna on a thread of their own, so that one that never returns is named and abandoned.

Nothing can end a call that hangs in a compiled library. Here the program goes on without it: it gets an error that
names the call, and the board is left open, since closing it would hang as well. Should samna keep Python's lock while
it hangs, no Python thread runs, this one neither; `python -X faulthandler` and a signal then tell where it stands.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from i2e_deploy.errors import SourceLost

P = ParamSpec("P")
T = TypeVar("T")
#: Writing a whole configuration is the longest call, and takes seconds at most.
LIMIT_S = 60.0


class Calls:
    """Runs one call at a time on a daemon thread.

    Args:
        limit_s: longest time that a call may take, seconds of real time.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._over = ""
        self._asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="i2e-deploy samna", daemon=True).start()

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises.

        Raises:
            SourceLost: it did not return in time, or an earlier call has not, or `close` was called.
        """
        if self._over:
            raise SourceLost(self._over)
        self._asked.put((function, args, kwargs))
        try:
            result, error = self._told.get(timeout=self._limit_s)
        except queue.Empty:
            name = getattr(function, "__name__", type(function).__name__)
            self._over = (
                f"samna's {name} has not returned for {self._limit_s:g} s; the board is left open: unplug it, plug it "
                "in again, and start this program again"
            )
            raise SourceLost(self._over) from None
        if error is not None:
            raise error
        value: T = result
        return value

    def close(self) -> None:
        """End the thread, unless it hangs."""
        self._over = self._over or "it is closed"
        self._asked.put(None)

    def _work(self) -> None:
        while (asked := self._asked.get()) is not None:
            function, args, kwargs = asked
            try:
                self._told.put((function(*args, **kwargs), None))
            except BaseException as error:  # handed to the caller
                self._told.put((None, error))
