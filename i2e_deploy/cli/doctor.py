"""`i2e-deploy doctor`: what is installed and attached, and the command that installs what is missing."""

from __future__ import annotations

from typing import Annotated

import typer


def command(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what is installed, and how to get the rest.

    Example: i2e-deploy doctor
    """
    from dataclasses import asdict

    from rich.console import Console

    from i2e_deploy.cli.common import print_json
    from i2e_deploy.environment import examine

    rows = examine()
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    out = Console(highlight=False, soft_wrap=True)
    width = max(len(row.name) for row in rows)
    for row in rows:
        mark, colour = {"ok": ("ok  ", "green"), "absent": ("-   ", "dim"), "bad": ("BAD ", "red")}[row.status]
        fix = f"  ->  {row.fix}" if row.fix else ""
        out.print(f"[{colour}]{mark}[/]{row.name:<{width}}  ", end="")
        out.print(f"{row.found}{fix}", markup=False)
