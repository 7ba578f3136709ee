"""Tables of events: which column is which, in what unit its times are, and checked numbers as events.

People write t, x, y, p in every order, times in s, ms, us or ns, and polarities as 0/1 or -1/1. What names, headers and
the caller do not say is guessed from the first rows, and said: each guess is a note of the reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.events.array import EVENT_DTYPE, FAR, Events
from i2e_deploy.events.formats.base import Damaged, LeftOut
from i2e_deploy.events.options import UNITS, ReadOptions

FIELDS = ("t", "x", "y", "p")
#: Names that people give the columns.
_SPELLINGS = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "x": ("x", "xs", "col", "column"),
    "y": ("y", "ys", "row"),
    "p": ("p", "ps", "on", "pol", "polarity", "polarities"),
}
_UNIT_NAMES = {"s": "s", "sec": "s", "seconds": "s", "ms": "ms", "us": "us", "µs": "us", "microseconds": "us",
               "ns": "ns", "nanoseconds": "ns"}  # fmt: skip
#: Orders that are met in tables without names (E2VID and v2e, MVSEC, DVS Gesture), the most usual first.
_ORDERS = ("txyp", "xytp", "xypt")
#: Share of the rows whose time may be before that of the row in front.
_FALLS = 0.02


def name_of(column: str) -> tuple[str, str | None, int | None] | None:
    """Field, unit and size that the name of a column says, e.g. `t[us]`, `timestamp_ns`, `x@346`; None: another."""
    text, _, side = column.strip().strip("\"'").lower().partition("@")
    match = re.fullmatch(r"([a-z]+?)(?:\s*[\[(]\s*([a-zµ]+)\s*[\])]|_([a-zµ]+))?", text.strip())
    if match is None:
        return None
    unit = match[2] or match[3]
    if unit is not None and unit not in _UNIT_NAMES:
        return None
    size = int(side) if re.fullmatch(r"\d{1,5}", side) else None
    for field, names in _SPELLINGS.items():
        if match[1] in names and (unit is None or field == "t"):
            return field, _UNIT_NAMES.get(unit or ""), size
    return None


def match_names(names: Iterable[str]) -> tuple[dict[str, str], str | None]:
    """Field to the name of its column, as far as there is exactly one; and the unit of the times, if a name says it."""
    found: dict[str, list[str]] = {field: [] for field in FIELDS}
    unit = None
    for name in names:
        known = name_of(name)
        if known is not None:
            found[known[0]].append(name)
            unit = known[1] or unit
    return {field: columns[0] for field, columns in found.items() if len(columns) == 1}, unit


def guess_order(rows: NDArray[np.float64], options: ReadOptions, notes: list[str]) -> str:
    """Order of the columns of a table without names, from its first rows [N, 4].

    Raises:
        Damaged: no usual order fits.
    """
    if options.columns is not None:
        return options.columns
    fitting = [order for order in _ORDERS if _fits(rows, order)]
    rising = [order for order in fitting if _goes_on(rows[:, order.index("t")], True)]
    standing = [order for order in fitting if _goes_on(rows[:, order.index("t")], False)]
    fitting = rising or standing or (fitting if len(fitting) == 1 else [])
    if not fitting:
        word = options.word("columns", "txyp")
        raise Damaged(f"its columns have no names, and its first rows fit no usual order: say it, e.g. {word}", None)
    order = fitting[0]
    note = f"it has no header: its columns were taken for {', '.join(order)}"
    if len(fitting) > 1:
        others = " or ".join(options.word("columns", other) for other in fitting[1:])
        note += f"; the first rows also fit {others}"
    notes.append(note)
    return order


def _fits(rows: NDArray[np.float64], order: str) -> bool:
    """Whether the values of each column can be what `order` says."""
    t, x, y, p = (rows[:, order.index(field)] for field in FIELDS)
    pixels = np.concatenate([x, y])
    polarities = set(np.unique(p).tolist())
    return bool(
        np.isfinite(t).all()
        and (polarities <= {0.0, 1.0} or polarities <= {-1.0, 1.0})
        and ((pixels >= 0) & (pixels < 2**16) & (pixels == np.floor(pixels))).all()
    )


def _goes_on(t: NDArray[np.float64], rises: bool) -> bool:
    """Whether a column can be times: it hardly ever falls (recordings may be out of order), and rises where `rises`."""
    steps = np.diff(t)
    return bool((steps < 0).sum() <= _FALLS * len(t) and (not rises or (steps > 0).any() or len(t) < 2))


def guess_unit(t: NDArray[np.float64], said: str | None, options: ReadOptions, notes: list[str]) -> Unit:
    """The unit of times [N]: as the caller or the header says; else s where there are fractions, us where not."""
    given = options.time_unit or said
    if given is not None:
        return Unit(given, True)
    if (t != np.floor(t)).any():
        notes.append(
            f"its times have fractions: taken for seconds; {options.word('time_unit', 'ms')} says another unit"
        )
        return Unit("s", True)
    notes.append(f"nothing says the unit of its times: taken for us; {options.word('time_unit', 's')} says another")
    return Unit("us", False)


@dataclass(frozen=True)
class Unit:
    """The unit of times.

    Args:
        name: a key of `UNITS`.
        rounded: whether a fraction of a us is rounded; else it cannot be (whole us were guessed).
    """

    name: str
    rounded: bool


class Converter:
    """Columns of numbers to events, checked.

    Args:
        unit: of the times.
        offset: us that are added to the times.
        left_out: takes the rows that cannot be events.
        notes: gets what was assumed about polarities.
    """

    def __init__(self, unit: Unit, left_out: LeftOut, notes: list[str], offset: int = 0) -> None:
        self._unit, self._offset, self._left_out, self._notes = unit, offset, left_out, notes
        self._off: int | None = None
        self.before = 0

    def events(self, columns: Mapping[str, NDArray[Any]]) -> Iterator[Events]:
        """Events of columns t, x, y, p [N]; rows that cannot be are left out, or `Damaged` names the first."""
        events = np.empty(len(columns["t"]), EVENT_DTYPE)
        right = np.ones(len(events), bool)
        for name in ("x", "y"):
            values = _real(columns[name])
            right &= (values >= 0) & (values < 2**16) & _whole(values)
            events[name] = np.where(right, values, 0)
        events["p"], known = self.polarities(columns["p"])
        right &= known
        t = _real(columns["t"])
        times, possible = self._times(t)
        events["t"] = times + self._offset
        right &= possible
        if not right.all():
            first = int(right.argmin())
            row = " ".join(f"{name}={columns[name][first]}" for name in FIELDS)
            said = f"row {self.before + first} is {row}: x and y are 0..65535, p is 0 or 1 (or -1 or 1), t a whole us"
            if not self._left_out.salvage:
                yield events[:first]
            self._left_out.met(said, None, self.before + first, int((~right).sum()))
            events = events[right]
        self.before += len(right)
        yield events

    def polarities(self, values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Polarities 0 or 1 [N], and which values can be one: 1 is ON; OFF is 0, or -1 in the whole file."""
        values = _real(values)
        if self._off is None:
            low = values[(values == 0) | (values == -1)]
            if len(low):
                self._off = int(low[0])
                if self._off == -1:
                    self._notes.append("its polarities are -1 and 1: -1 was taken for OFF")
        known = (values == 1) | (values == (0 if self._off is None else self._off))
        return (values == 1).astype(np.uint8), known

    def _times(self, t: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        up, down = UNITS[self._unit.name]
        if t.dtype.kind == "f":
            with np.errstate(over="ignore", invalid="ignore"):
                scaled = t * up / down
            right = np.isfinite(scaled) & (np.abs(scaled) <= FAR)
            if not self._unit.rounded:
                right &= _whole(t)
            return np.rint(np.where(right, scaled, 0)).astype(np.int64), right
        most = min(2**63 - 1, FAR * down // up)
        right = (t <= most) & (t >= -most if t.dtype.kind == "i" else np.True_)
        whole = np.where(right, t, 0).astype(np.int64)
        return (whole * up if down == 1 else (whole + down // 2) // down), right


def _real(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers that compare with any integer: booleans and short integers as int64, short floats as float64."""
    if values.dtype.kind == "u" and values.dtype.itemsize == 8:
        return values
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64, copy=False)


def _whole(values: NDArray[Any]) -> NDArray[np.bool_]:
    whole: NDArray[np.bool_] = values == np.floor(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    return whole
