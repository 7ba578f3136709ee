"""What a board's answers change: options of its simulation, limits and power of its estimates; and what they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from i2e_deploy.chips.answers import BoardAnswers
from i2e_deploy.chips.dynapcnn.estimates.power import Coefficients
from i2e_deploy.chips.dynapcnn.probing.probe import questions
from i2e_deploy.chips.dynapcnn.probing.question import Question
from i2e_deploy.chips.dynapcnn.probing.rates import coefficients
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.profile import Limit, Profile

#: Questions whose answers are fields of the event filter, and of the readout.
OF_FILTER = {"own_pixel": "own_pixel", "hot_pixels": "hot_pixels"}
OF_READOUT = {"readout_tie": "tie", "readout_average": "average"}
#: Figures that are limits of the profile.
LIMITS = ("synops_rate", "synops_rate_parallel")


@dataclass(frozen=True)
class Used:
    """What is taken over of a board's answers. An answer that this version does not know is left out and named.

    Args:
        answers: of the board.
        options: values of `EventOptions`, by name.
        event_filter, readout: values of `EventFilter` and of `Readout`, by field.
    """

    answers: BoardAnswers
    options: dict[str, str]
    event_filter: dict[str, str]
    readout: dict[str, str]

    @property
    def source(self) -> str:
        """Where they come from, as estimates say it."""
        board = self.answers
        return f"probe of a {board.board} ({board.target}) on {board.asked_on}"

    def program(self, program: CoreNetwork) -> CoreNetwork:
        """The blocks around the cores as the board's are."""
        change: Any = replace  # the values are alternatives, which are those of the fields
        if program.event_filter is not None and self.event_filter:
            program = replace(program, event_filter=change(program.event_filter, **self.event_filter))
        if program.readout is not None and self.readout:
            program = replace(program, readout=change(program.readout, **self.readout))
        return program

    def profile(self, profile: Profile) -> Profile:
        """The rates of its cores in the place of the profile's, the slowest that was measured."""
        found = {name: figure for name in LIMITS if (figure := self.answers.figure(name)) is not None}
        limits = {
            name: Limit(max(1, int(figure.low)), profile.limit(name).unit, "calibrated", self.source)
            for name, figure in found.items()
        }
        return replace(profile, limits={**profile.limits, **limits})

    def power(self) -> Coefficients | None:
        """Its energy per operation, where it was measured."""
        return coefficients(self.answers.measured, self.source)

    def told(self) -> tuple[str, ...]:
        """What is taken over and what is not, a sentence each."""
        return tuple(_told(self))


def use(answers: BoardAnswers) -> Used:
    """What the simulation of that board takes over."""
    known, options, blocks = _known(), dict[str, str](), (dict[str, str](), dict[str, str]())
    for name, answer in answers.settled().items():
        if name not in known or answer not in known[name].ways:
            continue
        if known[name].settles:
            options[known[name].settles] = answer
        for fields, found in zip((OF_FILTER, OF_READOUT), blocks, strict=True):
            if name in fields:
                found[fields[name]] = answer
    return Used(answers, options, *blocks)


def _known() -> dict[str, Question]:
    return {question.name: question for question in questions()}


def _told(used: Used) -> Iterator[str]:
    answers = used.answers
    where = "" if answers.silicon else ", which is no silicon"
    yield f"answers of a {answers.board} ({answers.target}{where}), asked on {answers.asked_on}"
    default = EventOptions()
    taken = [
        f"{name}={value}{'' if value == getattr(default, name) else ' (not the default)'}"
        for name, value in used.options.items()
    ]
    taken += [f"{name} of the event filter={value}" for name, value in used.event_filter.items()]
    taken += [f"{name} of the readout={value}" for name, value in used.readout.items()]
    yield f"simulated as it answered: {', '.join(taken) or 'nothing'}"
    figures = [f"{name} {figure}" for name in LIMITS if (figure := answers.figure(name)) is not None]
    figures += ["energy per operation"] if used.power() is not None else []
    if figures:
        yield f"estimates use what was measured: {', '.join(figures)}"
    still = [f"{each.name} ({each.answer})" for each in answers.answers if not each.settled]
    if still:
        yield f"still open: {', '.join(still)}"
    yield from _otherwise(used)


def _otherwise(used: Used) -> Iterator[str]:
    """Answers that the simulation does not follow."""
    known = _known()
    for name, answer in used.answers.settled().items():
        question = known.get(name)
        if question is None or answer not in question.ways:
            yield f"not simulated: {name} is {answer!r}, which this version does not know"
            continue
        taken_over = question.settles or name in OF_FILTER or name in OF_READOUT
        simulated = used.options.get(question.beside, next(iter(question.ways)))
        if not taken_over and answer != simulated:
            yield f"not simulated: {question.asks}: the board says {answer!r}, the simulation {simulated!r}"
