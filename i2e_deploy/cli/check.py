"""`i2e-deploy check`: will it fit?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from i2e_deploy.cli.boards import BoardFile, as_answered
from i2e_deploy.cli.boards import told as told_of
from i2e_deploy.cli.check_output import Output, output_of, print_check, with_codes
from i2e_deploy.cli.common import READ_HELP, SHAPE_HELP, STANDARD_HELP
from i2e_deploy.cli.eye import Eye, eyed, read_given
from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, read_input, takes_recordings

if TYPE_CHECKING:
    from i2e_deploy.chips import AnyNetwork, CheckReport, Chip, LowerOptions, Program
    from i2e_deploy.chips.costs import Costs
    from i2e_deploy.cli.applying import Applied

#: Where nobody says how long a step is.
STEP_US = 1000


@takes_recordings
def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors, .nir, .net) or a bundle folder.")],
    chip: Annotated[list[str], typer.Option(help="Name of the chip, see `profiles`; again for each, side by side.")],
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    read: Annotated[list[str], typer.Option("--read", help=READ_HELP)] = [],  # noqa: B006
    split: Annotated[
        bool, typer.Option("--split", help="DYNAP-CNN: put layers that find no core on two, as `export --split` does.")
    ] = False,
    inputs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--input", help="Frames (.npy) or a recording typical of the use: load of cores; headroom of states."
        ),
    ] = None,
    apply: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="DYNAP-CNN: make the smallest changes after which it fits, in this new .safetensors file."),
    ] = None,
    standard: Annotated[bool, typer.Option("--standard", help=STANDARD_HELP)] = False,
    eye: Eye = "",
    against: Annotated[
        str, typer.Option(help="A .nir file's judge: sinabs, spikingjelly (with --input), or a file of recorded data.")
    ] = "",
    board: Annotated[
        str, typer.Option(help="Loihi 2: how many chips of this board it takes, e.g. 'Kapoho Point'.")
    ] = "",
    picture: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Draw the placement on cores in this .svg: by layer, memory and, with --input, load."),
    ] = None,
    step_us: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=1, help="DYNAP-CNN, with --input: duration of a step; default: the network's own, else 1000."),
    ] = None,
    board_file: BoardFile = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the rules that pass too, by layer.")] = False,
    output_format: Annotated[
        str, typer.Option(help="text, json, github (annotations of a workflow) or junit (XML).")
    ] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Check a network against the rules of a chip: will it fit?

    The layers are placed on the chip's cores. Exits with 1 when the network does not fit. With --input the network is
    also run on those events. DYNAP-CNN: as the asynchronous chip would; cores are chosen by load, which is compared
    with what a core can do. Loihi 2: how close the states come to their limits, and what would differ on Lava and in
    SLAYER.

    With --apply the smallest set of changes found (layers split, fewer channels, smaller kernels, pooling earlier) is
    made and written, and the changed network is what is checked; all but splits need training again. With --input the
    channels that fire most on it are kept, and the decisions that the changes moved are counted.

    A .nir file does not say how its neurons reset: with --input the check shows what each reading gives. With --against
    another program that reads the file, or recorded data of one, is compared with what was read, layer by layer.

    With --board the cores are counted by chips of that board: what fills them, what crosses between chips, what would
    make the network fit.

    With --chip given again the chips stand side by side, and the command exits with 1 when one of them does not fit.

    Each finding has the code of its rule: `i2e-deploy explain CODE` says what is looked at, and what to do.

    Example: i2e-deploy check demo_output/network.safetensors --chip speck2f --chip loihi2
    """
    from i2e_deploy.cli.common import noted_step

    told, step_us = output_of("json" if as_json else output_format, verbose), step_us or noted_step(model) or STEP_US
    if len(chip) > 1:
        single = {
            "--split": split,
            "--apply": apply is not None,
            "--against": bool(against),
            "--standard": standard,
            "--board-file": board_file is not None,
            "--board": bool(board),
            "--picture": picture is not None,
            "--eye": bool(eye),
        }
        _beside(model, chip, input_shape, read, inputs, step_us, reading, single, told)
    from i2e_deploy.chips import LowerOptions, get
    from i2e_deploy.cli.applying import apply_to_file
    from i2e_deploy.cli.common import card_of_model, own_program, print_json, read_network_of, working
    from i2e_deploy.cli.judging import choices, judged
    from i2e_deploy.cli.placement import draw_placement, on_board

    target = as_answered(get(chip[0]), board_file)
    network, program, applied = read_network_of(model, input_shape, read), None, None
    if against:
        network = judged(model, network, against, inputs, read, step_us, reading)
    options = LowerOptions(split=split, standard_neurons=standard)
    target.refuse_unknown(options)
    if apply is not None:
        with working("looking for the smallest set of changes"):
            given = None if inputs is None else read_input(inputs, network.input_shape, reading)
            applied = apply_to_file(target, network, apply, given, step_us, card_of_model(model))
        network, options = applied.fitted.network, LowerOptions(split=applied.fitted.split)
    elif not standard and (own := own_program(model, target, network)) is not None:
        program, options = own
    with working("checking"):
        if eye and (program is not None or target.check(network, options).layers):
            program = eyed(target, target.lower(network, options) if program is None else program, eye)
        report, costs = _check(target, network, program, options, inputs, step_us, reading)
        report = on_board(report, target, network, program, options, board)
        draw_placement(report, target, costs, picture)
        if model.suffix == ".nir" and inputs is not None and apply is None:
            report = replace(
                report, findings=(*report.findings, *choices(model, network, inputs, read, step_us, reading))
            )
    if told.form == "json":
        estimate = {"estimate": None if costs is None else costs.to_dict()}
        applied_too = {} if applied is None else {"applied": applied.to_dict()}
        print_json(with_codes(report, target.rules) | estimate | applied_too | told_of(target))
    elif told.form == "text":
        _tell(report, costs, applied, target, told.verbose)
    else:
        told.print(model, [(report, target)])
    raise typer.Exit(0 if report.fits else 1)


