"""`i2e-deploy train`: a network on I2E digits, ready to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Test samples on which the trained module's own forward is compared with what was read.
COMPARED = 4


def command(
    out: Annotated[
        Path, typer.Option(help="Folder for the network and the checkpoint; an interrupted training there goes on.")
    ],
    recipe: Annotated[
        str, typer.Option(help="sinabs (for Speck), or with SLAYER for Loihi 2: conv, dense, recurrent, delays, ...")
    ] = "sinabs",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training set; default: the recipe's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, weights, augmentation.")] = 0,
    train_size: Annotated[int, typer.Option(min=50, max=4000, help="Training digits used.")] = 4000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a spiking network on 5,000 digits as events.

    It writes network.safetensors, which `check` and `export` read.

    Example: i2e-deploy train --recipe conv --out trained
    """
    from dataclasses import asdict

    from i2e_deploy.chips import write_model
    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.cli.training import train_and_show
    from i2e_deploy.training.digit_data import digit_sets
    from i2e_deploy.training.recipes import read_trained, recipe_of

    chosen = recipe_of(recipe, seed, epochs)
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, say = out / "checkpoint.safetensors", console(stderr=as_json)
    train_set, test_set = digit_sets(seed, train_size)
    results = [asdict(result) for result in train_and_show(chosen, train_set, test_set, say, checkpoint)]
    network = out / "network.safetensors"
    write_model(read_trained(chosen, test_set[0][:COMPARED]), network, {"recipe": recipe, "seed": str(seed)})
    say.print(f"wrote {network}; next: i2e-deploy check {network} --chip {chosen.chip}")
    if as_json:
        print_json({"network": str(network), "checkpoint": str(checkpoint), "chip": chosen.chip, "epochs": results})
