"""`--board-file`: a board's own answers in place of the simulator's assumptions, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from i2e_deploy.chips import Chip
    from i2e_deploy.cli.common import Model

BoardFile = Annotated[
    Path | None,
    typer.Option("--board-file", help="What your board answered, as `probe` wrote it: simulate that board."),
]


def as_answered(chip: Chip, path: Path | None) -> Chip:
    """The chip as the board of that file answered; what is used of it goes to standard error.

    Raises:
        UnsupportedError: no board of this chip is asked.
        InputError, FileFormatError: no such file, no answers in it, or those of another chip.
    """
    if path is None:
        return chip
    from i2e_deploy.chips.abilities import AnswersQuestions, require
    from i2e_deploy.chips.answers_file import read_answers
    from i2e_deploy.cli.common import console

    answered = require(chip, AnswersQuestions, f"--board-file {path}").as_answered(read_answers(path))
    for line in require(answered, AnswersQuestions, "--board-file").told():
        console(stderr=True).print(f"{path.name}: {line}")
    return answered


def on_board(model: Model, path: Path | None) -> Model:
    """A model, its chip and program as the board of that file answered; see `as_answered`."""
    if path is None:
        return model
    from i2e_deploy.chips.abilities import AnswersQuestions, require

    chip = as_answered(model.chip, path)
    return replace(model, chip=chip, program=require(chip, AnswersQuestions, "--board-file").settle(model.program))


def told(chip: Chip) -> dict[str, Any]:
    """For JSON: what is used of a board's answers; nothing where there are none."""
    from i2e_deploy.chips.abilities import AnswersQuestions

    lines = chip.told() if isinstance(chip, AnswersQuestions) else ()
    return {"board": list(lines)} if lines else {}
