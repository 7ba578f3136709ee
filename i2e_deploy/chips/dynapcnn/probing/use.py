"""What a board's answers change: options of its simulation, limits and power of its estimates; and what they cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from i2e_deploy.chips.answers import BoardAnswers
from i2e_deploy.chips.dynapcnn.probing.probe import questions
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, choices


class Used(NamedTuple):
    """What is taken over.

    Args:
        options: values of `EventOptions` by name.
        told: what is taken over and what is not, a sentence each.
    """

    options: dict[str, str]
    told: tuple[str, ...]


def use(answers: BoardAnswers) -> Used:
    """What the simulation of that board takes over, and what is to be said about it.

    An answer that this version of the questionnaire does not know is named and left out.
    """
    settles = {question.name: question.settles for question in questions()}
    settled, allowed = answers.settled(), choices()
    options = {
        settles[name]: answer
        for name, answer in settled.items()
        if settles.get(name) and answer in allowed[settles[name]]
    }
    return Used(options, tuple(_told(answers, options)))


def _told(answers: BoardAnswers, options: dict[str, str]) -> Iterator[str]:
    where = "" if answers.silicon else ", which is no silicon"
    yield f"answers of a {answers.board} ({answers.target}{where}), asked on {answers.asked_on}"
    default = EventOptions()
    taken = [f"{name}={value}{'' if value == getattr(default, name) else ' (not the default)'}"
             for name, value in options.items()]  # fmt: skip
    yield f"simulated as it answered: {', '.join(taken) or 'nothing'}"
    still = [f"{each.name} ({each.answer})" for each in answers.answers if not each.settled]
    if still:
        yield f"still open: {', '.join(still)}"
    yield from _otherwise(answers, options)


def _otherwise(answers: BoardAnswers, options: dict[str, str]) -> Iterator[str]:
    """Answers that the simulation does not follow."""
    known = {question.name: question for question in questions()}
    for name, answer in answers.settled().items():
        question = known.get(name)
        if question is None or answer not in question.ways:
            yield f"not simulated: {name} is {answer!r}, which this version does not know"
        elif not question.settles and answer != (simulated := options.get(question.beside, next(iter(question.ways)))):
            yield f"not simulated: {question.asks}: the board says {answer!r}, the simulation {simulated!r}"
