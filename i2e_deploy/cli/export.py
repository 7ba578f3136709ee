"""`i2e-deploy export`: a network becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2e_deploy.cli.common import READ_HELP, SHAPE_HELP, STANDARD_HELP
from i2e_deploy.cli.deciding import ReadoutKind, decided
from i2e_deploy.cli.eye import Eye, eyed, golden_pictures
from i2e_deploy.cli.golden_inputs import first_events, golden_inputs, with_rest
from i2e_deploy.cli.jobs import refuse_job_path, tell_of_job
from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings
from i2e_deploy.cli.values import ValueScale, values_of

if TYPE_CHECKING:
    from i2e_deploy.bundle import Bundle
    from i2e_deploy.chips import AnyNetwork, CheckReport, Chip, LowerOptions, Program
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.events import Events

#: Where nobody says how long a step is, the load of cores is computed for this, and recordings are cut so.
STEP_US = 1000


Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibrate", help="Frames (.npy) on which scales are chosen; default: by range, on DYNAP-CNN exact to Sinabs."
    ),
]


@takes_recordings
def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors, .nir, .net) or a bundle folder.")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; must not exist.")],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", help="Frames (.npy) or a recording for the golden vectors; default: random events from the seed."
        ),
    ] = None,
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    read: Annotated[list[str], typer.Option("--read", help=READ_HELP)] = [],  # noqa: B006
    semantics: Annotated[
        str, typer.Option(help="What the golden vectors are of: timestep, or event (the asynchronous chip).")
    ] = "timestep",
    calibration: Calibration = None,
    split: Annotated[
        bool, typer.Option("--split", help="Put layers that find no core on two cores each; no retraining.")
    ] = False,
    standard: Annotated[bool, typer.Option("--standard", help=STANDARD_HELP)] = False,
    readout: Annotated[
        int | None,
        typer.Option(min=0, max=2**16 - 1, help="Use the chip's own readout, with this threshold (spikes a tick)."),
    ] = None,
    readout_kind: ReadoutKind = "",
    value_scale: ValueScale = "",
    eye: Eye = "",
    step_us: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Duration of a step in us, for recordings, load, latency and energy; default: the network's own.",
        ),
    ] = None,
    golden_events: Annotated[
        int, typer.Option(min=1, max=10**6, help="Events of a recording that become golden vectors, at most.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the random events.")] = 0,
    job: Annotated[
        Path | None, typer.Option(help="Also write this .zip: script, events, expected spikes, for a board elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Check and lower a network, and write it as a bundle.

    --calibrate is for float networks, --readout for chips of the DYNAP-CNN family, --split for these and TrueNorth,
    --standard for Loihi 2 and TrueNorth; `check` says when --split would help.
    With --input, layers get cores by the load that it makes. A recording runs in its own order and at its own times
    with --semantics event, and is counted into steps otherwise. The duration of a step is kept in the bundle, for load,
    latency and energy everywhere. With --job the golden inputs become a job for a machine with a board, on which this
    program is not: `evaluate BUNDLE --target results.zip` reads what came back.

    A bundle is a folder: the chip's integers, its own files, golden vectors, a manifest and a report.

    Example: i2e-deploy export demo_output/network.safetensors --chip speck2f --out my_bundle
    """
    from i2e_deploy import bundle
    from i2e_deploy.bundle.verification import silent_layers
    from i2e_deploy.chips import LowerOptions, get
    from i2e_deploy.cli.common import (
        card_of_model,
        console,
        noted_step,
        print_json,
        read_frames,
        read_network_of,
        working,
    )
    from i2e_deploy.network.file import UNTRAINED, read_notes

    bundle.check_target(out, overwrite=False)
    refuse_job_path(job)
    network, target = read_network_of(model, input_shape, read), get(chip)
    if model.is_dir():
        console(stderr=True).print(
            "the bundle's network is lowered anew: give --calibrate, --split, --readout, --readout-kind again"
        )
    given, seeds = golden_inputs(network, None if eye else inputs, seed, reading)
    step_us = step_us or noted_step(model)
    if step_us is None and given.dtype.names is not None:
        step_us = STEP_US
        console(stderr=True).print("a step of the recording is taken as 1 ms: say it with --step-us")
    options = LowerOptions(
        None if calibration is None else read_frames(calibration, network.input_shape), split, readout, standard
    )
    notes = (
        {"lowering": "compatible" if calibration is None else "calibrated"}
        | ({"split": True} if split else {})
        | ({"standard_neurons": True} if standard else {})
        | ({"eye": eye} if eye else {})
    )
    if model.suffix == ".safetensors" and UNTRAINED in (about := read_notes(model)):
        notes[UNTRAINED] = about[UNTRAINED]
        console(stderr=True).print(f"{model} was changed and not trained since: {about[UNTRAINED]}")
    with working("lowering, then golden vectors from the slow reference"):
        lowered = _lower(target, network, options, None if inputs is None else given, readout_kind, step_us, eye)
        if eye:
            given, seeds = golden_pictures(lowered[1], inputs, seed)
        else:
            given = with_rest(given, lowered[1])
        provenance = bundle.Provenance(seeds=seeds, notes=notes)
        written = bundle.write(
            out, target, network, first_events(given, golden_events), provenance=provenance, semantics=semantics,
            lowered=lowered, step_us=step_us, card=card_of_model(model), values=values_of(model, value_scale),
        )  # fmt: skip
    silent = silent_layers(written.golden, written.program)
    if silent:
        console(stderr=True).print(
            f"nothing fires in {', '.join(silent)} on the golden inputs, so that they prove little there: "
            "give frames that the network responds to with --input"
        )
    report = _report(written)
    if job is not None:
        tell_of_job(bundle.write_job(written, job), job)
    if as_json:
        print_json({"bundle": str(out), "report": report, "silent": list(silent), "manifest": dict(written.manifest)})
    else:
        console().print(f"wrote {out}: {len(written.program.layer_names)} layers for {chip}; look at {report or out}")


def _report(written: Bundle) -> str:
    """The path of the bundle's page; empty where it cannot be made, after saying why."""
    from i2e_deploy.cli.common import console
    from i2e_deploy.errors import FileFormatError, MissingDependency
    from i2e_deploy.reporting.html import write_report

    try:
        return str(write_report(written))
    except (MissingDependency, FileFormatError) as error:
        console(stderr=True).print(f"no report: {error}")
        return ""


def _lower(
    chip: Chip,
    network: AnyNetwork,
    options: LowerOptions,
    given: Integers | Events | None,
    readout_kind: str,
    step_us: int | None,
    eye: str,
) -> tuple[CheckReport, Program]:
    """The check, which must pass, and the program; with inputs of the user's, cores are chosen by load."""
    from i2e_deploy.chips import Injection
    from i2e_deploy.chips.abilities import PlacesByLoad

    chip.refuse_unknown(options)
    report = None
    if options.calibration is None:  # else the integers are others than those that this check would look at
        report = chip.check(network, options)
        report.raise_if_unfit()
    program = eyed(chip, decided(chip.lower(network, options), readout_kind), eye)
    if given is not None and isinstance(chip, PlacesByLoad):
        report, _ = chip.check_under_load(network, program, given, options, Injection(step_us=step_us or STEP_US))
    elif report is None or options.given() or readout_kind or eye:
        report = chip.check(network, options, program)
    report.raise_if_unfit()
    return report, program
