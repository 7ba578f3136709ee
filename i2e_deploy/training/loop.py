"""Backpropagation through time on I2E frames of pictures: one loop for every kind of network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.conversion import I2E
from i2e_deploy.training.augment import Deformation, deform
from i2e_deploy.training.checkpoint import Progress, resume, save_checkpoint

#: A network and float frames [B, T, C, H, W] to what its outputs sum to over the steps: float [B, classes].
SpikeCounts = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    Args:
        epochs: passes over the training set.
        batch_size: pictures a step.
        learning_rate: the peak of the one-cycle schedule.
        feedback_rate: learning rate of recurrent weights as a share of the others'. Adam's steps are as large, and
            their effect adds up over time: at 1 the recurrent digits network ends at 53 % instead of above 90 %.
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
    feedback_rate: float = 0.02
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
    network: nn.Module,
    spike_counts: SpikeCounts,
    train_set: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test_set: tuple[NDArray[np.uint8], NDArray[np.int64]],
    config: TrainConfig,
    on_batch: Callable[[int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> Iterator[EpochResult]:
    """Train `network` in place and yield a result after each epoch.

    Args:
        network: whatever `spike_counts` runs.
        spike_counts: of `training.bptt` (Sinabs) or `training.slayer`.
        train_set: pictures uint8 [N, H, W] and labels [N]; converted anew in each epoch with random
            placements of the saccades.
        test_set: frames uint8 [M, T, 2, H, W] and labels [M].
        on_batch: called with (batches done in all, loss).
        checkpoint: a file, replaced whole after each epoch. Where it exists, training goes on from it and gives the
            same bits as one that was never interrupted; the epochs it has done are not yielded again.

    Raises:
        InputError: the checkpoint is of another network or configuration, or no checkpoint.
    """
    images, labels = (torch.from_numpy(array) for array in train_set)
    generator = torch.Generator().manual_seed(config.seed)
    convert = I2E(config.ratio, generator=generator).train()
    batches = -(-len(images) // config.batch_size)
    groups = parameter_groups(network, config)
    optimiser = torch.optim.AdamW(groups, config.learning_rate, weight_decay=config.weight_decay)
    steps = config.epochs * batches
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [group["lr"] for group in groups],
        steps + (steps == 4),  # with 4 its rise ends at step 0: a division by zero
        pct_start=0.25, cycle_momentum=False,
        div_factor=10, final_div_factor=100,
    )  # fmt: skip
    progress = Progress(network, optimiser, schedule, generator, f"{config}, {len(images)} pictures")
    done = resume(progress, checkpoint) if checkpoint is not None and checkpoint.exists() else 0
    for epoch in range(done, config.epochs):
        network.train()
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
        if checkpoint is not None:
            save_checkpoint(progress, epoch + 1, checkpoint)
        accuracy = accuracy_of(network, spike_counts, *test_set)
        yield EpochResult(epoch + 1, loss_sum / len(images), right / len(images), accuracy)


@torch.no_grad()
def accuracy_of(
    network: nn.Module, spike_counts: SpikeCounts, frames: NDArray[np.uint8], labels: NDArray[np.int64],
    batch_size: int = 100,
) -> float:  # fmt: skip
    """Share of samples whose most active output is the label (the lowest on a tie), 0 to 1; in evaluation mode."""
    network.eval()
    right = 0
    for first in range(0, len(frames), batch_size):
        part = slice(first, first + batch_size)
        decisions = spike_counts(network, torch.from_numpy(frames[part])).argmax(1).numpy()
        right += int((decisions == labels[part]).sum())
    return right / len(frames)


def parameter_groups(network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters and their peak learning rates for the optimiser, recurrent weights (SLAYER's) apart."""
    named = list(network.named_parameters())
    feedback = [parameter for name, parameter in named if "recurrent_synapse" in name]
    others = [parameter for name, parameter in named if "recurrent_synapse" not in name]
    groups: list[dict[str, Any]] = [{"params": others, "lr": config.learning_rate}]
    return [*groups, {"params": feedback, "lr": config.learning_rate * config.feedback_rate}] if feedback else groups
