"""I2E-CIFAR10 on the integers of a chip: one training, from pictures to the chip's accuracy on all test pictures.

    nice python benchmarks/cifar10.py CIFAR10.zip --out WORK --events 500 > benchmarks/results/cifar10.txt
    python benchmarks/cifar10.py CIFAR10.zip --out NEW --init WORK/checkpoint.safetensors --merged 0 --through event
    python benchmarks/cifar10.py CIFAR10.zip --out WORK --train 20000 --hold-out 2000 --epochs 8    # to choose settings
    python benchmarks/cifar10.py CIFAR10.zip --out WORK --train 20000 --hold-out 2000 --epochs 8 --plain
    python benchmarks/cifar10.py CIFAR10.zip --out WORK --widen 2 --deploy loihi2    # wider than that chip takes

CIFAR10.zip holds train/<class>/<name> and test/<class>/<name> (Krizhevsky 2009), PNG or JPEG. An interrupted run
goes on from WORK. The network is a recipe of the chip, trained as the recipe says unless told otherwise; the last epoch
counts, and no test picture chooses anything: with --hold-out so many training pictures stand in for the test part. The
paper's own network for GPUs is `training.paper`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rows import machine
from torch import nn
from torch.nn.utils import parametrize

from i2e_deploy.runtime import wilson
from i2e_deploy.training import planned_sinabs
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.judging import evenly, in_float
from i2e_deploy.training.loop import fit, on_all
from i2e_deploy.training.recipes import PLAIN_RATE, Recipe, sized_recipe
from i2e_deploy.training.samples import Batch, Samples, TrainingData
from i2e_deploy.training.sized import sized_network
from i2e_deploy.training.starting import take_weights

#: S_th0 of the paper for CIFAR-10, and its accuracies with MS-ResNet18 (11.2 million weights, 128 pixels), %.
RATIO, PAPER = "0.07", "85.07 (flips), 89.23 (flips and crops), 90.86 (from I2E-ImageNet)"
#: Test pictures that are looked at after an epoch, for the eye alone.
LOOKED_AT = 500


@dataclass(frozen=True, eq=False)
class Some:
    """Samples of a part, by number int64 [N]; `moved` as they are in training, else always as for evaluation."""

    whole: Samples
    numbers: NDArray[np.int64]
    moved: bool = True

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`."""
        return self.whole.batch(self.numbers[chosen], draw if self.moved else None)


def held_out(data: TrainingData, count: int, seed: int) -> TrainingData:
    """Without the test part: so many of the training samples take its place."""
    order = np.random.default_rng(seed).permutation(len(data.train)).astype(np.int64)
    return replace(data, train=Some(data.train, order[count:]), test=Some(data.train, order[:count], moved=False))