def _beside(
    model: Path, chips: list[str], input_shape: str, read: list[str], inputs: Path | None, step_us: int,
    reading: Reading, single: dict[str, bool], told: Output,
) -> None:  # fmt: skip
    """The check of each chip, and the end of the command."""
    from i2e_deploy.chips import PLAIN, get
    from i2e_deploy.cli.common import console, own_program, print_json, read_network_of, working
    from i2e_deploy.cli.side_by_side import checks_beside, print_checks, refuse_beside

    refuse_beside(chips, single)
    network, reports = read_network_of(model, input_shape, read), {}
    for target in [get(name) for name in chips]:
        program, options = own_program(model, target, network) or (None, PLAIN)
        with working(f"checking {target.profile.name}"):
            reports[target.profile.name] = _check(target, network, program, options, inputs, step_us, reading)
    if told.form == "json":
        print_json(checks_beside(reports))
    elif told.form == "text":
        print_checks(reports, console())
    else:
        told.print(model, [(report, get(name)) for name, (report, _) in reports.items()])
    raise typer.Exit(0 if all(report.fits for report, _ in reports.values()) else 1)


def _tell(report: CheckReport, costs: Costs | None, applied: Applied | None, chip: Chip, verbose: bool) -> None:
    from i2e_deploy.cli.common import console
    from i2e_deploy.cli.costs import print_costs

    if applied is not None:
        applied.print(console())
    print_check(report, console(), chip.rules, verbose)
    if costs is not None:
        print_costs(costs, console())


def _check(
    chip: Chip, network: AnyNetwork, program: Program | None, options: LowerOptions, inputs: Path | None, step_us: int,
    reading: Reading,
) -> tuple[CheckReport, Costs | None]:  # fmt: skip
    """The check, with inputs also what a run on them shows and costs; `program`: integers that are made already."""
    from i2e_deploy.chips import Injection
    from i2e_deploy.chips.abilities import ChecksStates, PlacesByLoad

    report, injection = chip.check(network, options, program), Injection(step_us=step_us)
    if inputs is None or not report.layers or (isinstance(chip, PlacesByLoad) and not report.fits):
        return report, None
    program = chip.lower(network, options) if program is None else program
    if isinstance(chip, PlacesByLoad):
        given = read_input(inputs, program.input_shape, reading)
        report, trace = chip.check_under_load(network, program, given, options, injection)
        cores = {slot.layer: slot.core for slot in report.placement}
        return report, chip.costs(program, given, injection, trace, cores)
    frames = read_given(inputs, program)
    if isinstance(chip, ChecksStates):
        report = replace(report, findings=(*report.findings, *chip.findings_on(network, frames, options, program)))
    return report, chip.costs(program, frames, injection)
