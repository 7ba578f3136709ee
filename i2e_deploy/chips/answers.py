"""What a board answered when it was asked about the points that public text leaves open: plain records of any chip.

An answer rests on repeats. Each repeat of a question gives an observation; the alternatives predict one each. The
most frequent observation decides: an alternative's, then that is the answer; or none of theirs, then the answer is
`NONE` and what was seen is kept. A repeat in which rows are missing, as when spikes are lost on the way, still follows
an alternative if only that one can be meant (`bears`); else it matches nothing, costs certainty and decides nothing, as
long as it is not the most frequent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from i2e_deploy.text import counted, record_repr, said

#: Answers that are no alternative: the board did something else; it did now this and now that; it could not be asked.
NONE, VARIES, NOT_ASKED = "none of these", "varies", "not asked"
#: Repeats that must follow an alternative before it is an answer.
FEWEST = 3
#: Most repeats of a question.
MOST_REPEATS = 1000
#: An answer needs so many times the repeats of the alternative that comes next.
MARGIN = 4
#: Of so many rows one may be missing in an observation.
MISSING = 8
#: Different observations that an answer keeps, and spikes of each.
KEPT, KEPT_ROWS = 3, 256

#: What one repeat gave, as a question looks at it: rows of integers, in an order that does not depend on the board.
Observation = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Seen:
    """An observation that no alternative predicts: how often it came, and its rows (the first `KEPT_ROWS`)."""

    times: int
    rows: Observation

    __repr__ = record_repr


@dataclass(frozen=True)
class Answer:
    """One question and what came of it.

    Args:
        name: of the point, as the chip's profile has it where it does.
        asks: what is not known, in a sentence.
        answer: an alternative, or `NONE`, `VARIES`, `NOT_ASKED`.
        counts: repeats that followed each alternative.
        asked: repeats in all; those in no count followed none.
        seen: what came instead of the alternatives, the most frequent first.
        note: why it was not asked, or what else is to be known; may be empty.
    """

    name: str
    asks: str
    answer: str
    counts: Mapping[str, int]
    asked: int
    seen: tuple[Seen, ...] = ()
    note: str = ""

    __repr__ = record_repr

    @property
    def settled(self) -> bool:
        """Whether an alternative was found."""
        return self.answer in self.counts

    @property
    def followed(self) -> int:
        """Repeats that followed the answer; for `NONE` those with the most frequent observation."""
        if self.settled:
            return self.counts[self.answer]
        return self.seen[0].times if self.answer == NONE and self.seen else 0


@dataclass(frozen=True)
class Measured:
    """A figure of one board, `low` to `high` of `unit`, of so many readings.

    Args:
        name: of the figure, e.g. `synops_rate`.
        asks: what was measured, in a sentence.
        note: what bounds it; may be empty.
    """

    name: str
    asks: str
    low: float
    high: float
    unit: str
    readings: int
    note: str = ""

    __repr__ = record_repr

    def __str__(self) -> str:
        ends = [f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" for value in (self.low, self.high)]
        return f"{' to '.join(dict.fromkeys(ends))} {self.unit}"


@dataclass(frozen=True)
class BoardAnswers:
    """All that one board answered.

    Args:
        chip: name of the profile.
        board: its type, as the vendor's software names it; no serial number.
        target: how it was reached, e.g. `board`; one that begins with `fake` is no silicon.
        asked_on: the day, `YYYY-MM-DD`.
        software: versions of what asked, in a line.
        seconds: of the board's time that all questions took.
        events: input events that were sent.
    """

    chip: str
    board: str
    target: str
    asked_on: str
    software: str
    answers: tuple[Answer, ...]
    measured: tuple[Measured, ...] = ()
    seconds: float = 0.0
    events: int = 0

    def __repr__(self) -> str:
        count = sum(answer.settled for answer in self.answers)
        told = f"{count} of {counted(len(self.answers), 'question')} settled"
        return said(self, repr(self.chip), repr(self.board), self.target, told, counted(len(self.measured), "figure"))

    @property
    def silicon(self) -> bool:
        """Whether a chip answered, and no stand-in."""
        return self.target.partition(":")[0] in SILICON

    def settled(self) -> dict[str, str]:
        """Alternatives that were found, by question."""
        return {answer.name: answer.answer for answer in self.answers if answer.settled}

    def figure(self, name: str) -> Measured | None:
        """The figure of that name, if it was measured."""
        return next((each for each in self.measured if each.name == name), None)


#: Kinds of targets behind which there is a chip.
SILICON = ("board",)


def decide(
    name: str, asks: str, predicted: Mapping[str, Sequence[Observation]], observed: Sequence[Observation]
) -> Answer:
    """The answer that the repeats give.

    Args:
        predicted: by alternative what it predicts; several where something else that is not known moves it.
        observed: one a repeat.
    """
    meant = {seen: meant_by(seen, predicted) for seen in set(observed)}
    counts = dict.fromkeys(predicted, 0) | Counter(found for seen in observed if (found := meant[seen]) is not None)
    others = Counter(seen for seen in observed if meant[seen] is None).most_common()
    kept = tuple(Seen(times, rows[:KEPT_ROWS]) for rows, times in others[:KEPT])
    ranked = [*sorted(counts.values(), reverse=True), 0]
    if kept and kept[0].times >= max(ranked[0], FEWEST):
        answer = NONE
    elif ranked[0] >= FEWEST and ranked[0] >= MARGIN * ranked[1]:
        answer = max(counts, key=lambda alternative: counts[alternative])
    else:
        answer = VARIES
    return Answer(name, asks, answer, counts, len(observed), kept)


def meant_by(seen: Observation, predicted: Mapping[str, Sequence[Observation]]) -> str | None:
    """The alternative that an observation follows, a few rows missing or not; None: none, or not one alone."""
    exact = [name for name, all_rows in predicted.items() if seen in all_rows]
    if exact:
        return exact[0]
    most, rows = bears(predicted), Counter(seen)
    near = [
        name
        for name, all_rows in predicted.items()
        if any(not rows - Counter(full) and len(full) - len(seen) <= most for full in all_rows)
    ]
    return near[0] if len(near) == 1 else None


def bears(predicted: Mapping[str, Sequence[Observation]]) -> int:
    """Rows that may be missing: fewer than tell any two alternatives apart, and an eighth of what is predicted at most,
    so that something else does not pass for an alternative."""
    apart = [
        sum((Counter(one) - Counter(other)).values())
        for first, ones in predicted.items()
        for second, others in predicted.items()
        if first != second
        for one in ones
        for other in others
    ]
    shortest = min(len(rows) for all_rows in predicted.values() for rows in all_rows)
    return max(0, min(min(apart) - 1, shortest // MISSING)) if apart else 0


def summary(answers: BoardAnswers) -> dict[str, Any]:
    """Plain data for JSON, as the file has it; see `answers_file`."""
    return {
        "chip": answers.chip,
        "board": answers.board,
        "target": answers.target,
        "asked_on": answers.asked_on,
        "software": answers.software,
        "seconds": answers.seconds,
        "events": answers.events,
        "answers": [
            {
                "name": each.name, "asks": each.asks, "answer": each.answer, "counts": dict(each.counts),
                "asked": each.asked, "note": each.note,
                "seen": [{"times": seen.times, "rows": [list(row) for row in seen.rows]} for seen in each.seen],
            }
            for each in answers.answers
        ],
        "measured": [dict(vars(each)) for each in answers.measured],
    }  # fmt: skip
