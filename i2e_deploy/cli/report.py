"""`i2e-deploy report`: the page about a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from i2e_deploy.cli.costs import COEFFICIENTS_HELP


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder; with --card also a folder of shards.")],
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
    card: Annotated[
        bool, typer.Option("--card", help="Write README.md for Hugging Face; of shards with croissant.json beside it.")
    ] = False,
    license: Annotated[str, typer.Option(help="With --card: identifier of the licence, e.g. apache-2.0.")] = "",  # noqa: A002
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render the report of a bundle, one HTML page.

    Power, load of the cores and latency are those that `evaluate` estimated, or of the golden inputs: where it left
    none, and where --step-us or --power-coefficients are given.

    With --card it writes no page but the metadata by which others find and cite a bundle, or a folder of Parquet shards
    that `convert` wrote: the folder is then a repository that `hf upload` takes as it is.

    Example: i2e-deploy report demo_output/bundle --out report.html
    """
    from i2e_deploy.errors import InputError

    if card:
        from i2e_deploy.cli.cards import write_cards

        if out is not None or step_us is not None or power is not None:
            raise InputError("--card writes into the folder: leave out --out, --step-us, --power-coefficients")
        write_cards(bundle, license, as_json)
        return
    if license:
        raise InputError("--license belongs to --card: give both")
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
