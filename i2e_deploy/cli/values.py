"""The option `--value-scale`, and how the output of a regression is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from i2e_deploy.chips import Program
    from i2e_deploy.chips.values import Values
    from i2e_deploy.runtime import Samples

ValueScale = Annotated[
    str,
    typer.Option(
        "--value-scale",
        help="The outputs are values: what a unit of one (a spike) is worth, e.g. 0.25, or one each with commas; "
        "offsets after a semicolon. Default: as the model says.",
    ),
]


def values_of(model: Path, given: str) -> Values | None:
    """What the outputs mean: what the option says, else the bundle or the network's file; None: they are classes.

    Raises:
        InputError: the option says no numbers.
        FileFormatError: the model's own record is damaged.
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.chips.values import parse_values
    from i2e_deploy.errors import FileFormatError, InputError
    from i2e_deploy.network.file import VALUES, read_notes

    if given:
        return parse_values(given)
    if model.is_dir():
        return read(model).values
    text = read_notes(model).get(VALUES, "") if model.suffix == ".safetensors" else ""
    try:
        return parse_values(text) if text else None
    except InputError as error:
        raise FileFormatError(f"{model}: its note {VALUES!r} is damaged ({error})") from error


def read_each_step(program: Program, samples: Samples) -> Program:
    """The program, read in each step where there is a value for each, and it does not do so already; this is said."""
    from i2e_deploy.cli.common import console

    labels, kind = samples.labels, program.deciding.kind
    if labels is None or labels.dtype.kind != "f" or labels.ndim < 3 or kind not in ("count", "mean"):
        return program
    console(stderr=True).print("there is a target for each step, so the output is read in each (--readout-kind step)")
    return program.decided_by(replace(program.deciding, kind="step"))