def options(given: Any, **more: Any) -> DataOptions:
    """How pictures become samples."""
    moved = Augmentation(flip=True, shift=max(1, given.size // 16))  # 2 of 32 pixels
    return DataOptions(size=given.size, ratio=RATIO, augmentation=moved, seed=given.seed, **more)


def recipe_of(given: Any, data: TrainingData) -> Recipe:
    """The chip's, or the same with so many times its channels, for the chip that it is deployed to."""
    recipe = sized_recipe(given.chip, given.recipe, data, given.seed)
    if given.widen == 1:
        return replace(recipe, chip=given.deploy, config=replace(recipe.config, chip=given.deploy))
    plan = sized_network(given.chip, given.recipe, data.input_shape, len(data.classes), data.steps)[0]
    first, *_, last = plan.layers
    layers = tuple(
        replace(layer, inputs=layer.inputs * (1 if layer is first else given.widen),
                outputs=layer.outputs * (1 if layer is last else given.widen))
        for layer in plan.layers
    )  # fmt: skip
    network = planned_sinabs.build(replace(plan, layers=layers), data.steps, given.seed)
    return Recipe(network, recipe.running, replace(recipe.config, chip=given.deploy), given.deploy)


def settings(given: Any, base: FitConfig) -> FitConfig:
    """Of the recipe, but for what was asked."""
    rate = given.rate or (PLAIN_RATE if given.plain else base.optimising.learning_rate)
    merged = base.merged if given.merged is None else given.merged
    optimising = replace(base.optimising, learning_rate=rate)
    through = given.through or base.through
    return replace(base, epochs=given.epochs, chip_samples=LOOKED_AT, optimising=optimising, merged=merged,
                   through=through, semantics=given.through or "")  # fmt: skip


def epochs(data: TrainingData, recipe: Recipe, config: FitConfig, out: Path) -> Iterator[str]:
    """Train; a line an epoch."""
    looked = replace(data, test=Some(data.test, evenly(data.test, LOOKED_AT)))
    for result in fit(recipe.network, looked, config, out, running=recipe.running):
        steps = 1 if result.epoch <= config.merged_epochs else data.steps
        yield (
            f"epoch {result.epoch:2d} of {config.epochs}, {steps} step{'s' * (steps > 1)}: loss {result.loss:.3f}, "
            f"training {result.train['accuracy']:.1%}, of {len(looked.test)}: float {result.test['accuracy']:.1%}, "
            f"integers {result.chip['accuracy']:.1%}; {result.samples_per_second:.0f} pictures/s"
        )


def said(right: int, count: int) -> str:
    """A share with its 95 % interval."""
    low, high = wilson(right, count)
    return f"{right / count:.1%} (95 % interval {low:.1%} to {high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chip", default="speck2f")
    parser.add_argument("--recipe", default="medium")
    parser.add_argument(
        "--plain", action="store_true", help="plain filters, not standardised ones, at the rate for such"
    )
    parser.add_argument("--widen", type=int, default=1, help="times the recipe's channels")
    parser.add_argument("--deploy", help="chip whose integers judge; default: the recipe's")
    parser.add_argument("--size", type=int, default=48, help="pixels a side")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights are the start")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, help="peak of the learning rate; default: the recipe's")
    parser.add_argument("--merged", type=float, help="share of the epochs with all steps as one; default: the recipe's")
    parser.add_argument("--through", help="the chip's integers in the forward pass: event, timestep; default: float")
    parser.add_argument("--train", type=int, help="training pictures; default: all")
    parser.add_argument("--test", type=int, help="test pictures; default: all")
    parser.add_argument("--hold-out", type=int, help="training pictures that stand in for the test part")
    parser.add_argument("--events", type=int, default=0, help="test pictures that are also judged event by event")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.deploy = given.deploy or given.chip
    given.out.mkdir(parents=True, exist_ok=True)
    data = open_data(given.data, options(given, most=given.train, most_test=given.test))
    if given.hold_out:
        data = held_out(data, given.hold_out, given.seed)
    recipe = recipe_of(given, data)
    if given.plain:
        for layer in recipe.network.modules():
            if parametrize.is_parametrized(layer):
                parametrize.remove_parametrizations(layer, "weight")
    if given.init:
        take_weights(recipe.network, given.init)
    config = settings(given, recipe.config)
    weights = sum(p.weight.numel() for p in recipe.network.modules() if isinstance(p, nn.Conv2d | nn.Linear))
    start = ", plain filters" if given.plain else ""
    start += ", from trained weights" if given.init else ""
    start += f", through {config.through}" if given.through else ""
    tested = "held-out training" if given.hold_out else "test"
    print(machine())
    wider = f" with {given.widen} times its channels" if given.widen > 1 else ""
    print(f"{given.chip}, recipe {given.recipe}{wider}, {weights:,} weights; {len(data.train):,} training and "
          f"{len(data.test):,} {tested} pictures at {given.size} pixels; {config.epochs} epochs, the first "
          f"{config.merged_epochs} with all steps as one{start}; "
          f"rate {config.optimising.learning_rate:g}, seed {given.seed}", flush=True)  # fmt: skip
    begin, spent = time.perf_counter(), time.process_time()
    for line in epochs(data, recipe, config, given.out):
        print(line, flush=True)
    seconds = f"{time.process_time() - spent:.0f} s of processor time, {time.perf_counter() - begin:.0f} s"
    print(f"{seconds} on a shared machine since this run began or went on")
    judged = in_float(recipe.network, recipe.running, config.loss, data.test, evenly(data.test, 0))
    print(f"last epoch, float, all {len(data.test):,} {tested} pictures: "
          f"{said(int((judged.predicted == judged.targets).sum()), len(data.test))}", flush=True)  # fmt: skip
    for semantics, count in (("timestep", 0), *((("event", given.events),) if given.events else ())):
        part = replace(data, test=Some(data.test, evenly(data.test, count)))
        judged = on_all(recipe.network, recipe.running, part, replace(config, semantics=semantics))
        print(f"last epoch, integers of {given.deploy}, {semantics}, {len(part.test):,} {tested} pictures: "
              f"{said(int((judged.predicted == judged.targets).sum()), len(part.test))}", flush=True)  # fmt: skip
    print(f"the paper's MS-ResNet18 in float: {PAPER}")


if __name__ == "__main__":
    main()
