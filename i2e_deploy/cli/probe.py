"""`i2e-deploy probe`: ask a board what public text leaves open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from i2e_deploy.chips.abilities import AnswersQuestions
    from i2e_deploy.chips.answers import Answer, BoardAnswers


def command(
    out: Annotated[Path | None, typer.Option(help="Answers to write (.json), for --board-file.")] = None,
    target: Annotated[
        str,
        typer.Option(
            help="board or board:NAME; without one fake-board, fake-board:SEED with drawn options, lava (Loihi 2)."
        ),
    ] = "board",
    chip: Annotated[str, typer.Option(help="Name of the chip on the board, see `profiles`.")] = "speck2f",
    only: Annotated[list[str], typer.Option(help="Ask this question; again for each. Default: all.")] = [],  # noqa: B006
    repeats: Annotated[
        int | None,
        typer.Option(min=3, max=1000, help="Times that each question is asked; default: the chip's own, 10 or 3."),
    ] = None,
    list_them: Annotated[
        bool, typer.Option("--list", help="Show the questions and their alternatives, ask none.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a board what public text leaves open.

    Each question is a network of a few neurons and a few events, for which the alternatives predict different spikes.
    It is asked several times; the answer says how many times the board did which. "none of these" keeps the spikes that
    came instead. Nobody needs to watch; nothing on the board is changed for good.

    The file holds the type of the board, the day and the answers, and no serial number. Other commands take it with
    --board-file and simulate that board. Written against public texts and tested on fake boards: unverified on silicon.

    Example: i2e-deploy probe --target fake-board --out my_board.json
    """
    from i2e_deploy.chips import get
    from i2e_deploy.chips.abilities import AnswersQuestions, require
    from i2e_deploy.chips.answers import summary
    from i2e_deploy.chips.answers_file import write_answers
    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.errors import InputError

    asked = require(get(chip), AnswersQuestions, f"probe --chip {chip}")
    if list_them:
        _list(asked, as_json)
        return
    if out is None or out.suffix != ".json":
        raise InputError(
            f"--out is {out}: answers are a .json file; give a name that ends so, e.g. --out my_board.json"
        )
    if not out.parent.is_dir():
        raise InputError(f"--out is {out}: no such folder: {out.parent}")
    with progress_bar("asking", len(only) or len(asked.questions())) as advance:
        answers = asked.probe(target, repeats, only, advance)
    write_answers(answers, out)
    if as_json:
        print_json({"file": str(out), **summary(answers)})
        return
    _print(answers)
    for line in require(asked.as_answered(answers), AnswersQuestions, "probe").told():
        console().print(line)
    console().print(f"wrote {out}: give it to other commands with --board-file {out}")


def _list(asked: AnswersQuestions, as_json: bool) -> None:
    from i2e_deploy.cli.common import console, new_table, print_json

    if as_json:
        listed = asked.questions()
        print_json([{"name": q.name, "asks": q.asks, "alternatives": list(q.alternatives)} for q in listed])
        return
    table = new_table("question", "what is not known", "alternatives")
    for each in asked.questions():
        table.add_row(each.name, each.asks, ", ".join(each.alternatives))
    console(wrap=True).print(table)


def _print(answers: BoardAnswers) -> None:
    from i2e_deploy.cli.common import console, new_table

    title = f"{answers.board} ({answers.target}): {answers.events:,} events in {answers.seconds:.0f} s of its time"
    table = new_table("question", "answer", "times", "95 % of repeats, at least", title=title)
    for each in answers.answers:
        table.add_row(each.name, each.answer, *_how_sure(each))
    out = console(wrap=True)
    out.print(table)
    if answers.measured:
        figures = new_table("figure", "value", "readings", "note", title="measured")
        for figure in answers.measured:
            figures.add_row(figure.name, str(figure), str(figure.readings), figure.note)
        out.print(figures)
    for each in answers.answers:
        if each.note:
            out.print(f"{each.name}: {each.note}")


def _how_sure(answer: Answer) -> tuple[str, str]:
    """How many repeats followed the answer, and the low end of the 95 % interval of their share."""
    from i2e_deploy.runtime import wilson

    if not answer.asked:
        return "", ""
    if not answer.followed:
        return f"of {answer.asked}: " + ", ".join(f"{n} {name}" for name, n in answer.counts.items() if n), ""
    return f"{answer.followed} of {answer.asked}", f"{100 * wilson(answer.followed, answer.asked)[0]:.0f} %"
