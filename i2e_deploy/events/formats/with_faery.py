"""AEDAT4, EVT2, DAT, ES and CSV (and reading EVT3) through the library faery (LGPL-3, an optional extra).

What is guarded here was measured with faery 0.7.1: `zero_t0=True` (its default) shifts all times and only faery
reads them back; its panics are `BaseException`s; it takes a missing sensor size for 1280 x 720; it reads a file
cut inside a word without an error; its ES writer changes the caller's array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import MissingDependency
from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.aedat4_guard import check_aedat4
from i2e_deploy.events.formats.base import PACKET_EVENTS, Damaged, Format, Opened, SensorSize
from i2e_deploy.events.formats.raw_header import read_raw_header

_FAERY_DTYPE = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("on", "?")])
#: A packet of an AEDAT4 file is lost whole when it is damaged: as small as a camera's.
_WRITTEN_EVENTS = 2**13
_ANY_SIZE = (2**16 - 1, 2**16 - 1)


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


def _open_aedat4(path: Path) -> Opened:
    load_faery()
    cut_at = check_aedat4(path)
    decoder = _decoder(path, file_type="aedat")
    return Opened(decoder.dimensions(), guarded(iter(decoder), cut_at))


def open_evt(version: str, word: int, path: Path) -> Opened:
    """A RAW file whose words have `word` bytes."""
    header = read_raw_header(path)
    rest = (path.stat().st_size - header.size) % word
    cut_at = path.stat().st_size - rest if rest else None
    size = header.sensor_size or (2**11 - 1, 2**11 - 1)
    decoder = _decoder(path, file_type="evt", version_fallback=version, dimensions_fallback=size)
    return Opened(header.sensor_size, guarded(iter(decoder), cut_at))


def _open_dat(path: Path) -> Opened:
    header = read_raw_header(path)
    rest = (path.stat().st_size - header.size - 2) % 8  # two bytes: event type and size
    cut_at = path.stat().st_size - rest if rest else None
    decoder = _decoder(path, file_type="dat", dimensions_fallback=header.sensor_size or (2**14 - 1, 2**14 - 1))
    return Opened(header.sensor_size, guarded(iter(decoder), cut_at))


def _open_es(path: Path) -> Opened:
    decoder = _decoder(path, file_type="es")
    return Opened(decoder.dimensions(), guarded(iter(decoder), None))


def _open_csv(path: Path) -> Opened:
    faery = load_faery()
    properties = faery.CsvProperties.default()
    with path.open("rb") as file:
        first = file.read(200).split(b"\n")[0].strip()
    separators = [s for s in (b",", b";", b"\t", b" ") if first.count(s) == 3]
    if not separators:
        raise Damaged(f"its first line {first[:40]!r} has not four columns (t, x, y, p)", 1)
    properties.separator = separators[0]
    names, sizes = [], {}
    for column in first.split(separators[0]):
        name, _, side = column.strip().lower().partition(b"@")  # faery writes the sensor's size as `x@320`
        names.append(name)
        if side.isdigit() and len(side) < 6:
            sizes[name] = int(side)
    properties.has_header = not names[0].replace(b".", b"").isdigit()
    if properties.has_header:
        _columns(properties, names)
    decoder = _decoder(path, file_type="csv", csv_properties=properties, dimensions_fallback=_ANY_SIZE)
    size = (sizes[b"x"], sizes[b"y"]) if {b"x", b"y"} <= sizes.keys() else None
    return Opened(size, guarded(iter(decoder), None))


def _columns(properties: Any, names: list[bytes]) -> None:
    """Take the order of the columns from the header line."""
    spellings = {
        "t_index": (b"t", b"ts", b"time", b"timestamp"),
        "x_index": (b"x",),
        "y_index": (b"y",),
        "on_index": (b"p", b"on", b"pol", b"polarity"),
    }
    for attribute, known in spellings.items():
        found = [i for i, name in enumerate(names) if name in known]
        if len(found) != 1:
            raise Damaged(f"its header {b','.join(names)[:40]!r} names no column {known[0].decode()!r}", 1)
        setattr(properties, attribute, found[0])


def _write(options: dict[str, Any], path: Path, packets: Iterable[Events], size: SensorSize) -> None:
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


def _format(name: str, suffixes: tuple[str, ...], opener: Any, limits: tuple[int, int, int], **options: Any) -> Format:
    return Format(name, suffixes, opener, partial(_write, options), limits, "line" if name == "csv" else "byte")


#: Greatest t, x, y: from the bit fields of each format (EVT2 34 bits of time, DAT 32). ES has none but spends a byte on
#: every 127 us without events.
FORMATS = (
    _format("aedat4", (".aedat4",), _open_aedat4, (2**62, 2**15 - 1, 2**15 - 1), file_type="aedat"),
    _format("evt2", (), partial(open_evt, "evt2", 4), (2**34 - 1, 2**11 - 1, 2**11 - 1),
            file_type="evt", version="evt2", zero_t0=False),
    _format("dat", (".dat",), _open_dat, (2**32 - 1, 2**14 - 1, 2**14 - 1),
            file_type="dat", version="dat2", zero_t0=False),
    _format("es", (".es",), _open_es, (2**34 - 1, 2**16 - 2, 2**16 - 2), file_type="es", zero_t0=False),
    _format("csv", (".csv",), _open_csv, (2**62, 2**16 - 2, 2**16 - 2), file_type="csv"),
)  # fmt: skip
