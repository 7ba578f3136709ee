"""`i2e-deploy report`: the page about a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Page to write; default: report.html in the bundle."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Render the self-contained HTML report of a bundle.

    Example: i2e-deploy report demo_output/bundle --out report.html
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.reporting.html import write_report

    path = write_report(read(bundle), out)
    if as_json:
        print_json({"report": str(path)})
    else:
        console().print(f"wrote {path}")
