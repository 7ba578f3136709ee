"""`i2e-deploy export`: a network becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from i2e_deploy.cli.common import SHAPE_HELP

#: Golden inputs when none are given: samples, steps and share of pixels that fire, drawn from the seed.
SAMPLES, STEPS, RATE = 2, 8, 0.1


def command(
    model: Annotated[Path, typer.Argument(help="A network file (.safetensors, .net) or a bundle folder.")],
    chip: Annotated[str, typer.Option(help="Name of the chip, see `profiles`.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; must not exist.")],
    inputs: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--input", help="Frames (.npy) for the golden vectors; default: random events from the seed."),
    ] = None,
    input_shape: Annotated[str, typer.Option(help=SHAPE_HELP)] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of the random events.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check and lower a network, and write it with golden vectors, manifest and report.

    Example: i2e-deploy export demo_output/network.safetensors --chip speck2f --out my_bundle
    """
    import numpy as np

    from i2e_deploy import bundle
    from i2e_deploy.chips import get
    from i2e_deploy.chips.trace import Integers
    from i2e_deploy.cli.common import console, print_json, read_frames, read_network_of
    from i2e_deploy.errors import FileFormatError, MissingDependency
    from i2e_deploy.reporting.html import write_report

    bundle.check_target(out, overwrite=False)
    network, target = read_network_of(model, input_shape), get(chip)
    target.check(network).raise_if_unfit()
    frames: Integers
    if inputs is None:
        random = np.random.default_rng(seed).random((SAMPLES, STEPS, *network.input_shape))
        frames, seeds = (random < RATE).astype(np.uint8), {"golden inputs": seed}
    else:
        frames, seeds = read_frames(inputs), {}
    written = bundle.write(out, target, network, frames, provenance=bundle.Provenance(seeds=seeds))
    if not any(written.golden.expected[f"layer{i}"].any() for i in range(len(written.program.layer_names))):
        console(stderr=True).print("no neuron fires on the golden inputs: give frames that it answers to with --input")
    try:
        report = str(write_report(written))
    except (MissingDependency, FileFormatError) as error:
        report = ""
        console(stderr=True).print(f"no report: {error}")
    if as_json:
        print_json({"bundle": str(out), "report": report, "manifest": dict(written.manifest)})
    else:
        console().print(f"wrote {out}: {len(written.program.layer_names)} layers for {chip}; look at {report or out}")
