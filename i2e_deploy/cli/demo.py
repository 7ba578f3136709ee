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

    from i2e_deploy.bundle import Provenance
    from i2e_deploy.chips import AnyNetwork, CheckReport, Chip, Program
    from i2e_deploy.datasets.mnist5k import Digits
    from i2e_deploy.training.digit_data import Set

CHIP, SIZE, GOLDEN_SAMPLES = "speck2f", 32, 4
#: Event rate that the I2E authors publish for MNIST at 32x32, S_th0 = 0.10.
PUBLISHED_RATE = 0.0956
#: What it imports, and the package that brings it.
NEEDED = {"mlxtend": "mlxtend", "PIL": "pillow", "sinabs": "sinabs", "jinja2": "jinja2", "matplotlib": "matplotlib"}


def command(
    out: Annotated[Path, typer.Option(help="Folder for network, bundle and report.")] = Path("demo_output"),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of split, weights, augmentation.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 12,
    train_size: Annotated[int, typer.Option(min=100, max=4000, help="Training digits used.")] = 4000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Take 5,000 digits to the integers of a Speck2f.

    Events, training, fit, exact simulation, report: a minute or two. It writes the trained network, a bundle with the
    chip's integers, and a page to look at.

    Example: i2e-deploy demo --out demo_output
    """
    from i2e_deploy.bundle import Provenance
    from i2e_deploy.chips import PLAIN, Injection, get
    from i2e_deploy.chips.abilities import PlacesByLoad, require
    from i2e_deploy.cli.check_output import print_check
    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.datasets.mnist5k import load_mnist5k
    from i2e_deploy.datasets.picture import resize
    from i2e_deploy.reporting.html import STEP_US

    start, say = time.perf_counter(), console(stderr=as_json)
    _prepare(out)
    train_digits, test_digits = load_mnist5k(seed)
    say.rule("1  pictures to events")
    images, labels = resize(test_digits.images, SIZE), test_digits.labels
    frames, rates = _convert(images, say)
    say.rule("2  train a spiking network")
    options = (seed, epochs, train_size)
    network, float_accuracy = _train(train_digits, (frames, labels), options, out / "network.safetensors", say)
    say.rule("3  does it fit the chip?")
    chip = get(CHIP)
    program, load = chip.lower(network), require(chip, PlacesByLoad, "the demo")
    injection = Injection(step_us=STEP_US)
    report, _ = load.check_under_load(network, program, frames[:GOLDEN_SAMPLES], PLAIN, injection)
    print_check(report, say)
    say.rule("4  the chip's integers")
    on_chip = _evaluate(program, frames, labels, float_accuracy, say)
    say.rule("5  bundle and report")
    found = {
        "float_accuracy": float_accuracy,
        "event_rate": float(rates.mean()),
        "event_rate_steps": rates.tolist(),
    }
    evaluation = {**found, "chip": on_chip, "published_event_rate": PUBLISHED_RATE}
    provenance = Provenance({"split, training": seed}, evaluation, {"data": "MNIST-5k", "epochs": epochs})
    golden = (frames[:GOLDEN_SAMPLES], images[:GOLDEN_SAMPLES], labels[:GOLDEN_SAMPLES])
    page = _write(chip, network, (report, program), golden, provenance, out / "bundle", say)
    seconds = time.perf_counter() - start
    say.print(f"done in {seconds:.0f} s; look at {page}", style="bold")
    if as_json:
        print_json({
            **found, "chip_accuracy": on_chip["accuracy"], "chip_interval95": on_chip["interval95"],
            "fits": report.fits, "exact": True, "seconds": seconds, "seed": seed,
            "bundle": str(out / "bundle"), "report": str(page),
        })  # fmt: skip


def _prepare(out: Path) -> None:
    """Find what would stop the demo before it has worked for a minute."""
    from i2e_deploy.bundle import check_target
    from i2e_deploy.errors import InputError
    from i2e_deploy.requirements import need

    need(NEEDED, "the demo")
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
    digits: Digits, test_set: Set, options: tuple[int, int, int], path: Path, say: Console
) -> tuple[AnyNetwork, float]:
    """The trained network, written to `path` after each epoch, and its float accuracy."""
    from i2e_deploy.chips import write_model
    from i2e_deploy.cli.training import fit_and_show
    from i2e_deploy.datasets.picture import resize
    from i2e_deploy.reporting.html import STEP_US
    from i2e_deploy.training.arrays import FrameSamples
    from i2e_deploy.training.digit_data import GreyPictures, digit_card, digit_data
    from i2e_deploy.training.recipes import read_trained, recipe_of

    seed, epochs, size = options
    recipe = recipe_of("sinabs", seed, epochs)
    pictures = GreyPictures(resize(digits.images[:size], SIZE), digits.labels[:size])
    accuracy = 0.0
    for result in fit_and_show(recipe, digit_data(pictures, FrameSamples(*test_set)), say):
        accuracy = result.test["accuracy"]
        notes = {"epoch": str(result.epoch), "test_accuracy": str(accuracy), "seed": str(seed)}
        write_model(read_trained(recipe), path, notes, digit_card(seed, size, STEP_US))
    return read_trained(recipe, test_set[0][:GOLDEN_SAMPLES]), accuracy


def _evaluate(
    program: Any, frames: NDArray[np.uint8], labels: NDArray[np.int64], float_accuracy: float, say: Console
) -> Any:
    """Accuracy and activity of the integers on all test digits."""
    import numpy as np

    from i2e_deploy.cli.common import progress_bar
    from i2e_deploy.runtime import evaluate

    with progress_bar("simulating", len(labels)) as advance:
        (on_chip,) = evaluate(program, frames, labels, progress=lambda done, _: advance(done, "")).results
    found = {key: on_chip.to_dict()[key] for key in ("accuracy", "interval95", "correct", "per_sample")}
    low, high = found["interval95"]
    say.print(
        f"{100 * found['accuracy']:.1f} % of {on_chip.total} digits right as integers "
        f"(95 % interval {100 * low:.1f} to {100 * high:.1f}), {100 * float_accuracy:.1f} % in float",
        style="bold",
    )
    for name, counts in found["per_sample"].items():
        say.print(
            f"  layer {name}: {counts['spikes']:,.0f} spikes, {counts['synops']:,.0f} synaptic operations a digit"
        )
    confusion = np.asarray(on_chip.confusion).tolist()
    return found | {"total": on_chip.total, "confusion": confusion, "seconds": on_chip.seconds}


def _write(
    chip: Chip, network: AnyNetwork, lowered: tuple[CheckReport, Program], golden: tuple[Any, Any, Any],
    provenance: Provenance, folder: Path, say: Console,
) -> Path:  # fmt: skip
    """Write the bundle, verify it, and render its page."""
    from i2e_deploy import bundle
    from i2e_deploy.chips import read_card
    from i2e_deploy.cli.common import working
    from i2e_deploy.reporting.html import STEP_US, write_report

    frames, images, labels = golden
    with working("golden vectors from the slow reference, page"):
        written = bundle.write(
            folder,
            chip,
            network,
            frames,
            images,
            labels,
            provenance,
            overwrite=True,
            lowered=lowered,
            step_us=STEP_US,
            card=read_card(folder.parent / "network.safetensors"),
        )
        verification = bundle.verify(written)
        verification.raise_if_different()
        page = write_report(written)
    say.print(f"golden vectors: {verification.values:,} values, all exact\nbundle {folder}")
    return page
