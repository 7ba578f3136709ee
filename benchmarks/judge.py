"""The verdict on each row: what a benchmark gave now beside what was committed. Pure, tested, no clock in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from rows import RATIO, Row

#: A row below this share of the committed speed is slow.
LEAST = 2 / 3
Verdict = Literal["ok", "slow", "failed", "not run", "not judged", "new"]
RED: tuple[Verdict, ...] = ("slow", "failed")


@dataclass(frozen=True)
class Outcome:
    """What one run of a short form gave.

    Args:
        rows: in order.
        reasons: why rows are not there.
        failure: what ended it early, "" = nothing did.
    """

    rows: tuple[Row, ...] = ()
    reasons: tuple[str, ...] = ()
    failure: str = ""


@dataclass(frozen=True)
class Committed:
    """The committed rows of one benchmark, and where they were taken."""

    cpu: str
    machine: str
    note: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Args:
        share: speed now over the committed one, whatever the direction of the figure.
        why: of a verdict that the figures do not explain.
    """

    name: str
    committed: Row | None
    now: Row | None
    verdict: Verdict
    share: float | None = None
    why: str = ""


def judge(name: str, committed: Committed | None, outcome: Outcome, this_cpu: str) -> list[Line]:
    """Every committed row, then the new ones; a benchmark without any row gets a line of its own.

    Ratios are always judged, other figures only on the processor that the committed ones were taken on.
    """
    now = {row.name: row for row in outcome.rows}
    before = committed.rows if committed is not None else ()
    same = committed is not None and committed.cpu == this_cpu
    lines = [_judge_row(row, now.pop(row.name, None), outcome, same) for row in before]
    lines += [Line(row.name, None, row, "new") for row in now.values()]
    if outcome.failure and not any(line.verdict == "failed" for line in lines):
        lines.append(Line(name, None, None, "failed", why=outcome.failure))
    elif not lines:
        lines.append(_absent(Line(name, None, None, "not run"), outcome))
    return lines


def _judge_row(committed: Row, now: Row | None, outcome: Outcome, same_cpu: bool) -> Line:
    line = Line(committed.name, committed, now, "ok")
    if now is None:
        return _absent(line, outcome)
    if (now.unit, now.better) != (committed.unit, committed.better):
        return replace(line, verdict="failed", why="unit or direction changed: renew with --write")
    share = now.value / committed.value
    line = replace(line, share=share if now.better == "higher" else 1 / share)
    if now.unit != RATIO and not same_cpu:
        return replace(line, verdict="not judged", why="another processor")
    return line if (line.share or 0) >= LEAST else replace(line, verdict="slow")


def _absent(line: Line, outcome: Outcome) -> Line:
    """The line of a row that was not measured."""
    if outcome.failure:
        return replace(line, verdict="failed", why=outcome.failure)
    if outcome.reasons:
        return replace(line, verdict="not run", why="; ".join(outcome.reasons))
    return replace(line, verdict="failed", why="no longer measured: renew with --write")


def better_of(first: Outcome, second: Outcome) -> Outcome:
    """The better of each row of two runs; a failure or a reason of either stays."""
    rows = {row.name: row for row in first.rows}
    for row in second.rows:
        other = rows.get(row.name, row)
        higher = row.better == "higher"
        rows[row.name] = row if (row.value > other.value) == higher else other
    reasons = tuple(dict.fromkeys(first.reasons + second.reasons))
    return Outcome(tuple(rows.values()), reasons, first.failure or second.failure)
