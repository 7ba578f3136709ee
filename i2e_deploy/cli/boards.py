"""`--board-file`: a board's own answers in place of the simulator's assumptions, and what is said about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from i2e_deploy.errors import InputError

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


def on_board(model: Model, path: Path | None, semantics: str, targets: Sequence[str] = ("simulator",)) -> Model:
    """A model, its chip and program as the board of that file answered; see `as_answered`.

    Raises:
        InputError: a chip that runs events runs time steps here, or nothing is simulated.
    """
    if path is None:
        return model
    if "event" in model.program.semantics and semantics != "event":
        raise InputError(
            f"--board-file {path}: a board of {model.chip.profile.name} has no time steps; add --semantics event"
        )
    if not {"simulator", "reference"} & set(targets):
        raise InputError(
            f"--board-file {path}: it is for the simulator, and --target is {', '.join(targets)}; leave it out"
        )
    from i2e_deploy.chips.abilities import AnswersQuestions, require

    chip = as_answered(model.chip, path)
    return replace(model, chip=chip, program=require(chip, AnswersQuestions, "--board-file").settle(model.program))


def told(chip: Chip) -> dict[str, Any]:
    """For JSON: what is used of a board's answers; nothing where there are none."""
    from i2e_deploy.chips.abilities import AnswersQuestions

    lines = chip.told() if isinstance(chip, AnswersQuestions) else ()
    return {"board": list(lines)} if lines else {}
