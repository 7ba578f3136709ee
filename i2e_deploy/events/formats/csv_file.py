"""CSV: a line an event, read by us (faery holds times that go back at the latest) and written by faery.

Columns are in the order that the header says, or t, x, y, p without one. Values are whole numbers: t in us, p 0 or 1.
The header that we write gives the sensor's size, as `t,x@320,y@240,on`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, Format, Opened
from i2e_deploy.events.formats.with_faery import write_with_faery

_FIELDS = ("t", "x", "y", "p")
_SPELLINGS = {
    "t": (b"t", b"ts", b"time", b"timestamp"),
    "x": (b"x",),
    "y": (b"y",),
    "p": (b"p", b"on", b"pol", b"polarity"),
}
_SEPARATORS = (b",", b";", b"\t", b" ")
#: Bytes read at a time, and most of a line.
_PIECE, _LONGEST = 2**22, 2**12


def _open(path: Path, stream: str | None) -> Opened:
    with path.open("rb") as file:
        line = file.readline(_LONGEST)
    first = line.strip()
    separator = next((s for s in _SEPARATORS if first.count(s) == 3), None)
    if separator is None:
        raise Damaged(f"its first line {first[:40]!r} has not four columns (t, x, y, p)", 1)
    names, sizes = [], {}
    for column in first.split(separator):
        name, _, side = column.strip().lower().partition(b"@")
        names.append(name)
        if side.isdigit() and len(side) < 6:
            sizes[name] = int(side)
    if names[0].lstrip(b"+-").replace(b".", b"").isdigit():
        order, start, notes = [0, 1, 2, 3], 0, ["it has no header: its columns were taken for t, x, y, p"]
    else:
        order, start, notes = _columns(names), len(line), []
    size = (sizes[b"x"], sizes[b"y"]) if {b"x", b"y"} <= sizes.keys() else None
    header = 1 if start else 0
    return Opened(
        size, _packets(path, start, header, separator, order), notes=notes, locate=partial(_line_of, path, header)
    )


def _columns(names: list[bytes]) -> list[int]:
    """Where t, x, y and p are, from the header line."""
    order = []
    for known in _SPELLINGS.values():
        found = [i for i, name in enumerate(names) if name in known]
        if len(found) != 1:
            raise Damaged(f"its header {b','.join(names)[:40]!r} names no column {known[0].decode()!r}", 1)
        order.append(found[0])
    return order


def _packets(path: Path, start: int, header: int, separator: bytes, order: list[int]) -> Iterator[Events]:
    from i2e_deploy.events.formats.csv_kernels import parse_rows

    lines, rest = header, b""
    with path.open("rb") as file:
        file.seek(start)
        while data := file.read(_PIECE):
            data = rest + data
            end = data.rfind(b"\n") + 1
            data, rest = data[:end], data[end:]
            if len(rest) > _LONGEST:
                raise Damaged(f"a line is longer than {_LONGEST} bytes", lines + data.count(b"\n") + 1)
            yield from _decode(parse_rows, data, separator, order, lines)
            lines += data.count(b"\n")
    if rest:  # the last line may lack its end
        yield from _decode(parse_rows, rest + b"\n", separator, order, lines)


def _decode(
    parse: Callable[..., tuple[int, int]], data: bytes, separator: bytes, order: list[int], before: int
) -> Iterator[Events]:
    """Events of whole lines; `before` lines came before them."""
    if not data:
        return
    rows = np.empty((data.count(b"\n"), 4), np.int64)
    count, taken = parse(np.frombuffer(data, np.uint8), separator[0], rows)
    rows = rows[:count, order]
    wrong = _beyond(rows)
    first = int(wrong.argmax()) if wrong.any() else count
    events = np.empty(first, EVENT_DTYPE)
    for column, name in enumerate(_FIELDS):
        events[name] = rows[:first, column]
    yield events
    if first < count:
        t, x, y, p = rows[first].tolist()
        line = next(islice(_filled(data.splitlines()), first, None)) + before
        raise Damaged(f"t={t} x={x} y={y} p={p}: x and y are 0..65535, p is 0 or 1", line)
    if taken < len(data):
        text = data[taken : taken + 200].split(b"\n")[0].strip()
        hint = " (are times in seconds? us are whole numbers)" if b"." in text else ""
        raise Damaged(
            f"{text[:40]!r} is not four whole numbers t, x, y, p{hint}", before + data.count(b"\n", 0, taken) + 1
        )


def _beyond(rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows whose x, y or p the cast to our dtype would wrap."""
    limits = np.array([2**16, 2**16, 2], np.int64)
    wrong: NDArray[np.bool_] = ((rows[:, 1:] < 0) | (rows[:, 1:] >= limits)).any(axis=1)
    return wrong


def _filled(lines: list[bytes]) -> Iterator[int]:
    """Numbers, from 1, of the lines that hold something."""
    return (number for number, line in enumerate(lines, 1) if line.strip())


def _line_of(path: Path, header: int, index: int) -> int | None:
    """The line of event `index`."""
    with path.open("rb") as file:
        filled = (number for number, line in enumerate(file, 1) if number > header and line.strip())
        return next(islice(filled, index, None), None)


def _count(path: Path) -> int:
    """Lines that are ended, without the header."""
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b"")) - 1


FORMAT = Format(
    "csv", (".csv",), _open, partial(write_with_faery, {"file_type": "csv"}, _count), (2**62, 2**16 - 2, 2**16 - 2),
    "line",
)  # fmt: skip
