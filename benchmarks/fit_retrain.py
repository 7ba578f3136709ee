"""What it costs to cut a trained network until it fits Speck2f, and how much training again gives back.

    python benchmarks/fit_retrain.py > benchmarks/results/fit_retrain.txt

Two networks on I2E-MNIST that no core holds: one with a layer of too many weights, one with too many inputs of its
linear layer. Each kind of change that lets it fit, accuracies of the integers in time steps on digits that training
never saw: as trained, cut and not trained since, trained again. Beside it the cut shape trained from random weights for
as many epochs in all, and where channels went, the choice by spikes, and simply the first channels. One seed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.activation import Heaviside
from torch import nn

from i2e_deploy.chips import LowerOptions
from i2e_deploy.chips.dynapcnn import DynapcnnChip
from i2e_deploy.chips.dynapcnn.checks.activity import channel_spikes
from i2e_deploy.chips.dynapcnn.lowering.reshape import Change, apply_changes
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.network import Network, from_sinabs, to_sinabs
from i2e_deploy.training import FitConfig, FrameSamples, Optimising, fit
from i2e_deploy.training.digit_data import GreyPictures, Set, digit_data, digit_sets
from i2e_deploy.training.fused_iaf import FusedIAF

CHIP = DynapcnnChip("speck2f")
SHAPE, STEPS = (2, 32, 32), 8


@dataclass(frozen=True)
class Case:
    """A network and the changes of which each lets it fit (with splits, where that is needed)."""

    title: str
    build: Callable[[], nn.Sequential]
    ways: Sequence[tuple[str, tuple[Change, ...], str]]


def neurons() -> FusedIAF:
    return FusedIAF(
        num_timesteps=STEPS, spike_threshold=torch.tensor(1.0), min_v_mem=-1.0, surrogate_grad_fn=Heaviside(1.0)
    )


def drawn(network: nn.Sequential) -> nn.Sequential:
    """Weights of variance 1 / fan-in, from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 1 / sqrt(layer.weight[0].numel()), generator=generator)
    return network


def wide() -> nn.Sequential:
    """The third convolution has 64 x 200 kernels: 262,144 words, a core has 65,536."""
    return drawn(nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=2, bias=False), neurons(),
        nn.Conv2d(16, 64, 3, stride=2, padding=1, bias=False), neurons(),
        nn.Conv2d(64, 200, 3, stride=2, padding=1, bias=False), neurons(),
        nn.Flatten(), nn.Linear(200 * 16, 10, bias=False), neurons(),
    ))  # fmt: skip


def many_inputs() -> nn.Sequential:
    """The linear layer has 64 x 16 x 16 inputs: 262,144 words."""
    return drawn(nn.Sequential(
        nn.Conv2d(2, 16, 5, stride=2, padding=2, bias=False), neurons(),
        nn.Conv2d(16, 64, 3, padding=1, bias=False), neurons(),
        nn.Flatten(), nn.Linear(64 * 256, 10, bias=False), neurons(),
    ))  # fmt: skip


CASES = (
    Case("64 x 16 x 16 inputs of a linear layer", many_inputs, (
        ("64 to 16 channels, by weights", (Change("2", "channels", 16),), "weights"),
        ("  by spikes", (Change("2", "channels", 16),), "spikes"),
        ("  the first 16", (Change("2", "channels", 16),), "first"),
        ("stride 2 in the layer before", (Change("2", "pool", 2),), "weights"),
        ("average pooling by 2 before it", (Change("5", "pool", 2),), "weights"),
    )),
    Case("64 x 200 kernels", wide, (
        ("200 to 128 channels and a split, by weights", (Change("4", "channels", 128),), "weights"),
        ("  by spikes", (Change("4", "channels", 128),), "spikes"),
        ("  the first 128", (Change("4", "channels", 128),), "first"),
        ("200 to 64 channels, by weights", (Change("4", "channels", 64),), "weights"),
        ("  by spikes", (Change("4", "channels", 64),), "spikes"),
        ("  the first 64", (Change("4", "channels", 64),), "first"),
        ("1x1 kernel instead of 3x3", (Change("4", "kernel", 1),), "weights"),
    )),
)  # fmt: skip


def module_of(network: Network) -> nn.Sequential:
    module = to_sinabs(network, STEPS, FusedIAF, surrogate_grad_fn=Heaviside(1.0))
    assert isinstance(module, nn.Sequential)
    return module


def trained(module: nn.Sequential, sets: tuple[Set, Set], epochs: int, rate: float) -> Network:
    data = digit_data(GreyPictures(*sets[0]), FrameSamples(*sets[1]))
    for _ in fit(module, data, FitConfig(epochs=epochs, optimising=Optimising(learning_rate=rate))):
        pass
    return from_sinabs(module, SHAPE)


def right(network: Network, test: Set) -> float:
    """Correct decisions of the integers, in percent; `lower` without a split, which changes no spike."""
    program = CHIP.lower(network)
    parts = np.array_split(np.arange(len(test[0])), max(1, len(test[0]) // 100))
    decisions = np.concatenate([program.run(test[0][part]).decisions() for part in parts])
    return float(100 * (decisions == test[1]).mean())


def cut(network: Network, changes: tuple[Change, ...], rule: str, frames: NDArray[np.uint8]) -> Network:
    spikes = channel_spikes(CHIP.lower(network), frames)
    if rule == "first":
        spikes = {name: np.where(np.arange(len(n)) < changes[0].value, 1e9, 1e-9) for name, n in spikes.items()}
    changed, _ = apply_changes(network, changes, None if rule == "weights" else spikes)
    report = CHIP.check(changed, LowerOptions(split=True))
    assert report.fits, [str(error) for error in report.errors]
    return changed


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--again", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=1000)
    given = parser.parse_args()
    sets = digit_sets(0, given.pictures, 1000)
    frames = i2e_torch(torch.from_numpy(sets[0][0][:100])[:, None], RATIO["mnist"]).numpy()
    print(f"{given.pictures} digits to train on, {len(sets[1][1])} others to test; {given.epochs} epochs, "
          f"{given.again} more after the cut; integers of Speck2f in time steps, % correct")  # fmt: skip
    for case in CASES:
        start = time.perf_counter()
        whole = trained(case.build(), sets, given.epochs, 1e-2)
        more = trained(module_of(whole), sets, given.again, 3e-3)
        assert not CHIP.check(whole, LowerOptions(split=True)).fits
        print(
            f"\n{case.title}: does not fit; as trained {right(whole, sets[1]):.1f}, "
            f"trained on {right(more, sets[1]):.1f}"
        )
        print(f"{'change':46}{'cut':>8}{'trained again':>16}{'from scratch':>16}")
        for label, changes, rule in case.ways:
            changed = cut(whole, changes, rule, frames)
            again = trained(module_of(changed), sets, given.again, 3e-3)
            row = f"{label:46}{right(changed, sets[1]):8.1f}{right(again, sets[1]):16.1f}"
            if rule == "weights":
                fresh = trained(drawn(module_of(changed)), sets, given.epochs + given.again, 1e-2)
                row += f"{right(fresh, sets[1]):16.1f}"
            print(row, flush=True)
        print(f"({time.perf_counter() - start:.0f} s)")


if __name__ == "__main__":
    main()
