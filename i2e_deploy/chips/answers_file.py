"""The file of a board's answers (`i2e-deploy probe`, `--board-file`): JSON, every key needed and no other allowed.

{"format": "i2e-deploy-board", "format_version": 1,
 "chip": "speck2f",                     the profile
 "board": "Speck2fDevKit",              its type; no serial number, no name of a person or of a machine
 "target": "board",                     how it was reached; "fake-board" and "lava" are no silicon
 "asked_on": "2026-11-29",              the day
 "software": "i2e-deploy 0.3, samna 0.46",
 "seconds": 41.5, "events": 5120,       of the board's time; sent in
 "answers": [
   {"name": "overflow", "asks": "...", "answer": "saturate", "counts": {"saturate": 10, "wrap": 0}, "asked": 10,
    "note": "", "seen": []},            seen: {"times": 10, "rows": [[0, 1, 0, 0, 2], ...]} that nobody predicted
   ...],
 "measured": [
   {"name": "synops_rate", "asks": "...", "low": 2.9e7, "high": 3.1e7, "unit": "synaptic operations / s",
    "readings": 10, "note": ""},
   ...]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from i2e_deploy.chips.answers import (
    KEPT,
    KEPT_ROWS,
    NONE,
    NOT_ASKED,
    VARIES,
    Answer,
    BoardAnswers,
    Measured,
    Seen,
    summary,
)
from i2e_deploy.chips.checked import checked_integer
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import check_exists, replacing

FORMAT, FORMAT_VERSION = "i2e-deploy-board", 1
#: Largest file that is read, bytes; longest text, characters; most questions or figures; most alternatives.
MAX_BYTES, MAX_TEXT, MAX_ROWS, MAX_ALTERNATIVES = 2**20, 500, 200, 50
#: Most repeats, events or integers of a row; largest figure of any unit.
MOST, LARGEST = 10**9, 1e18
_DAY = re.compile(r"\d{4}-[01]\d-[0-3]\d")
T = TypeVar("T")


def write_answers(answers: BoardAnswers, path: Path) -> None:
    """Write the file, whole or not at all.

    Raises:
        InputError: a value that `read_answers` would refuse, or the file cannot be written.
    """
    data = {"format": FORMAT, "format_version": FORMAT_VERSION, **summary(answers)}
    try:
        _answers(data)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"answers cannot be written to {path}: {error}") from error
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_answers(path: Path) -> BoardAnswers:
    """The answers of one board.

    Raises:
        InputError: no such file, or too large.
        FileFormatError: not such a file: a key, a type or a range is wrong.
    """
    check_exists(path, MAX_BYTES)
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        if not isinstance(data, dict):
            raise ValueError("it is no object")
        if (data.get("format"), data.get("format_version")) != (FORMAT, FORMAT_VERSION):
            raise ValueError(f"format is {str(data.get('format'))[:40]!r} {str(data.get('format_version'))[:20]}")
        return _answers(data)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FileFormatError(
            f"{path} holds no answers of a board: {str(error)[:200]}; write it with `i2e-deploy probe`"
        ) from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _answers(data: Mapping[str, Any]) -> BoardAnswers:
    texts = ("chip", "board", "target", "asked_on", "software")
    _keys(data, "format", "format_version", *texts, "seconds", "events", "answers", "measured")
    chip, board, target, asked_on, software = (_text(name, data[name]) for name in texts)
    if not _DAY.fullmatch(asked_on):
        raise ValueError(f"asked_on is {asked_on!r}: a day, YYYY-MM-DD")
    answers, measured = _rows("answers", data["answers"], _answer), _rows("measured", data["measured"], _measured)
    for name in ("answers", "measured"):
        names = [row["name"] for row in data[name]]
        if len(set(names)) < len(names):
            raise ValueError(f"{name} has a name twice")
    seconds = _number("seconds", data["seconds"], 0.0)
    events = checked_integer(data["events"], 0, MOST)
    return BoardAnswers(chip, board, target, asked_on, software, answers, measured, seconds, events)


def _answer(row: Any) -> Answer:
    _keys(row, "name", "asks", "answer", "counts", "asked", "note", "seen")
    counts = row["counts"]
    if not isinstance(counts, dict) or not 1 <= len(counts) <= MAX_ALTERNATIVES:
        raise ValueError(f"counts of {str(row['name'])[:40]!r} are no object of 1 to {MAX_ALTERNATIVES} alternatives")
    name, asked = _text("name", row["name"]), checked_integer(row["asked"], 0, MOST)
    found = {_text("alternative", key): checked_integer(value, 0, asked) for key, value in counts.items()}
    answer = _text("answer", row["answer"])
    if answer not in (*found, NONE, VARIES, NOT_ASKED):
        raise ValueError(f"answer of {name!r} is {answer!r}: none of its alternatives")
    if not isinstance(row["seen"], list) or len(row["seen"]) > KEPT:
        raise ValueError(f"seen of {name!r} is no list of at most {KEPT}")
    seen = tuple(_seen(each) for each in row["seen"])
    if sum(found.values()) + sum(each.times for each in seen) > asked:
        raise ValueError(f"{name!r} was asked {asked} times and counts more")
    if answer in found and not found[answer]:
        raise ValueError(f"answer of {name!r} is {answer!r}, which no repeat followed")
    return Answer(name, _text("asks", row["asks"]), answer, found, asked, seen, _text("note", row["note"], 0))


def _seen(row: Any) -> Seen:
    _keys(row, "times", "rows")
    if not isinstance(row["rows"], list) or len(row["rows"]) > KEPT_ROWS:
        raise ValueError(f"rows that were seen are no list of at most {KEPT_ROWS}")
    rows = []
    for each in row["rows"]:
        if not isinstance(each, list) or len(each) > 16:
            raise ValueError("a row that was seen is no list of at most 16 integers")
        rows.append(tuple(checked_integer(value, -MOST, MOST) for value in each))
    return Seen(checked_integer(row["times"], 1, MOST), tuple(rows))


def _measured(row: Any) -> Measured:
    _keys(row, "name", "asks", "low", "high", "unit", "readings", "note")
    low, high = (_number(name, row[name], -LARGEST) for name in ("low", "high"))
    if low > high:
        raise ValueError(f"{str(row['name'])[:40]!r} is from {low:g} to {high:g}")
    texts = [_text(name, row[name]) for name in ("name", "asks", "unit")]
    readings = checked_integer(row["readings"], 1, MOST)
    return Measured(texts[0], texts[1], low, high, texts[2], readings, _text("note", row["note"], 0))


def _keys(row: Any, *wanted: str) -> None:
    if not isinstance(row, dict):
        raise ValueError(f"{str(row)[:40]!r} is no object")
    if set(row) != set(wanted):
        raise ValueError(f"keys {sorted(str(key)[:40] for key in set(wanted) ^ set(row))[:5]} are missing or unknown")


def _rows(name: str, rows: Any, read: Callable[[Any], T]) -> tuple[T, ...]:
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise ValueError(f"{name} is no list of at most {MAX_ROWS}")
    return tuple(read(row) for row in rows)


def _text(name: str, value: Any, least: int = 1) -> str:
    if not isinstance(value, str) or not least <= len(value) <= MAX_TEXT or not (value.isprintable()):
        raise ValueError(f"{name} is no printable text of {least} to {MAX_TEXT} characters")
    return value


def _number(name: str, value: Any, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LARGEST:
        raise ValueError(f"{name} is {str(value)[:40]}: a number from {least:g} to {LARGEST:g}")
    return float(value)
