"""The whole questionnaire on one board: all questions, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import lru_cache

from i2e_deploy.chips.answers import FEWEST, MOST_REPEATS, BoardAnswers
from i2e_deploy.chips.dynapcnn.probing.arithmetic import arithmetic_questions
from i2e_deploy.chips.dynapcnn.probing.ask import Asker
from i2e_deploy.chips.dynapcnn.probing.blocks import block_questions
from i2e_deploy.chips.dynapcnn.probing.clock import clock_questions
from i2e_deploy.chips.dynapcnn.probing.drawn import fake_board
from i2e_deploy.chips.dynapcnn.probing.question import Question
from i2e_deploy.chips.dynapcnn.probing.rates import FIGURES, measure
from i2e_deploy.chips.dynapcnn.probing.states import state_questions
from i2e_deploy.chips.dynapcnn.targets.board.link import Board, open_board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.errors import InputError
from i2e_deploy.version import __version__

#: Repeats of each question.
REPEATS = 10
#: Called with the number of questions done and the name of the next.
Progress = Callable[[int, str], None]


@lru_cache(maxsize=1)
def questions() -> tuple[Question, ...]:
    """All questions with alternatives, in the order in which they are asked."""
    return (*arithmetic_questions(), *clock_questions(), *state_questions(), *block_questions())


def chosen(only: Sequence[str]) -> tuple[Question, ...]:
    """Those of these names; all, where none is given.

    Raises:
        InputError: no such question or figure.
    """
    known = questions()
    names = [*(question.name for question in known), *FIGURES]
    strangers = sorted(set(only) - set(names))
    if strangers:
        raise InputError(f"no question {strangers[0]!r}: choose of {', '.join(names)}")
    return tuple(question for question in known if not only or question.name in only)


def probe_board(
    chip: str,
    options: BoardOptions,
    repeats: int = REPEATS,
    only: Sequence[str] = (),
    progress: Progress = lambda *_: None,
    target: str = "board",
) -> BoardAnswers:
    """Ask the first free board, or `options.name`.

    Args:
        chip: that the board must have.
        target: how the board is reached, as the answers will say it.

    Raises:
        MissingDependency: samna is not installed.
        BoardNotFound: no such board, or it is in use.
        InputError: a board of another chip, no such question, or repeats out of range.
        SourceLost: the board went away, or stopped answering.
    """
    if not FEWEST <= repeats <= MOST_REPEATS:
        raise InputError(f"{repeats} repeats: give {FEWEST} to {MOST_REPEATS}")
    asked, answers = chosen(only), []
    with _opened(chip, options) as board:
        asker, began = Asker(board, options), board.clock.monotonic()
        for i, question in enumerate(asked):
            progress(i, question.name)
            answers.append(asker.answer(question, repeats))
        measured = []
        for i, name in enumerate(name for name in FIGURES if not only or name in only):
            progress(len(asked) + i, name)
            measured += list(measure(asker, repeats, [name]))
        seconds = round(board.clock.monotonic() - began, 3)
        return replace(_told(chip, board, target), answers=tuple(answers), measured=tuple(measured), seconds=seconds,
                       events=asker.events)  # fmt: skip


def probe_target(
    chip: str, target: str, repeats: int = REPEATS, only: Sequence[str] = (), progress: Progress = lambda *_: None
) -> BoardAnswers:
    """`probe_board` by the name of a target: `board`, `board:NAME`, `fake-board`, or `fake-board:SEED`, whose hidden
    options are drawn by that seed.

    Raises:
        InputError: no such target.
    """
    kind, _, name = target.partition(":")
    if kind == "board":
        return probe_board(chip, BoardOptions(name or None), repeats, only, progress)
    if kind != "fake-board" or (name and not (name.isdecimal() and len(name) < 10)):
        raise InputError(f"--target {target}: choose board, board:NAME, fake-board or fake-board:SEED, a whole number")
    with fake_board(chip, int(name) if name else None):
        return probe_board(chip, BoardOptions(), repeats, only, progress, target)


@contextlib.contextmanager
def _opened(chip: str, options: BoardOptions) -> Iterator[Board]:
    board = open_board("probe", options.name, options.call_s)
    try:
        if board.chip != chip:
            raise InputError(f"{board.name} has the chip {board.chip}, not {chip}: give --chip {board.chip}")
        yield board
    finally:
        board.close()


def _told(chip: str, board: Board, target: str) -> BoardAnswers:
    """Who was asked, when and by what."""
    samna = str(getattr(board.samna, "__version__", "of unknown version"))[:40]
    day = datetime.now(timezone.utc).date().isoformat()
    software = f"i2e-deploy {__version__}, samna {samna if samna.isprintable() else 'of unknown version'}"
    return BoardAnswers(chip, board.name, target, day, software, ())
