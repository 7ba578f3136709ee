"""Writing AEDAT4 and CSV through the library faery (LGPL-3, an optional extra).

What is guarded here was measured with faery 0.7.1. It reads nothing: its panics end the process, and its readers hold
times that go back at the latest one without an error. Its writers drop what is left in their buffer when the disk is
full, without an error: a file of theirs is asked whether it is whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import Events
from i2e_deploy.events.options import SensorSize
from i2e_deploy.requirements import install_command

_FAERY_DTYPE = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
#: A packet of an AEDAT4 file is lost whole when it is damaged: as small as a camera's.
_WRITTEN_EVENTS = 2**13
#: More than the buffer of its writers, bytes.
_BUFFER = 2**16


def load_faery() -> Any:
    """The module, or MissingDependency."""
    try:
        import faery
    except ImportError as error:
        raise MissingDependency("faery", "this event file format", install_command("faery")) from error
    return faery


def write_with_faery(
    options: dict[str, Any],
    count_of: Callable[[Path], int],
    path: Path,
    packets: Iterable[Events],
    size: SensorSize,
) -> None:
    """Write packets as `options` of faery's `events_to_file` say.

    Args:
        options: see there.
        count_of: number of the events that a file holds.
        path: the file.
        packets: valid events in order.
        size: (width, height).

    Raises:
        OSError: the disk is full.
    """
    count = 0

    def theirs() -> Iterator[Any]:
        nonlocal count
        for packet in packets:
            count += len(packet)
            for start in range(0, len(packet), _WRITTEN_EVENTS):
                part = packet[start : start + _WRITTEN_EVENTS]
                events = np.empty(len(part), _FAERY_DTYPE)
                for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("on", "p")):
                    events[name] = part[field]
                yield events

    stream: Callable[..., Any] = load_faery().file_encoder.events_to_file
    stream(theirs(), path, size, use_write_suffix=False, **options)
    with path.open("r+b", buffering=0) as file:  # what its buffer lost was less than this, and would fit now
        end = file.seek(0, os.SEEK_END)
        probe = memoryview(bytes(_BUFFER))
        while probe:
            probe = probe[file.write(probe) :]
        os.fsync(file.fileno())
        file.truncate(end)
    if count_of(path) != count:
        raise OSError(errno.EIO, f"the file does not hold the {count} events that were written", str(path))
