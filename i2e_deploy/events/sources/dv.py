"""What cameras and network streams of dv-processing (2.x) have in common."""

from __future__ import annotations

import time
from typing import Any

from i2e_deploy.errors import SourceLost
from i2e_deploy.events.array import Events, empty_events


def read_dv(reader: Any, timeout: float, name: str, ended: str) -> Events:
    """The next batch of a dv-processing reader; empty after `timeout` seconds without one.

    Args:
        reader: a camera or a `NetworkReader`.
        timeout: seconds.
        name: of the source, for messages.
        ended: what it means that the reader no longer runs.

    Raises:
        SourceLost: it no longer runs, or failed.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            batch = reader.getNextEventBatch()
            running = reader.isRunning()
        except RuntimeError as error:
            raise SourceLost(f"{name}: {' '.join(str(error).split())[:200]}") from error
        if batch is not None and batch.size():
            return _events(batch)
        if not running:
            raise SourceLost(f"{name}: {ended}")
        if time.monotonic() >= deadline:
            return empty_events()
        time.sleep(0.0002)


def _events(batch: Any) -> Events:
    """Events of a batch (`timestamp`, `x`, `y`, `polarity`)."""
    theirs = batch.numpy()
    events = empty_events(len(theirs))
    for name, field in (("t", "timestamp"), ("x", "x"), ("y", "y"), ("p", "polarity")):
        events[name] = theirs[field]
    return events
