"""A small MS-ResNet on I2E-CIFAR10, from pictures to Loihi 2's integers: accuracy, activity, what each layer loses.

    nice python benchmarks/ms_resnet_cifar10.py CIFAR10.zip --out WORK > benchmarks/results/ms_resnet_cifar10.txt
    python benchmarks/ms_resnet_cifar10.py CIFAR10.zip --out WORK --train 2000 --epochs 1 --test 200    # a short run

CIFAR10.zip holds train/<class>/<name> and test/<class>/<name> (Krizhevsky 2009), PNG or JPEG. The network is the
paper's (7x7 stem of stride 2, maximum of membranes, membrane shortcuts, hard-reset LIF of tau 2, logits as the mean
over 8 steps), one block a stage, 24, 48 and 96 channels. An interrupted run goes on from WORK. The last epoch counts,
and no test picture chooses anything; calibration frames are training pictures.
"""

from __future__ import annotations

import argparse
import copy
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
from torch import nn

from i2e_deploy.chips import LowerOptions, Program, get
from i2e_deploy.chips.abilities import SeesPictures, TakesPictures, require
from i2e_deploy.chips.eye import looks
from i2e_deploy.chips.loihi2.lowering.lower import beside
from i2e_deploy.conversion import convert
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.network import Network, Pool2d
from i2e_deploy.network.ms_resnet import from_ms_resnet
from i2e_deploy.runtime import wilson
from i2e_deploy.text import aligned
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.judging import evenly, in_float
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
    parser.add_argument("--looks", type=int, default=500, help="test pictures that are looked at several times")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    print(f"{machine()} | load {' '.join(f'{x:.1f}' for x in os.getloadavg())}")
    module = trained(given)
    network = from_ms_resnet(module.state_dict(), (2, given.size, given.size))
    data = open_data(given.data, options_of(given, given.test))
    calibration = data.train.batch(evenly(data.train, given.calibrate), None).frames
    print_accuracy(module, network, data, calibration)
    print_layers(network, calibration)
    print_looks(network, data, given)
    print_pooling(module, data, given)


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


def print_accuracy(module: MSResNet, network: Network, data: TrainingData, calibration: NDArray[Any]) -> None:
    """Of all test pictures: in float, and on the integers with scales by range and chosen on calibration frames."""
    decided, targets = of_module(module, data.test), targets_of(data.test)
    count = len(targets)
    print(f"\n{count:,} test pictures: float {accuracy(decided, targets)}")
    for name, options in (("by range", LowerOptions()), ("calibrated", LowerOptions(calibration=calibration))):
        began = time.process_time()
        program = CHIP.lower(network, options)
        lowered, began = time.process_time() - began, time.process_time()
        found = of_program(program, data.test)
        each = 1e3 * (time.process_time() - began) / count
        print(f"on the chip's integers, scales {name}: {accuracy(found, targets)}; {(found == decided).mean():.1%} "
              f"decisions as in float; lowered in {lowered:.0f} s, {each:.1f} ms a picture", flush=True)  # fmt: skip


def accuracy(decided: NDArray[np.int64], targets: NDArray[np.int64]) -> str:
    right = int((decided == targets).sum())
    low, high = wilson(right, len(targets))
    return f"{right / len(targets):.1%} (95 % interval {low:.1%} to {high:.1%})"


def of_module(module: MSResNet, samples: Samples) -> NDArray[np.int64]:
    decided: NDArray[np.int64] = in_float(module, MS_RESNET, Loss(), samples, evenly(samples, 0)).predicted
    return decided


def targets_of(samples: Any) -> NDArray[np.int64]:
    return np.asarray(samples.targets)


