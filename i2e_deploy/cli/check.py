"""`i2e-deploy check`: will it fit?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from i2e_deploy.cli.common import SHAPE_HELP

if TYPE_CHECKING:
    from i2e_deploy.chips import CheckReport, Chip
    from i2e_deploy.chips.costs import Costs
    from i2e_deploy.chips.dynapcnn import DynapcnnChip, DynapcnnProgram
    from i2e_deploy.network import AnyNetwork


def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors, .nir, .net) or a bundle folder.")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    split: Annotated[
        bool, typer.Option("--split", help="DYNAP-CNN: put layers that find no core on two, as `export --split` does.")
    ] = False,
    inputs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--input", help="Frames (.npy) or a recording that stand for the use: load of cores; headroom of states."
        ),
    ] = None,
    apply: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="DYNAP-CNN: make the smallest changes after which it fits, in this new .safetensors file."),
    ] = None,
    step_us: Annotated[int, typer.Option(min=1, help="DYNAP-CNN, with --input: duration of a step.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold a network against the rules of a chip: will it fit?

    The layers are placed on the chip's cores. Exits with 1 when the network does not fit. With --input the network is
    also run on those events. DYNAP-CNN: as the asynchronous chip would; cores are chosen by load, and the load is held
    against what a core can do. Loihi 2: how near the states come to their limits, and what would differ on Lava and in
    SLAYER.

    With --apply the smallest set of changes found (layers split, fewer channels, smaller kernels, pooling earlier) is
    made and written, and the changed network is what is checked; all but splits need training again. With --input the
    channels that fire most on it are kept, and the decisions that the changes moved are counted.

    Example: i2e-deploy check demo_output/network.safetensors --chip speck2f
    """
    from i2e_deploy.chips import get
    from i2e_deploy.chips.dynapcnn import DynapcnnChip
    from i2e_deploy.cli.applying import apply_to_file
    from i2e_deploy.cli.common import (
        console,
        own_program,
        print_check,
        print_json,
        read_input,
        read_network_of,
        working,
    )
    from i2e_deploy.cli.costs import print_costs
    from i2e_deploy.errors import InputError

    target, network, own, applied = get(chip), read_network_of(model, input_shape), None, None
    if apply is not None:
        with working("looking for the smallest set of changes"):
            applied = apply_to_file(target, network, apply, None if inputs is None else read_input(inputs), step_us)
        network, split = applied.fitted.network, applied.fitted.split
    if isinstance(target, DynapcnnChip):
        if applied is None:
            own, was_split = own_program(model, target, network)
            split = split if own is None else was_split
        with working("checking"):
            report, costs = _check_dynapcnn(target, network, own, split, inputs, step_us)
    elif split:
        raise InputError(f"--split is for chips of the DYNAP-CNN family, not {chip}")
    else:
        with working("checking"):
            report, costs = _check_steps(target, network, inputs, step_us)
    if as_json:
        estimate = {"estimate": None if costs is None else costs.to_dict()}
        print_json(report.to_dict() | estimate | ({} if applied is None else {"applied": applied.to_dict()}))
    else:
        if applied is not None:
            applied.print(console())
        if costs is not None:
            print_costs(costs, console())
        print_check(report, console())
    raise typer.Exit(0 if report.fits else 1)


def _check_dynapcnn(
    chip: DynapcnnChip, network: AnyNetwork, own: DynapcnnProgram | None, split: bool, inputs: Path | None, step_us: int
) -> tuple[CheckReport, Costs | None]:
    """With inputs also as the asynchronous chip would run them; `own`: the integers of a bundle, made already."""
    from i2e_deploy.chips.dynapcnn.estimates.activity import activity_of
    from i2e_deploy.chips.dynapcnn.event.options import EventOptions
    from i2e_deploy.cli.common import read_input

    report = chip.check(network, split, own)
    if inputs is None or not report.fits:
        return report, None
    program, given = chip.lower(network, split) if own is None else own, read_input(inputs)
    trace = program.run_events(given, options=EventOptions(step_us=step_us))
    report = chip.check(network, split, program, activity_of(trace, step_us))
    return report, chip.costs(program, given, step_us, trace, {slot.layer: slot.core for slot in report.placement})


def _check_steps(
    chip: Chip, network: AnyNetwork, inputs: Path | None, step_us: int
) -> tuple[CheckReport, Costs | None]:
    """With inputs also what the chip's integers do on them."""
    from i2e_deploy.cli.common import read_frames

    report = chip.check(network)
    if inputs is None:
        return report, None
    frames = read_frames(inputs)
    report = replace(report, findings=(*report.findings, *chip.check_on(network, frames)))
    return report, chip.costs(chip.lower(network), frames, step_us)
