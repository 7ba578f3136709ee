"""`i2e-deploy train`: a network on event frames, ready to deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings


@takes_recordings
def command(
    data: Annotated[
        Path | None,
        typer.Argument(help="Folder tree or archive of pictures, shards, folder tree of recordings, or FRAMES.npz."),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Folder for networks and checkpoints; an interrupted training there goes on.")
    ] = Path("trained"),
    chip: Annotated[
        str | None, typer.Option(help="On whose integers every epoch is tested; default: the recipe's.")
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(help="One of --list; of the digits also sinabs (default), conv, dense, recurrent, delays, ..."),
    ] = "",
    show: Annotated[bool, typer.Option("--list", help="Show the recipes, of --chip or of all chips, and end.")] = False,
    network: Annotated[
        str, typer.Option(help="FILE.py:FUNCTION that builds a network of your own. The file is run as a program.")
    ] = "",
    init: Annotated[
        Path | None, typer.Option(help="Network, or weights, to go on from; other classes: a new last layer.")
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
    optimiser: Annotated[str, typer.Option(help="adamw or sgd; default: the recipe's.")] = "",
    schedule: Annotated[str, typer.Option(help="one_cycle, cosine or constant; default: the recipe's.")] = "",
    warm_up: Annotated[float | None, typer.Option(help="Share of all steps on the way up.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the optimiser; default: the recipe's.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of the gradient; default: free.")] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of each target that all classes get; default: the recipe's.")
    ] = None,
    merged: Annotated[
        float | None, typer.Option(help="Share of the epochs, the first, with all steps as one; default: the recipe's.")
    ] = None,
    mixup: Annotated[float, typer.Option(min=0, help="Mix samples in pairs: parameter of the Beta distribution.")] = 0,
    event_drop: Annotated[
        float, typer.Option(min=0, max=1, help="Probability that a training sample loses events.")
    ] = 0,
    activity: Annotated[
        float | None,
        typer.Option(min=0, help="Weight of activity beyond limits; default: 0, with --limits chip 1."),
    ] = None,
    spike_limit: Annotated[float, typer.Option(min=0, help="Spikes a neuron and step that are free.")] = 0,
    synop_limit: Annotated[
        float | None, typer.Option(help="Synaptic operations of a layer a step that are free.")
    ] = None,
    limits: Annotated[
        str, typer.Option(help="given: these two; chip: what the core under each layer can do a second.")
    ] = "given",
    chip_samples: Annotated[
        int, typer.Option(min=0, help="Test samples on the chip's integers after each epoch; 0: all.")
    ] = 500,
    devices: Annotated[str, typer.Option(help="auto, cpu, gpu, or several of one kind: cpu:2, gpu:4.")] = "auto",
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 for convolutions and products.")] = "float32",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, weights, augmentation.")] = 0,
    train_size: Annotated[int | None, typer.Option(min=1, help="At most so many training samples.")] = None,
    test_size: Annotated[int | None, typer.Option(min=1, help="At most so many test samples.")] = None,
    test_share: Annotated[float | None, typer.Option(help="Share that a drawn split keeps for testing.")] = None,
    groups: Annotated[
        str | None, typer.Option(help="Samples of one source stay together: regular expression, or CSV name,source.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="CSV name,label: classes in place of folders.")] = None,
    values: Annotated[Path | None, typer.Option(help="CSV name,value[,value ...]: a regression.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels a side of the input.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of a sample.")] = None,
    step_us: Annotated[int | None, typer.Option(min=1, help="Length of a step, microseconds.")] = None,
    ratio: Annotated[str | None, typer.Option(help="S_th0 of pictures.")] = None,
    sensor: Annotated[str | None, typer.Option(help="Preset of a sensor for pictures, e.g. dvs128.")] = None,
    moving_eye: Annotated[
        bool, typer.Option("--moving-eye", help="With --sensor, the eye moves and does not jump.")
    ] = False,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror half of the training samples.")] = False,
    shift: Annotated[int, typer.Option(min=0, help="Move training samples by up to so many pixels.")] = 0,
    crop: Annotated[
        float | None,
        typer.Option(help="Train on a random part of each picture, at least this share (RandomResizedCrop: 0.08)."),
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(help="Train on pictures of other exposure: 0.5 draws exponents of 1/1.5 to 1.5.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Processes that make training samples; 0: threads. Same samples.")
    ] = 0,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew where --out holds a training.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Curves for TensorBoard in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Train a spiking network on events, tested on a chip.

    DATA are pictures, which become events anew in each epoch, shards, recordings or frames; classes are the folders.
    Without DATA: 5,000 handwritten digits. Every epoch reports accuracy in float and on the chip's integers. It writes
    network.safetensors (last epoch) and network_best.safetensors, which `check` and `export` read, metrics.csv and
    training.png. A file that --network names is run as a program, with your rights.

    Example: i2e-deploy train photos/ --chip speck2f --out trained
    """
    from i2e_deploy.cli.train_job import TrainJob

    if show:
        from i2e_deploy.cli.recipes_list import print_recipes

        print_recipes(chip, as_json)
        return
    options = {
        "most": train_size, "most_test": test_size, "test_share": test_share, "groups": groups, "labels": labels,
        "values": values, "size": size, "steps": steps, "step_us": step_us, "ratio": ratio, "sensor": sensor,
        "moving_eye": moving_eye or None, "flip": flip or None, "shift": shift or None,
        "crop": crop, "gamma": gamma,
    }  # fmt: skip
    TrainJob(
        out=out, data=data, options=options, reading=reading, chip=chip, recipe=recipe, network=network, init=init,
        freeze=tuple(freeze or ()), loss=loss, through=through, epochs=epochs, batch_size=batch_size,
        optimising={
            "optimiser": optimiser or None, "learning_rate": learning_rate, "schedule": schedule or None,
            "warm_up": warm_up, "weight_decay": weight_decay, "clip": clip,
        }, label_smoothing=label_smoothing, merged=merged, mixup=mixup, event_drop=event_drop, activity=activity,
        spike_limit=spike_limit, synop_limit=synop_limit, limits=limits, chip_samples=chip_samples, devices=devices,
        precision=precision, seed=seed, workers=workers, restart=restart, tensorboard=tensorboard, as_json=as_json,
    ).run()  # fmt: skip
