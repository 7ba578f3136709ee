"""ES, and writing AEDAT4 and CSV, through the library faery (LGPL-3, an optional extra).

What is guarded here was measured with faery 0.7.1: `zero_t0=True` (its default) shifts all times and only faery
reads them back; its panics are `BaseException`s; its ES writer changes the caller's array. Other formats are read by
our own codecs, because its readers hold times that go back at the latest one without an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened
from i2e_deploy.events.options import ReadOptions, SensorSize

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


def guarded(packets: Iterator[Any], cut_at: int | None) -> Iterator[Events]:
    """faery's packets as ours; its errors and panics, and a known cut, as `Damaged`."""
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except BaseException as error:
            raise _damage(error, cut_at) from error
        for start in range(0, len(packet), PACKET_EVENTS):
            yield _ours(packet[start : start + PACKET_EVENTS])
    if cut_at is not None:
        raise Damaged("it is cut off", cut_at)


def _damage(error: BaseException, position: int | None) -> BaseException:
    """`error` as `Damaged`, unless it is one that must pass (Ctrl-C, out of memory)."""
    if isinstance(error, Exception) or type(error).__name__ == "PanicException":
        return Damaged(f"faery: {' '.join(str(error).split())[:200]}", position)
    return error


def _ours(packet: Any) -> Events:
    events = np.empty(len(packet), EVENT_DTYPE)
    for name in ("t", "x", "y"):
        events[name] = packet[name]
    events["p"] = packet["on"]
    return events


def _decoder(path: Path, **options: Any) -> Any:
    try:
        return load_faery().file_decoder.Decoder(path, time_range_cache=None, **options)
    except MissingDependency:
        raise
    except BaseException as error:
        raise _damage(error, 0) from error


def _open_es(path: Path, options: ReadOptions) -> Opened:
    decoder = _decoder(path, file_type="es")
    return Opened(decoder.dimensions(), guarded(iter(decoder), None))


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
    "es", (".es",), _open_es, partial(write_with_faery, {"file_type": "es", "zero_t0": False}),
    (2**34 - 1, 2**16 - 2, 2**16 - 2), decoder="faery", encoder="faery",
)  # fmt: skip
