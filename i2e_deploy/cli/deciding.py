"""The option `--readout-kind`: how the output of a program becomes a decision, where it is not as the program says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from i2e_deploy.chips import Program

ReadoutKind = Annotated[
    str,
    typer.Option(
        "--readout-kind",
        help="How the output decides: count (of spikes), mean (of values), state or state:VARIABLE (at the end), "
        "state-mean, step (in each); with /N the means of N groups of outputs. Default: as the model says, else count.",
    ),
]


def decided(program: Program, kind: str) -> Program:
    """The program, read as the option says; as it says itself where that is empty.

    Raises:
        InputError, UnsupportedError: no such kind, or one that the program does not have.
    """
    from i2e_deploy.chips import parse_deciding

    return program.decided_by(parse_deciding(kind)) if kind else program
