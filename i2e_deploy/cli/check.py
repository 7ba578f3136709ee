"""`i2e-deploy check`: will it fit?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from i2e_deploy.cli.common import SHAPE_HELP


def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors, .net) or a bundle folder.")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Frames (.npy) that stand for the use: headroom of the states, what differs elsewhere."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold every layer against every rule of a chip and place the layers on its cores.

    Exits with 1 when the network does not fit.

    Example: i2e-deploy check demo_output/network.safetensors --chip speck2f
    """
    from dataclasses import replace

    from i2e_deploy.chips import get
    from i2e_deploy.cli.common import console, print_check, print_json, read_frames, read_network_of

    network, target = read_network_of(model, input_shape), get(chip)
    report = target.check(network)
    if calibration is not None:
        report = replace(report, findings=(*report.findings, *target.check_on(network, read_frames(calibration))))
    if as_json:
        print_json(report.to_dict())
    else:
        print_check(report, console())
    raise typer.Exit(0 if report.fits else 1)
