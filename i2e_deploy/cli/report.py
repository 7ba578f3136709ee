"""`i2e-deploy report`: the page about a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from i2e_deploy.cli.costs import COEFFICIENTS_HELP


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write; default: report.html in the bundle."),
    ] = None,
    step_us: Annotated[
        int | None,
        typer.Option(min=1, help="Estimate power and load on the golden inputs, at this duration of a step."),
    ] = None,
    power: Annotated[
        Path | None,
        typer.Option("--power-coefficients", help=COEFFICIENTS_HELP),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render the report of a bundle, one HTML page.

    Power, load of the cores and latency are those that `evaluate` estimated, or of the golden inputs: where it left
    none, and where --step-us or --power-coefficients are given.

    Example: i2e-deploy report demo_output/bundle --out report.html
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.cli.common import console, print_json, with_power, working
    from i2e_deploy.reporting.html import STEP_US, write_report

    found = read(bundle)
    if power is not None:
        found, step_us = replace(found, chip=with_power(found.chip, power)), step_us or found.step_us or STEP_US
    with working("drawing the page"):
        path = write_report(found, out, step_us)
    if as_json:
        print_json({"report": str(path)})
    else:
        console().print(f"wrote {path}")
