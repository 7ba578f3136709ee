"""`i2e-deploy train`: a network on event frames, ready to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    out: Annotated[
        Path, typer.Option(help="Folder for networks and checkpoints; an interrupted training there goes on.")
    ],
    chip: Annotated[
        str | None, typer.Option(help="On whose integers every epoch is tested; default: the recipe's.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="sinabs (for Speck), or with SLAYER for Loihi 2: conv, dense, recurrent, delays, ...")
    ] = "sinabs",
    network: Annotated[
        str, typer.Option(help="FILE.py:FUNCTION that builds a network of your own. The file is run as a program.")
    ] = "",
    init: Annotated[
        Path | None, typer.Option(help="Checkpoint whose weights are the start; other classes: a new last layer.")
    ] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="Parameters that stay as they are, by the beginning of their name; again.")
    ] = None,
    loss: Annotated[
        str, typer.Option(help="cross_entropy, tet, membrane, or of values mse, mae; default: the recipe's.")
    ] = "",
    through: Annotated[
        str, typer.Option(help="Forward on the chip's integers: timestep, event, chip, or the chip's name.")
    ] = "",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training set; default: the recipe's.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples a step, over all devices.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule; default: the recipe's.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient; default: free.")] = None,
    mixup: Annotated[float, typer.Option(min=0, help="Mix samples in pairs: parameter of the Beta distribution.")] = 0,
    event_drop: Annotated[
        float, typer.Option(min=0, max=1, help="Probability that a training sample loses events.")
    ] = 0,
    activity: Annotated[
        float, typer.Option(min=0, help="Weight of activity beyond --spike-limit and --synop-limit.")
    ] = 0,
    spike_limit: Annotated[float, typer.Option(min=0, help="Spikes a neuron and step that are free.")] = 0,
    synop_limit: Annotated[
        float | None, typer.Option(help="Synaptic operations of a layer a step that are free.")
    ] = None,
    chip_samples: Annotated[
        int, typer.Option(min=0, help="Test samples on the chip's integers after each epoch; 0: all.")
    ] = 500,
    devices: Annotated[str, typer.Option(help="auto, cpu, gpu, or several of one kind: cpu:2, gpu:4.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 for convolutions and products.")] = "float32",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, weights, augmentation.")] = 0,
    train_size: Annotated[int, typer.Option(min=50, max=4000, help="Training digits used.")] = 4000,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew where --out holds a training.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Curves for TensorBoard in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Train a spiking network on events, tested on a chip.

    The data are 5,000 handwritten digits as events. Every epoch reports accuracy in float and on the chip's integers.
    It writes network.safetensors (last epoch) and network_best.safetensors, which `check` and `export` read,
    metrics.csv and training.png.

    Example: i2e-deploy train --recipe conv --out trained
    """
    from i2e_deploy.cli.train_job import TrainJob

    TrainJob(
        out, chip, recipe, network, init, tuple(freeze or ()), loss, through, epochs, batch_size, learning_rate, clip,
        mixup, event_drop, activity, spike_limit, synop_limit, chip_samples, devices, precision, seed, train_size,
        restart, tensorboard, as_json,
    ).run()  # fmt: skip
