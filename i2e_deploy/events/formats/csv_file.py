"""Text: read by our own parser, written by faery (its reader holds times that go back at the latest).

A line an event, numbers with a comma, semicolon, tab or spaces between them. The columns are as the header names them,
as the caller says, or guessed from the first rows (`columns`). A header is a line of names, also behind `#` or `%`, or
E2VID's `width height`; other lines that start with `#` or `%` are comments. The header that we write gives the sensor's
size, as `t,x@320,y@240,on`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, Events
from i2e_deploy.events.formats.base import Damaged, Format, LeftOut, Opened
from i2e_deploy.events.formats.columns import FIELDS, Converter, Unit, guess_order, guess_unit, match_names, name_of
from i2e_deploy.events.formats.with_faery import write_with_faery
from i2e_deploy.events.options import ReadOptions, SensorSize

_SEPARATORS = (",", ";", "\t")
#: Bytes read at a time, most of a line, and the rows that are looked at.
_PIECE, _LONGEST, _LOOKED_AT = 2**22, 2**12, 1000
_MOST_COLUMNS = 16
_POWERS = {"s": 6, "ms": 3, "us": 0, "ns": -3}
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Head:
    """What stands before the first row.

    Args:
        start: byte at which the rows begin.
        lines: lines before them.
        names: names of the columns, or none.
        size: (width, height) if a line says it.
        separator: between the numbers of a row.
        rows: the first rows, as they stand there.
    """

    start: int
    lines: int
    names: tuple[str, ...]
    size: SensorSize | None
    separator: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Layout:
    """How a row is read: see `csv_kernels.parse_rows`."""

    separator: int
    place: NDArray[np.int64]
    unit: Unit


def _open(path: Path, options: ReadOptions) -> Opened:
    head, notes = _head(path), list[str]()
    order, said = _order(head, options, notes)
    if said is None and any("@" in name for name in head.names):
        said = "us"  # the header of faery, and of what we write
    numbers = _numbers(head.rows, order.index("t"))
    unit = guess_unit(numbers, said, options, notes)
    place = np.array([FIELDS.index(field) if field in FIELDS else -1 for field in order], np.int64)
    layout = Layout(ord(head.separator), place, unit)
    left_out = LeftOut(options.salvage)
    packets = _packets(path, head, layout, notes, left_out, options)
    return Opened(head.size, packets, notes=notes, locate=partial(_line_of, path, head), left_out=left_out)


def _head(path: Path) -> Head:
    """Read up to the first row, and some rows."""
    names: tuple[str, ...] = ()
    size, rows, separator, start, lines = None, list[tuple[str, ...]](), "", 0, 0
    with path.open("rb") as file:
        position = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
        file.seek(position)
        while len(rows) < _LOOKED_AT and (raw := file.readline(_LONGEST)):
            text = raw.decode("utf-8", "replace").strip()
            comment = text[:1] in ("#", "%")
            content = text.lstrip("#%").strip()
            position += len(raw)
            if not rows:
                separator = _separator(content)
                parts = _split(content, separator)
                is_size = len(parts) == 2 and all(part.isdigit() for part in parts)
                if is_size and not comment:
                    size = (int(parts[0][:6]), int(parts[1][:6]))
                elif content and not comment and _is_row(parts):
                    rows.append(parts)
                    continue
                elif parts and (len(match_names(parts)[0]) == len(FIELDS) or (not comment and not names)):
                    names = parts
                start, lines = position, lines + 1
            elif content and not comment:
                rows.append(_split(content, separator))
    sides = {known[0]: known[2] for known in map(name_of, names) if known is not None}
    if sides.get("x") and sides.get("y"):
        size = (sides["x"] or 0, sides["y"] or 0)
    if not rows and len(match_names(names)[0]) < len(FIELDS):
        first = " ".join(names)[:40]
        raise Damaged(f"its first line {first!r} names no columns t, x, y, p, and there are no rows of numbers", 1)
    return Head(start, lines, names, size, separator or ",", tuple(rows))


def _separator(text: str) -> str:
    return next((separator for separator in _SEPARATORS if separator in text), " ")


def _split(text: str, separator: str) -> tuple[str, ...]:
    parts = text.split() if separator == " " else [part.strip() for part in text.split(separator)]
    return tuple(part for part in parts if part or len(parts) > 1)


def _is_row(parts: tuple[str, ...]) -> bool:
    """Whether there are numbers, three at least: names are none."""
    return sum(_is_number(part) for part in parts) >= min(3, len(parts)) and len(parts) > 0


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text[-1:].isdigit() or text.endswith(".")


def _numbers(rows: tuple[tuple[str, ...], ...], column: int) -> NDArray[np.float64]:
    """The numbers of a column of the first rows; what is none is left out."""
    texts = [row[column] for row in rows if len(row) > column]
    return np.array([float(text) for text in texts if _is_number(text)], np.float64)


def _order(head: Head, options: ReadOptions, notes: list[str]) -> tuple[str, str | None]:
    """What each column is, `-` for one that is not read, and the unit that a name says.

    Raises:
        Damaged: neither names nor the caller say it, and it cannot be guessed.
    """
    width = len(head.rows[0]) if head.rows else len(head.names)
    fields, unit = match_names(head.names)
    if width > _MOST_COLUMNS:
        raise Damaged(f"its first row has {width} columns, at most {_MOST_COLUMNS} are read", head.lines + 1)
    if options.columns is not None:
        if len(options.columns) != width:
            word = options.word("columns", options.columns)
            raise Damaged(f"{word} names {len(options.columns)} columns, its first row has {width}", head.lines + 1)
        return options.columns, unit
    if len(fields) == len(FIELDS) and len(head.names) == width:
        by_name = {name: field for field, name in fields.items()}
        order = "".join(by_name.get(name, "-") for name in head.names)
        if "-" in order:
            others = ", ".join(repr(name[:20]) for name in head.names if name not in by_name)
            notes.append(f"columns that are not read: {others}")
        return order, unit
    if head.names:
        missing = [field for field in FIELDS if field not in fields]
        named = ",".join(head.names)[:40]
        word = options.word("columns", "txyp")
        raise Damaged(f"its header {named!r} names no column {(missing or ['of its own'])[0]!r}; give e.g. {word}", 1)
    if width != len(FIELDS):
        raise Damaged(f"its first row has {width} columns, not four (t, x, y, p); give e.g. "
                      f"{options.word('columns', '-' * max(0, width - 4) + 'txyp')}", head.lines + 1)  # fmt: skip
    rows = [row for row in head.rows if len(row) == width and all(map(_is_number, row[:3]))]
    sample = np.array([[_value(part) for part in row] for row in rows], np.float64).reshape(-1, width)
    return guess_order(sample, options, notes), unit


def _value(text: str) -> float:
    """A number, or a polarity in letters."""
    if _is_number(text):
        return float(text)
    return {"true": 1.0, "t": 1.0, "on": 1.0, "false": 0.0, "f": 0.0, "off": 0.0}.get(text.lower(), float("nan"))


def _packets(
    path: Path, head: Head, layout: Layout, notes: list[str], left_out: LeftOut, options: ReadOptions
) -> Iterator[Events]:
    lines, rest = head.lines, b""
    polarities = Converter(layout.unit, left_out, notes)
    with path.open("rb") as file:
        file.seek(head.start or (len(_BOM) if file.read(len(_BOM)) == _BOM else 0))
        while data := file.read(_PIECE):
            data = rest + data
            end = data.rfind(b"\n") + 1
            data, rest = data[:end], data[end:]
            if len(rest) > _LONGEST:
                raise Damaged(f"a line is longer than {_LONGEST} bytes", lines + data.count(b"\n") + 1)
            yield from _decode(data, layout, lines, polarities, left_out, options)
            lines += data.count(b"\n")
    if rest:  # the last line may lack its end
        yield from _decode(rest + b"\n", layout, lines, polarities, left_out, options)


def _decode(
    data: bytes, layout: Layout, lines: int, polarities: Converter, left_out: LeftOut, options: ReadOptions
) -> Iterator[Events]:
    """Events of whole lines; `lines` came before them."""
    from i2e_deploy.events.formats.csv_kernels import parse_rows

    if not data:
        return
    rows = np.empty((data.count(b"\n"), 4), np.int64)
    power = _POWERS[layout.unit.name]
    count, _, bad, first, before = parse_rows(
        np.frombuffer(data, np.uint8),
        layout.separator,
        layout.place,
        power,
        layout.unit.rounded,
        left_out.salvage,
        rows,
    )
    rows = rows[:count]
    events = np.empty(count, EVENT_DTYPE)
    for column, name in enumerate(FIELDS[:3]):
        events[name] = rows[:, column]
    events["p"], known = polarities.polarities(rows[:, 3])
    if not known.all():  # -1 and 0 in one file
        wrong = int(known.argmin())
        line = next(islice(_filled(data.splitlines()), wrong, None)) + lines
        if not left_out.salvage:
            yield events[:wrong]
        said = f"p={rows[wrong, 3]}, but OFF is {-1 - rows[wrong, 3]} in the rows before"
        left_out.met(said, line, polarities.before + wrong, int((~known).sum()))
        events = events[known]
    yield events
    if first >= 0:
        text = data[first : first + 200].split(b"\n")[0].strip()
        line = lines + data.count(b"\n", 0, first) + 1
        left_out.met(_trouble(text, layout, options), line, polarities.before + before, max(bad, 1))
    polarities.before += count


def _trouble(text: bytes, layout: Layout, options: ReadOptions) -> str:
    """Why a line is no event."""
    parts = _split(text.decode("utf-8", "replace"), chr(layout.separator))
    place = layout.place.tolist()
    if len(parts) == len(place) and all(_is_number(part) for part, at in zip(parts, place, strict=True) if at >= 0):
        row = {FIELDS[at]: part for part, at in zip(parts, place, strict=True) if at >= 0}
        said = " ".join(f"{name}={row[name][:24]}" for name in FIELDS)
        if "." in row["t"] and not layout.unit.rounded:
            return (
                f"{said}: its times were whole us so far (are times in seconds? give {options.word('time_unit', 's')})"
            )
        return f"{said}: x and y are 0..65535, p is 0 or 1, t within 2^60 us"
    return f"{text[:40]!r} is not {len(place)} numbers ({', '.join(FIELDS[at] if at >= 0 else '-' for at in place)})"


def _filled(lines: list[bytes]) -> Iterator[int]:
    """Numbers, from 1, of the lines that hold a row."""
    return (number for number, line in enumerate(lines, 1) if _holds_row(line))


def _holds_row(line: bytes) -> bool:
    text = line.strip()
    return bool(text) and text[:1] not in (b"#", b"%")


def _line_of(path: Path, head: Head, index: int) -> int | None:
    """The line of event `index`."""
    with path.open("rb") as file:
        filled = (number for number, line in enumerate(file, 1) if number > head.lines and _holds_row(line))
        return next(islice(filled, index, None), None)


def _count(path: Path) -> int:
    """Lines that are ended, without the header."""
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(_PIECE), b"")) - 1


FORMAT = Format(
    "csv", (".csv", ".txt", ".tsv"), _open, partial(write_with_faery, {"file_type": "csv"}, _count),
    (2**62, 2**16 - 2, 2**16 - 2), "line", encoder="faery",
    remarks="separator, order and unit from the header, from the options, or guessed and said; `#` and `%` comments, "
    "fractions of seconds, polarities 0/1, -1/1, True/False; `.txt` is read only where the file itself is named",
)  # fmt: skip
