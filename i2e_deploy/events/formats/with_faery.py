"""Writing ES, AEDAT4 and CSV through the library faery (LGPL-3, an optional extra).

What is guarded here was measured with faery 0.7.1: `zero_t0=True` (its default) shifts all times and only faery
reads them back; its ES writer changes the caller's array. It reads nothing: its panics end the process, and its readers
hold times that go back at the latest one without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import Events
from i2e_deploy.events.formats.base import Format, SensorSize
from i2e_deploy.events.formats.es import open_es

_FAERY_DTYPE = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
#: A packet of an AEDAT4 file is lost whole when it is damaged: as small as a camera's.
_WRITTEN_EVENTS = 2**13


def load_faery() -> Any:
    """The module, or MissingDependency."""
    try:
        import faery
    except ImportError as error:
        raise MissingDependency("faery", "this event file format", "pip install 'i2e-deploy[live]'") from error
    return faery


def write_with_faery(options: dict[str, Any], path: Path, packets: Iterable[Events], size: SensorSize) -> None:
    """Write packets as `options` of faery's `events_to_file` say."""

    def theirs() -> Iterator[Any]:
        for packet in packets:
            for start in range(0, len(packet), _WRITTEN_EVENTS):
                part = packet[start : start + _WRITTEN_EVENTS]
                events = np.empty(len(part), _FAERY_DTYPE)
                for name, field in (("t", "t"), ("x", "x"), ("y", "y"), ("on", "p")):
                    events[name] = part[field]
                yield events

    stream: Callable[..., Any] = load_faery().file_encoder.events_to_file
    stream(theirs(), path, size, use_write_suffix=False, **options)


#: Greatest t, x, y: ES has no field of time but spends a byte on every 127 us without events.
FORMAT = Format(
    "es", (".es",), open_es, partial(write_with_faery, {"file_type": "es", "zero_t0": False}),
    (2**34 - 1, 2**16 - 2, 2**16 - 2),
)  # fmt: skip
