"""I2E-CIFAR10 on the integers of a chip: one training, from pictures to the chip's accuracy on all test pictures.

    nice python benchmarks/cifar10.py CIFAR10.zip --out WORK > benchmarks/results/cifar10.txt
    python benchmarks/cifar10.py CIFAR10.zip --out WORK --train 2000 --test 1000 --epochs 2     # a short run

CIFAR10.zip holds train/<class>/<name> and test/<class>/<name> (Krizhevsky 2009), PNG or JPEG. An interrupted run
goes on from WORK. The network is a recipe of the chip; the last epoch counts, and no test picture chooses anything. The
paper's own network for GPUs is `training.paper`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from rows import machine

from i2e_deploy.runtime import wilson
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.loop import fit, on_all
from i2e_deploy.training.recipes import sized_recipe

#: S_th0 of the paper for CIFAR-10, and its accuracies with MS-ResNet18 (11.2 million weights, 128 pixels), %.
RATIO, PAPER = "0.07", "85.07 (flips), 89.23 (flips and crops), 90.86 (from I2E-ImageNet)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chip", default="speck2f")
    parser.add_argument("--recipe", default="large")
    parser.add_argument("--size", type=int, default=48, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rate", type=float, default=2e-3, help="peak of the learning rate")
    parser.add_argument("--train", type=int, help="training pictures; default: all")
    parser.add_argument("--test", type=int, help="test pictures; default: all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    shift = max(1, given.size // 8)  # 4 of 32 pixels
    options = DataOptions(size=given.size, ratio=RATIO, augmentation=Augmentation(flip=True, shift=shift),
                          most=given.train, most_test=given.test, seed=given.seed)  # fmt: skip
    data = open_data(given.data, options)
    recipe = sized_recipe(given.chip, given.recipe, data, given.seed)
    weights = sum(p.numel() for p in recipe.network.parameters() if p.dim() > 1)
    print(machine())
    counts = f"{len(data.train):,} training and {len(data.test):,} test pictures at {given.size} pixels"
    print(f"{given.chip}, recipe {given.recipe}, {weights:,} weights; {counts}, rate {given.rate:g}, seed {given.seed}")
    optimising = replace(recipe.config.optimising, learning_rate=given.rate)
    config = replace(recipe.config, epochs=given.epochs, chip_samples=200, optimising=optimising)
    begin = time.perf_counter()
    for result in fit(recipe.network, data, config, given.out, running=recipe.running):
        figures = f"test in float {result.test['accuracy']:.1%}, 200 on the integers {result.chip['accuracy']:.1%}"
        speed = f"{result.samples_per_second:.0f} pictures/s"
        print(f"epoch {result.epoch} of {given.epochs}: loss {result.loss:.3f}, {figures}, {speed}", flush=True)
    print(f"{time.perf_counter() - begin:.0f} s on one thread of a shared machine")
    judged = on_all(recipe.network, recipe.running, data, config)
    accuracy = float((judged.predicted == judged.targets).mean())
    low, high = wilson(round(accuracy * len(data.test)), len(data.test))
    print(f"last epoch, on the chip's integers in time steps, all {len(data.test):,} test pictures: {accuracy:.1%} "
          f"(95 % interval {low:.1%} to {high:.1%})")  # fmt: skip
    print(f"the paper's MS-ResNet18 in float: {PAPER}")


if __name__ == "__main__":
    main()