def of_program(program: Program, samples: Samples) -> NDArray[np.int64]:
    parts = np.array_split(np.arange(len(samples)), max(1, len(samples) // BATCH))
    return np.concatenate([program.run(samples.batch(part, None).frames).decisions() for part in parts])


def print_layers(network: Network, frames: NDArray[Any]) -> None:
    """What each layer sends and loses, on the calibration frames."""
    chosen = CHIP.lower(network, LowerOptions(calibration=frames))
    ranged, calibrated = beside(network, frames).losses, beside(network, frames, integers=chosen.network).losses
    by_name = [{loss.layer: loss for loss in each} for each in (ranged, calibrated)]
    late = max(chosen.latencies.values())
    trace = chosen.run(np.pad(frames, ((0, 0), (0, late), (0, 0), (0, 0), (0, 0))))
    steps = STEPS + late
    print(f"\nlayer by layer, {len(frames)} training pictures; what differs from float. Messages a neuron and step: of "
          f"all {steps} steps, {STEPS} of frames and {late} empty ones in which deep layers still work")  # fmt: skip
    rows = [("layer", "neurons", "bits of a message", "a neuron and step", "synops a picture", "by range",
             "calibrated", "clipped")]  # fmt: skip
    for block in chosen.network.blocks:
        counts, neurons = trace.counts[block.name], int(np.prod(block.shape))
        rate = counts.spikes / neurons / (steps * len(frames))
        one, other = (each.get(block.name) for each in by_name)
        synops, clipped = f"{counts.synops / len(frames):,.0f}", str(counts.saturations)
        rows.append((block.name, f"{neurons:,}", str(block.message_bits or 1), f"{rate:.3f}", synops, lost(one),
                     lost(other), clipped))  # fmt: skip
    print(aligned(rows, right=range(1, 8)), flush=True)


def lost(loss: Any) -> str:
    """Spikes or values that differ, in %."""
    if loss is None:
        return "-"
    if loss.spikes is not None:
        return f"{100 * loss.spikes.differing / max(1, loss.spikes.wanted):.1f} % of spikes"
    error = loss.state_error if loss.value_error is None else loss.value_error
    return f"{error:.2f} % of values"


def print_looks(network: Network, data: TrainingData, given: argparse.Namespace) -> None:
    """The eye before the network: each picture is looked at several times, with placements of its own."""
    plain, names = CHIP.lower(network), data.test.names[: given.looks]  # type: ignore[attr-defined]
    targets, resize = targets_of(data.test)[: given.looks], Resize(given.size, "squash", "bilinear")
    source = open_source(str(given.data))
    pixels = [decode_picture(source.read(name), resize, name) for name in names]
    images = np.stack([p.max(axis=2) for p in pixels])[:, None]
    print(f"\nthe eye on the chip, {len(images)} test pictures (V), decisions over several looks")
    host = plain.run(convert(images, RATIO)).scores()
    for times, seeds in ((1, (1,)), (2, (1,)), (4, (1,)), (8, (1, 2))):
        total: Any = 0
        for seed in seeds:
            kernels = looks(times // len(seeds), seed)
            program = require(CHIP, SeesPictures, "an eye").with_eye(plain, RATIO, kernels, channels=1)
            assert isinstance(program, TakesPictures)
            total = total + np.concatenate(
                [program.see(images[i : i + BATCH]).scores() for i in range(0, len(images), BATCH)]
            )
        assert times > 1 or np.array_equal(total, host)
        shown = "" if len(seeds) == 1 else f", picture sent {len(seeds)} times, scores added by the host"
        print(
            f"  {times} looks, {STEPS * times} steps of events{shown}: {accuracy(total.argmax(1), targets)}", flush=True
        )


def print_pooling(module: MSResNet, data: TrainingData, given: argparse.Namespace) -> None:
    """Averages of 2 x 2 in place of the 3 x 3 maximum: as it is, and both trained on for an epoch."""
    targets, few = targets_of(data.test), open_data(given.data, options_of(given, 100))
    print("\npooling of the stem, in float and on the chip's integers")
    for name, pool in (("maximum 3 x 3", module.maxpool), ("average 2 x 2", nn.AvgPool2d(2))):
        for more in (0, 1):
            own = copy.deepcopy(module)
            own.maxpool = pool
            if more:
                config = FitConfig(epochs=more, batch_size=64, loss=Loss(scale=1 / STEPS, label_smoothing=0.1),
                                   optimising=Optimising("adamw", given.rate / 5, "one_cycle"))  # fmt: skip
                list(fit(own, few, config, running=MS_RESNET))
            own.eval()
            network = from_ms_resnet(own.state_dict(), (2, given.size, given.size))
            if isinstance(pool, nn.AvgPool2d):
                layers = (replace(x, op=Pool2d((2, 2))) if x.name == "maxpool" else x for x in network.layers)
                network = replace(network, layers=tuple(layers))
            program = CHIP.lower(network)
            size = sum(int(np.prod(block.shape)) for block in program.network.blocks)
            print(f"  {name}, {more} more epochs: float {accuracy(of_module(own, data.test), targets)}, chip "
                  f"{accuracy(of_program(program, data.test), targets)}; {len(program.network.blocks)} populations, "
                  f"{size:,} neurons", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
