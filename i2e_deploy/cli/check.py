"""`i2e-deploy check`: will it fit?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors) or a bundle folder.")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    split: Annotated[
        bool, typer.Option("--split", help="DYNAP-CNN: put layers that find no core on two, as `export --split` does.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold every layer against every rule of a chip and place the layers on its cores.

    Exits with 1 when the network does not fit.

    Example: i2e-deploy check demo_output/network.safetensors --chip speck2f
    """
    from i2e_deploy.chips import get
    from i2e_deploy.chips.dynapcnn import DynapcnnChip
    from i2e_deploy.cli.common import console, print_check, print_json, read_network_of
    from i2e_deploy.errors import InputError

    target, network = get(chip), read_network_of(model)
    if split:
        if not isinstance(target, DynapcnnChip):
            raise InputError(f"--split is for chips of the DYNAP-CNN family, not {chip}")
        report = target.check(network, split=True)
    else:
        report = target.check(network)
    if as_json:
        print_json(report.to_dict())
    else:
        print_check(report, console())
    raise typer.Exit(0 if report.fits else 1)
