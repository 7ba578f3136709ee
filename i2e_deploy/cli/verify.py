"""`i2e-deploy verify`: does a bundle still compute what it computed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="A bundle folder.")],
    target: Annotated[str, typer.Option(help="simulator, reference, lava, board or board:NAME.")] = "simulator",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a bundle with its golden vectors, value by value.

    Every spike and state must be equal. Exits with 1 where one differs, and names the first layer, step and neuron that
    differ. A board reports the spikes of its output layers; the asynchronous chips are compared with the slow reference
    of their own semantics.

    Example: i2e-deploy verify demo_output/bundle
    """
    from i2e_deploy.bundle import read
    from i2e_deploy.bundle import verify as run
    from i2e_deploy.cli.common import console, print_json, working

    with working(f"running the golden vectors on {target}"):
        result = run(read(bundle), target)
    if as_json:
        print_json(result.to_dict())
        raise typer.Exit(0 if result.exact else 1)
    result.raise_if_different()
    console().print(str(result))
