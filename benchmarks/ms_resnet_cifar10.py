"""A small MS-ResNet on I2E-CIFAR10, from pictures to Loihi 2's integers: accuracy, activity, what each layer loses.

    nice python benchmarks/ms_resnet_cifar10.py CIFAR10.zip --out WORK > benchmarks/results/ms_resnet_cifar10.txt
    python benchmarks/ms_resnet_cifar10.py CIFAR10.zip --out WORK --train 2000 --epochs 1 --test 200    # a short run

CIFAR10.zip holds train/<class>/<name> and test/<class>/<name> (Krizhevsky 2009), PNG or JPEG. The network is the
paper's (7x7 stem of stride 2, maximum of membranes, membrane shortcuts, hard-reset LIF of tau 2, logits as the mean over
8 steps), one block a stage, 24, 48 and 96 channels. An interrupted run goes on from WORK. The last epoch counts, and no
test picture chooses anything; calibration frames are training pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rows import machine

from i2e_deploy.chips import LowerOptions, Program, get
from i2e_deploy.chips.trace import sum_counts
from i2e_deploy.network import Network, Pool2d
from i2e_deploy.network.ms_resnet import from_ms_resnet
from i2e_deploy.runtime import wilson
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.loop import fit
from i2e_deploy.training.losses import Loss
from i2e_deploy.training.ms_resnet import MSResNet, ms_resnet
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.paper import MS_RESNET, STEPS
from i2e_deploy.training.samples import Samples, TrainingData

#: S_th0 of the paper for CIFAR-10; blocks of each stage and channels of the first.
RATIO, BLOCKS, WIDTH = "0.07", (1, 1, 1), 24
CHIP: Any = get("loihi2")
BATCH = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--size", type=int, default=32, help="pixels a side")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=5e-3, help="peak of the learning rate")
    parser.add_argument("--train", type=int, default=10000, help="training pictures")
    parser.add_argument("--test", type=int, default=2000, help="test pictures")
    parser.add_argument("--calibrate", type=int, default=40, help="training pictures that scales are chosen on")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(f"{machine()} | load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    network = from_ms_resnet(trained(given).state_dict(), (2, given.size, given.size))
    data = open_data(given.data, options_of(given, given.test))
    print_accuracy(network, data, given.calibrate)


def options_of(given: argparse.Namespace, most_test: int) -> DataOptions:
    return DataOptions(size=given.size, ratio=RATIO, resample="bilinear", fit="squash", most=given.train,
                       most_test=most_test, augmentation=Augmentation(flip=True))  # fmt: skip


def trained(given: argparse.Namespace) -> MSResNet:
    """From WORK, or made now."""
    data = open_data(given.data, options_of(given, 500))
    network = ms_resnet(BLOCKS, len(data.classes), width=WIDTH, generator=torch.Generator().manual_seed(0))
    weights = sum(p.numel() for p in network.parameters() if p.dim() > 1)
    print(f"MS-ResNet of {len(BLOCKS)} blocks, {weights:,} weights; {len(data.train):,} training pictures at "
          f"{given.size} pixels, {given.epochs} epochs, AdamW {given.rate:g}, one cycle, seed 0")  # fmt: skip
    config = FitConfig(epochs=given.epochs, batch_size=64, loss=Loss(scale=1 / STEPS, label_smoothing=0.1),
                       optimising=Optimising("adamw", given.rate, "one_cycle"))  # fmt: skip
    began = time.process_time()

    def progress(batch: int, loss: float) -> None:
        if batch % 20 == 0:
            print(f"batch {batch}: loss {loss:.3f}, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)

    for result in fit(network, data, config, given.out, running=MS_RESNET, on_batch=progress):
        seconds = time.process_time() - began
        print(f"epoch {result.epoch}: loss {result.loss:.3f}, 500 test pictures in float "
              f"{result.test['accuracy']:.1%}, {seconds:.0f} s of processor time", flush=True)  # fmt: skip
    return network.eval()


if __name__ == "__main__":
    main()
