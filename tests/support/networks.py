"""Randomly drawn Sinabs networks, and small ones by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import sinabs.layers as sl
import torch
from numpy.typing import NDArray
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike, SingleSpike
from torch import nn

from i2e_deploy.network import Conv2d, IntegrateAndFire, Network, chain
from i2e_deploy.network.op import Shape


@dataclass(frozen=True)
class Case:
    """A network by its seed: `module(batch_size)` builds the same weights each time."""

    input_shape: Shape
    module: Callable[[int], nn.Sequential]


def random_case(rng: np.random.Generator) -> Case:
    """One to three convolutions (strides, paddings, groups, dilation, pools, odd sizes), sometimes a linear end."""
    seed = int(rng.integers(2**32))
    shape = (int(rng.integers(1, 4)), int(rng.integers(5, 15)), int(rng.integers(5, 15)))
    return Case(shape, lambda batch: _build(np.random.default_rng(seed), shape, batch))


def _build(rng: np.random.Generator, shape: Shape, batch: int) -> nn.Sequential:
    torch.manual_seed(int(rng.integers(2**31)))
    channels, height, width = shape
    layers: list[nn.Module] = []
    for _ in range(int(rng.integers(1, 4))):
        conv = _conv(rng, channels, height, width)
        size = conv(torch.zeros(1, channels, height, width)).shape
        channels, height, width = size[1], size[2], size[3]
        layers += [conv, _neurons(rng, batch)]
        pool = int(rng.choice([1, 2, 4]))
        if pool > 1 and min(height, width) >= pool:
            layers.append(nn.AvgPool2d(pool) if rng.random() < 0.5 else sl.SumPool2d(pool))
            height, width = height // pool, width // pool
    linear_last = height == width and rng.random() < 0.5
    if isinstance(layers[-1], nn.AvgPool2d | sl.SumPool2d) or linear_last:
        if linear_last:
            layers += [nn.Flatten(), nn.Linear(channels * height * width, int(rng.integers(2, 11)), bias=False)]
        else:
            layers.append(nn.Conv2d(channels, int(rng.integers(1, 5)), 1, bias=False))
        layers.append(_neurons(rng, batch))
    with torch.no_grad():
        for layer in layers:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.add_(layer.weight.std(correction=0), alpha=1.0).mul_(float(rng.uniform(2, 6)))
    return nn.Sequential(*layers)


def _conv(rng: np.random.Generator, channels: int, height: int, width: int) -> nn.Conv2d:
    smallest = min(height, width)
    kernel = int(rng.integers(1, min(5, smallest) + 1))
    dilation = int(rng.choice([1, 2])) if 2 * (kernel - 1) + 1 <= smallest else 1
    groups = channels if rng.random() < 0.2 else 1
    stride, padding = rng.choice([1, 2, 4], 2, p=[0.6, 0.3, 0.1]), rng.integers(0, 3, 2)
    return nn.Conv2d(
        channels,
        int(rng.integers(1, 6)) * groups,
        kernel,
        stride=(int(stride[0]), int(stride[1])),
        padding=(int(padding[0]), int(padding[1])),
        dilation=dilation,
        groups=groups,
        bias=bool(rng.random() < 0.3),
    )


def _neurons(rng: np.random.Generator, batch: int) -> sl.IAFSqueeze:
    spikes = [MultiSpike, SingleSpike, MaxSpike(3)][int(rng.choice(3, p=[0.6, 0.2, 0.2]))]
    bounded = rng.random() < 0.9  # without a bound the scale is at most 1: thresholds below 1 would round to 0
    return sl.IAFSqueeze(
        batch_size=batch,
        spike_threshold=torch.tensor(float(rng.uniform(0.3, 2) if bounded else rng.integers(1, 4))),
        min_v_mem=float(-rng.uniform(0, 3)) if bounded else None,
        spike_fn=spikes,
        reset_fn=MembraneReset() if rng.random() < 0.25 else MembraneSubtract(),
    )


def random_frames(rng: np.random.Generator, shape: Shape, batch: int = 2, steps: int = 5) -> NDArray[np.int64]:
    """Event counts [B, T, C, H, W], mostly 0 and 1."""
    rate = float(rng.uniform(0.05, 0.6))
    return (rng.random((batch, steps, *shape)) < rate).astype(np.int64)


def single_neuron(weight: float, threshold: float, min_v: float = -1.0) -> Network:
    """One input pixel, one neuron."""
    return chain(
        (1, 1, 1),
        {
            "conv": Conv2d(np.full((1, 1, 1, 1), weight, np.float32)),
            "neuron": IntegrateAndFire(threshold=threshold, min_v=min_v),
        },
    )
