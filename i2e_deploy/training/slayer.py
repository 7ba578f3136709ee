"""Training of lava-dl SLAYER networks on I2E frames of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.conversion import I2E
from i2e_deploy.lava_shim import import_lava

#: Steps of silence after the frames: SLAYER's spikes take one step from layer to layer.
SILENCE = 4


@dataclass(frozen=True)
class SlayerConfig:
    """How to train.

    Args:
        epochs: passes over the training set.
        batch_size: pictures a step.
        learning_rate: of Adam, falling to 0 along a cosine.
        logit_scale: the summed output spikes are multiplied by it before the softmax.
        ratio: S_th0 of the conversion.
        seed: everything random is drawn from it.
    """

    epochs: int = 4
    batch_size: int = 50
    learning_rate: float = 5e-3
    logit_scale: float = 1.0
    ratio: Fraction = Fraction(1, 10)
    seed: int = 0


@dataclass(frozen=True)
class SlayerEpoch:
    """After an epoch: mean training loss, and accuracies from 0 to 1."""

    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float


def build_slayer_digits(seed: int = 0, classes: int = 10) -> nn.Sequential:
    """Two convolutions and a dense layer of CUBA neurons without bias, on frames [B, 2, 32, 32, T].

    Without bias, what SLAYER computes is what the chip computes, spike for spike (docs/loihi2.md).

    Raises:
        MissingDependency: lava-dl is not installed.
    """
    import_lava("training with SLAYER")
    cuba = import_module("lava.lib.dl.slayer").block.cuba
    torch.manual_seed(seed)  # SLAYER draws its weights from the global generator
    neuron = {"threshold": 1.0, "current_decay": 0.5, "voltage_decay": 0.1, "tau_grad": 0.3, "scale_grad": 1.0}
    return nn.Sequential(
        cuba.Conv(neuron, 2, 8, 5, stride=2, padding=2, weight_scale=3),
        cuba.Conv(neuron, 8, 16, 3, stride=2, padding=1, weight_scale=3),
        cuba.Flatten(),
        cuba.Dense(neuron, 16 * 8 * 8, classes, weight_scale=2),
    )


def train_slayer(
    network: nn.Module,
    train_set: tuple[NDArray[np.uint8], NDArray[np.int64]],
    test_frames: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
    config: SlayerConfig,
    on_batch: Callable[[int, float], None] | None = None,
    checkpoint: Path | None = None,
) -> Iterator[SlayerEpoch]:
    """Train `network` in place and yield a result after each epoch.

    Args:
        network: takes float frames [B, 2, H, W, T] and gives spikes [B, classes, T].
        train_set: pictures uint8 [N, H, W] and labels [N].
        test_frames: uint8 [M, T, 2, H, W], without the silence.
        on_batch: called with (batches done in all, loss).
        checkpoint: a safetensors file, replaced whole after every epoch; see `load_checkpoint`.
    """
    images, labels = (torch.from_numpy(array) for array in train_set)
    generator = torch.Generator().manual_seed(config.seed)
    convert = I2E(config.ratio, generator=generator).train()
    batches = -(-len(images) // config.batch_size)
    optimiser = torch.optim.Adam(network.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * batches)
    for epoch in range(config.epochs):
        network.train()
        loss_sum, right = 0.0, 0
        order = torch.randperm(len(images), generator=generator)
        for i, chosen in enumerate(torch.split(order, config.batch_size)):
            counts = network(with_silence(convert(images[chosen][:, None]))).sum(-1)
            loss = F.cross_entropy(counts * config.logit_scale, labels[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            loss_sum += float(loss.detach()) * len(chosen)
            right += int((counts.argmax(1) == labels[chosen]).sum())
            if on_batch is not None:
                on_batch(epoch * batches + i + 1, float(loss.detach()))
        accuracy = slayer_accuracy(network, test_frames, test_labels)
        if checkpoint is not None:
            save_checkpoint(network, checkpoint)
        yield SlayerEpoch(epoch + 1, loss_sum / len(images), right / len(images), accuracy)


def with_silence(frames: Tensor, steps: int = SILENCE) -> Tensor:
    """Frames [B, T, C, H, W] as SLAYER takes them: float [B, C, H, W, T + steps]."""
    return F.pad(frames.float().permute(0, 2, 3, 4, 1), (0, steps))


@torch.no_grad()
def slayer_spikes(network: nn.Module, frames: NDArray[np.uint8], batch_size: int = 100) -> NDArray[np.int64]:
    """Output spikes in evaluation mode: frames uint8 [M, T, C, H, W] -> int64 [M, T + SILENCE, classes]."""
    network.eval()
    parts = [
        network(with_silence(torch.from_numpy(frames[i : i + batch_size]))) for i in range(0, len(frames), batch_size)
    ]
    spikes: NDArray[np.int64] = torch.cat(parts).permute(0, 2, 1).numpy().astype(np.int64)
    return spikes


def slayer_accuracy(network: nn.Module, frames: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    """Share of samples whose most active output is the label (the lowest on a tie), 0 to 1."""
    return float((slayer_spikes(network, frames).sum(1).argmax(1) == labels).mean())


def save_checkpoint(network: nn.Module, path: Path) -> None:
    """Weights and running statistics as safetensors, whole or not at all."""
    from i2e_deploy.files import write_tensors

    state: dict[str, Any] = {key: value.detach().cpu().numpy() for key, value in network.state_dict().items()}
    write_tensors(path, state, {"format": "i2e-deploy-slayer-checkpoint"})


def load_checkpoint(network: nn.Module, path: Path) -> None:
    """Put what `save_checkpoint` wrote into a network of the same build.

    Raises:
        InputError: no such file, or of another network.
    """
    from i2e_deploy.errors import InputError
    from i2e_deploy.files import read_tensors

    tensors, _ = read_tensors(path)
    try:
        network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    except RuntimeError as error:
        raise InputError(f"{path} is a checkpoint of another network: {str(error).splitlines()[-1].strip()}") from error
