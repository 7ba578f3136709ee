"""Backpropagation through time of a Sinabs network on I2E frames of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sinabs.layers import StatefulLayer
from torch import Tensor, nn

from i2e_deploy.conversion import I2E
from i2e_deploy.training.augment import Deformation, deform


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        epochs: passes over the training set.
        batch_size: pictures a step.
        learning_rate: the peak of the one-cycle schedule.
        weight_decay: of AdamW.
        label_smoothing: share of the target spread over all classes.
        logit_scale: the summed output spikes are multiplied by it before the softmax.
        ratio: S_th0 of the conversion.
        deformation: of the training pictures.
        seed: everything random is drawn from it.
    """

    epochs: int = 12
    batch_size: int = 50
    learning_rate: float = 1e-2
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    logit_scale: float = 0.25
    ratio: Fraction = Fraction(1, 10)
    deformation: Deformation = field(default_factory=Deformation)
    seed: int = 0


@dataclass(frozen=True)
class EpochResult:
    """After an epoch: mean training loss, and accuracies from 0 to 1 (training pictures are deformed)."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float


def train(
    network: nn.Sequential,
    train_set: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test_frames: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
    config: TrainConfig,
    on_batch: Callable[[int, float], None] | None = None,
) -> Iterator[EpochResult]:
    """Train `network` in place and yield a result after each epoch.

    Args:
        network: takes float frames [B * T, 2, H, W], batch outermost.
        train_set: pictures uint8 [N, H, W] and labels [N]; converted afresh in each epoch with random
            placements of the saccades.
        test_frames: uint8 [M, T, 2, H, W].
        on_batch: called with (batches done in all, running loss).
    """
    images, labels = (torch.from_numpy(array) for array in train_set)
    generator = torch.Generator().manual_seed(config.seed)
    convert = I2E(config.ratio, generator=generator).train()
    batches = (len(images) + config.batch_size - 1) // config.batch_size
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, config.epochs * batches, pct_start=0.25, cycle_momentum=False,
        div_factor=10, final_div_factor=100,
    )  # fmt: skip
    for epoch in range(config.epochs):
        loss_sum, right = 0.0, 0
        order = torch.randperm(len(images), generator=generator)
        for i, chosen in enumerate(torch.split(order, config.batch_size)):
            frames = convert(deform(images[chosen], config.deformation, generator)[:, None])
            counts = spike_counts(network, frames)
            loss = F.cross_entropy(counts * config.logit_scale, labels[chosen], label_smoothing=config.label_smoothing)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            loss_now = float(loss.detach())
            loss_sum += loss_now * len(chosen)
            right += int((counts.argmax(1) == labels[chosen]).sum())
            if on_batch is not None:
                on_batch(epoch * batches + i + 1, loss_now)
        accuracy = float_accuracy(network, test_frames, test_labels)
        yield EpochResult(epoch + 1, loss_sum / len(images), right / len(images), accuracy)


def spike_counts(network: nn.Sequential, frames: Tensor) -> Tensor:
    """Output spikes summed over the steps, from a fresh state: float [B, T, C, H, W] -> [B, classes]."""
    for layer in network.modules():
        if isinstance(layer, StatefulLayer) and layer.is_state_initialised():
            layer.reset_states()
    counts: Tensor = network(frames.flatten(0, 1)).unflatten(0, frames.shape[:2]).sum(1)
    return counts


@torch.no_grad()
def float_accuracy(
    network: nn.Sequential, frames: NDArray[np.uint8], labels: NDArray[np.int64], batch_size: int = 100
) -> float:
    """Share of samples whose most active output is the label (the lowest on a tie), 0 to 1."""
    right = 0
    for first in range(0, len(frames), batch_size):
        part = slice(first, first + batch_size)
        decisions = spike_counts(network, torch.from_numpy(frames[part]).float()).argmax(1).numpy()
        right += int((decisions == labels[part]).sum())
    return right / len(frames)
