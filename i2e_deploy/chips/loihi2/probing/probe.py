"""The questionnaire through Lava: on the chip with Intel's extension, or on Lava's `fixed_pt` models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from i2e_deploy.chips.answers import FEWEST, MOST_REPEATS, Answer, BoardAnswers, decide
from i2e_deploy.chips.loihi2.probing.questions import Question, questions
from i2e_deploy.chips.loihi2.targets.lava.run import run_lava
from i2e_deploy.errors import InputError
from i2e_deploy.version import __version__

#: Where questions are asked, and what stands there.
TARGETS = {"board": "Loihi 2, by Loihi2HwCfg", "lava": "Lava's fixed_pt models"}
Progress = Callable[[int, str], None]


def probe(
    chip: str, target: str, repeats: int = FEWEST, only: Sequence[str] = (), progress: Progress = lambda *_: None
) -> BoardAnswers:
    """Ask.

    Raises:
        InputError: no such target or question.
        MissingDependency: Lava, or for `board` Intel's extension, is not installed.
        I2EDeployError: Lava failed.
    """
    if target not in TARGETS:
        raise InputError(f"--target {target}: choose {' or '.join(TARGETS)}")
    known = questions()
    strangers = sorted(set(only) - {question.name for question in known})
    if strangers:
        names = ", ".join(question.name for question in known)
        raise InputError(f"no question {strangers[0]!r}: choose of {names}")
    if not FEWEST <= repeats <= MOST_REPEATS:
        raise InputError(f"{repeats} repeats: give {FEWEST} to {MOST_REPEATS}")
    asked = [question for question in known if not only or question.name in only]
    began, answers = datetime.now(timezone.utc), []
    for i, question in enumerate(asked):
        progress(i, question.name)
        answers.append(answer(question, repeats, target == "board"))
    progress(len(asked), "")
    software = f"i2e-deploy {__version__}, lava-nc {_version('lava-nc')}"
    seconds = (datetime.now(timezone.utc) - began).total_seconds()
    events = repeats * sum(int(question.frames.sum()) for question in asked)
    day = began.date().isoformat()
    return BoardAnswers(chip, TARGETS[target], target, day, software, tuple(answers), (), seconds, events)


def answer(question: Question, repeats: int, hardware: bool) -> Answer:
    """One question, each repeat from a fresh state."""
    frames = np.repeat(question.frames[None], repeats, axis=0)
    trace = run_lava(question.network, frames, "chip", hardware)
    states, name = trace.states["asked"], question.network.blocks[0].name
    seen = [question.observe(trace.spikes[name][i], states["u"][i], states["v"][i]) for i in range(repeats)]
    return decide(question.name, question.asks, question.predicted, seen)


def told(answers: BoardAnswers) -> Iterator[str]:
    """What the simulator has like that board and what not; it has no options, so nothing else changes."""
    where = "" if answers.silicon else ", which is no silicon"
    yield f"answers of {answers.board} ({answers.target}{where}), asked on {answers.asked_on}"
    known, settled = {question.name: question for question in questions()}, answers.settled()
    same = [name for name, found in settled.items() if name in known and found == known[name].alternatives[0]]
    yield f"simulated as it answered: {', '.join(same) or 'nothing'}"
    for each in answers.answers:
        if not each.settled:
            yield f"still open: {each.name} ({each.answer})"
        elif each.name not in known or each.answer not in known[each.name].ways:
            yield f"not simulated: {each.name} is {each.answer!r}, which this version does not know"
        elif each.name not in same:
            simulated = known[each.name].alternatives[0]
            yield f"not simulated: {each.asks}: the board says {each.answer!r}, the simulation {simulated!r}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"
