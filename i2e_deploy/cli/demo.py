"""`i2e-deploy demo`: real handwritten digits become events, a network, Speck2f integers, a report."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console
    from torch import nn

    from i2e_deploy.datasets.mnist5k import Digits

CHIP, SIZE, STEPS, GOLDEN_SAMPLES = "speck2f", 32, 8, 4
#: Event rate that the I2E authors publish for MNIST at 32x32, S_th0 = 0.10.
PUBLISHED_RATE = 0.0956


def command(
    out: Annotated[Path, typer.Option(help="Folder for network, bundle and report.")] = Path("demo_output"),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, weights, augmentation.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 12,
    train_size: Annotated[int, typer.Option(min=100, max=4000, help="Training digits used.")] = 4000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Take MNIST-5k digits all the way: events, training, Speck2f integers, fit, exact simulation, report.

    Example: i2e-deploy demo --out demo_output
    """
    from i2e_deploy import bundle
    from i2e_deploy.chips import get
    from i2e_deploy.cli.common import console, print_check, print_json
    from i2e_deploy.datasets.images import resize
    from i2e_deploy.datasets.mnist5k import load_mnist5k
    from i2e_deploy.network import from_sinabs
    from i2e_deploy.reporting.html import write_report

    start, say = time.perf_counter(), console(stderr=as_json)
    _prepare(out)
    train_digits, test_digits = load_mnist5k(seed)
    say.rule("1  pictures to events")
    images = resize(test_digits.images, SIZE)
    frames, rates = _convert(images, say)
    say.rule("2  train a spiking network")
    trained, float_accuracy = _train(train_digits, frames, test_digits.labels, (seed, epochs, train_size), out, say)
    say.rule("3  does it fit the chip?")
    chip, network = get(CHIP), from_sinabs(trained, (2, SIZE, SIZE))
    report = chip.check(network)
    print_check(report, say)
    say.rule("4  the chip's integers")
    evaluation = _evaluate(chip.lower(network), frames, test_digits.labels, float_accuracy, say)
    results = {
        "float_accuracy": float_accuracy,
        "chip": evaluation,
        "event_rate": float(rates.mean()),
        "event_rate_steps": rates.tolist(),
        "published_event_rate": PUBLISHED_RATE,
    }
    say.rule("5  bundle and report")
    provenance = bundle.Provenance({"split, training": seed}, results, {"data": "MNIST-5k", "epochs": epochs})
    part = slice(0, GOLDEN_SAMPLES)
    written = bundle.write(
        out / "bundle", chip, network, frames[part], images[part], test_digits.labels[part], provenance, overwrite=True
    )
    verification = bundle.verify(written)
    verification.raise_if_different()
    page = write_report(written)
    seconds = time.perf_counter() - start
    say.print(
        f"golden vectors: {verification.values:,} values, all exact\nbundle {out / 'bundle'}\ndone in {seconds:.0f} s"
    )
    say.print(f"look at {page}", style="bold")
    if as_json:
        print_json({
            "float_accuracy": float_accuracy,
            "chip_accuracy": evaluation["accuracy"],
            "chip_interval95": evaluation["interval95"],
            "event_rate": results["event_rate"],
            "event_rate_steps": results["event_rate_steps"],
            "fits": report.fits,
            "exact": verification.exact,
            "seconds": seconds,
            "seed": seed,
            "bundle": str(out / "bundle"),
            "report": str(page),
        })  # fmt: skip


def _prepare(out: Path) -> None:
    """Find what would stop the demo before it has worked for a minute."""
    from importlib.util import find_spec

    from i2e_deploy.bundle import check_target
    from i2e_deploy.errors import InputError, MissingDependency

    for package, extra in (
        ("mlxtend", "data"),
        ("PIL", "data"),
        ("sinabs", "sinabs"),
        ("jinja2", "report"),
        ("matplotlib", "report"),
    ):
        if find_spec(package) is None:
            raise MissingDependency(package, "the demo", f"pip install 'i2e-deploy[{extra}]'")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out is {out}, a file: give the name of a folder")
    check_target(out / "bundle", overwrite=True)
    out.mkdir(parents=True, exist_ok=True)


def _convert(images: NDArray[np.uint8], say: Console) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Event frames [N, 8, 2, H, W] of the test digits, and the event rate of each step."""
    import numpy as np
    import torch

    from i2e_deploy.conversion import RATIO, i2e_torch

    frames = i2e_torch(torch.from_numpy(images)[:, None], RATIO["mnist"]).numpy()
    rates = np.asarray(frames.mean(axis=(0, 2, 3, 4)))
    steps = " ".join(f"{100 * rate:.2f}" for rate in rates)
    say.print(
        f"{len(images)} test digits, {SIZE}x{SIZE}, S_th0 = {float(RATIO['mnist']):.2f}: event rate "
        f"{100 * rates.mean():.2f} % (the authors publish {100 * PUBLISHED_RATE:.2f} %); by step {steps}"
    )
    return frames, rates


def _train(
    digits: Digits, frames: NDArray[np.uint8], labels: NDArray[np.int64], options: tuple[int, int, int],
    out: Path, say: Console,
) -> tuple[nn.Sequential, float]:  # fmt: skip
    """The trained network and its float accuracy; a checkpoint is written after each epoch."""
    import torch

    from i2e_deploy.cli.common import progress_bar
    from i2e_deploy.conversion import RATIO
    from i2e_deploy.datasets.images import resize
    from i2e_deploy.network import from_sinabs
    from i2e_deploy.network.file import write_network
    from i2e_deploy.training.bptt import spike_counts
    from i2e_deploy.training.digits import build_digit_network
    from i2e_deploy.training.loop import TrainConfig, train

    seed, epochs, size = options
    config = TrainConfig(epochs=epochs, ratio=RATIO["mnist"], seed=seed)
    network = build_digit_network(STEPS, torch.Generator().manual_seed(seed))
    data = (resize(digits.images[:size], SIZE), digits.labels[:size])
    batches = -(-size // config.batch_size) * epochs
    accuracy = 0.0
    with progress_bar("training", batches) as advance:
        steps = train(
            network, spike_counts, data, (frames, labels), config, lambda done, loss: advance(done, f"loss {loss:.3f}")
        )
        for result in steps:
            accuracy = result.test_accuracy
            say.print(
                f"epoch {result.epoch:2d}: loss {result.loss:.3f}, training digits {100 * result.train_accuracy:.1f} % "
                f"(deformed), test digits {100 * accuracy:.1f} %"
            )
            notes = {"epoch": str(result.epoch), "test_accuracy": str(accuracy), "seed": str(seed)}
            write_network(from_sinabs(network, (2, SIZE, SIZE)), out / "network.safetensors", notes)
    return network, accuracy


def _evaluate(
    program: Any, frames: NDArray[np.uint8], labels: NDArray[np.int64], float_accuracy: float, say: Console
) -> Any:
    """Accuracy and activity of the integers on all test digits."""
    from i2e_deploy.cli.common import progress_bar
    from i2e_deploy.runtime import evaluate

    with progress_bar("simulating", len(labels)) as advance:
        result = evaluate(program, frames, labels, progress=lambda done, _: advance(done, ""))
    low, high = result.interval
    say.print(
        f"{100 * result.accuracy:.1f} % of {result.total} digits right as integers "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}), {100 * float_accuracy:.1f} % in float",
        style="bold",
    )
    per_sample = result.to_dict()["per_sample"]
    for name, counts in per_sample.items():
        say.print(
            f"  layer {name}: {counts['spikes']:,.0f} spikes, {counts['synops']:,.0f} synaptic operations a digit"
        )
    return result.to_dict()
