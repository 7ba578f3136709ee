"""`i2e-deploy train`: a network on I2E digits, ready to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
    """Train on MNIST-5k digits as events, and write what `check` and `export` read: network.safetensors.

    Example: i2e-deploy train --recipe conv --out trained
    """
    from dataclasses import asdict

    from i2e_deploy.cli.common import console, print_json, progress_bar
    from i2e_deploy.network.file import write_network
    from i2e_deploy.training.digit_data import digit_sets
    from i2e_deploy.training.loop import train
    from i2e_deploy.training.recipes import read_trained, recipe_of

    chosen = recipe_of(recipe, seed, epochs)
    out.mkdir(parents=True, exist_ok=True)
    train_set, test_set = digit_sets(seed, train_size)
    batches = -(-len(train_set[1]) // chosen.config.batch_size) * chosen.config.epochs
    checkpoint, say = out / "checkpoint.safetensors", console(stderr=as_json)
    results = []
    with progress_bar("training", batches) as advance:
        for result in train(
            chosen.network, chosen.spike_counts, train_set, test_set, chosen.config,
            lambda done, loss: advance(done, f"loss {loss:.3f}"), checkpoint,
        ):  # fmt: skip
            results.append(asdict(result))
            say.print(
                f"epoch {result.epoch:2d}: loss {result.loss:.3f}, training digits {100 * result.train_accuracy:.1f} % "
                f"(deformed), test digits {100 * result.test_accuracy:.1f} %"
            )
    network = out / "network.safetensors"
    write_network(read_trained(chosen), network, {"recipe": recipe, "seed": str(seed)})
    say.print(f"wrote {network}; next: i2e-deploy check {network} --chip {chosen.chip}")
    if as_json:
        print_json({"network": str(network), "checkpoint": str(checkpoint), "chip": chosen.chip, "epochs": results})
