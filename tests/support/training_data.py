"""Small networks and data sets that are learned in a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.activation import Heaviside
from torch import nn

from i2e_deploy.training import FrameSamples, FusedIAF, TrainingData, data_of

STEPS, SIDE = 4, 8


def bars(samples: int, seed: int = 0) -> FrameSamples:
    """Noise with more events in the upper (class 0) or lower half."""
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    rate = np.full((samples, 1, 1, SIDE, 1), 0.1)
    for label, half in ((0, slice(SIDE // 2)), (1, slice(SIDE // 2, None))):
        rate[labels == label, :, :, half] = 0.5
    frames = generator.random((samples, STEPS, 2, SIDE, SIDE)) < rate
    return FrameSamples(frames.astype(np.uint8), labels.astype(np.int64))


def bar_data(train: int = 24, test: int = 12) -> TrainingData:
    """Classes 0 and 1."""
    return data_of(bars(train, 1), bars(test, 2))


def values(samples: FrameSamples, steps: bool = False) -> FrameSamples:
    """The same frames, with the share of their events that is in the upper half, in all or in each step, and 1."""
    upper = samples.frames[:, :, :, : SIDE // 2].sum(axis=(2, 3, 4)).astype(np.float32)
    every = samples.frames.sum(axis=(2, 3, 4)).astype(np.float32)
    share = upper / every if steps else (upper.sum(1) / every.sum(1))
    targets: NDArray[Any] = np.stack([share, np.ones_like(share)], -1)
    return FrameSamples(samples.frames, targets)


def small_network(outputs: int = 2, seed: int = 0, fused: bool = True) -> nn.Sequential:
    """A convolution and a linear layer, each with neurons."""
    generator = torch.Generator().manual_seed(seed)
    kind: Any = FusedIAF
    if not fused:
        from sinabs.layers import IAFSqueeze

        kind = IAFSqueeze
    options = {"num_timesteps": STEPS, "min_v_mem": -1.0, "surrogate_grad_fn": Heaviside(window=1.0)}
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False), kind(**options), nn.Flatten(),
        nn.Linear(6 * 16, outputs, bias=False), kind(**options),
    )  # fmt: skip
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 2 * layer.weight[0].numel() ** -0.5, generator=generator)
    return network


def weights_of(network: nn.Module) -> list[NDArray[Any]]:
    """A copy of every parameter."""
    return [parameter.detach().cpu().numpy().copy() for parameter in network.parameters()]


def same(one: list[NDArray[Any]], other: list[NDArray[Any]]) -> bool:
    """Whether all are equal, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
