"""The demo's network: four convolutions and a linear layer, shaped for Speck, in plain Sinabs."""

from __future__ import annotations

from math import sqrt

import torch
from sinabs.activation import Heaviside
from torch import nn

from i2e_deploy.training.fused_iaf import FusedIAF

#: Output channels of the first, the second and third, and the last convolution.
CHANNELS = (8, 32, 64)
#: Side of the input in pixels.
SIZE = 32


def build_digit_network(steps: int, generator: torch.Generator, classes: int = 10) -> nn.Sequential:
    """An untrained network on event frames [B * T, 2, 32, 32] (batch outermost), output [B * T, classes].

    No bias and no leak, strides of 2 in place of pooling, thresholds 1 and lower bounds -1: what the
    chip has. Weights are normal with variance 1 / fan-in, drawn from `generator`.
    """
    first, middle, last = CHANNELS
    network = nn.Sequential(
        nn.Conv2d(2, first, 5, stride=2, padding=2, bias=False),
        _neurons(steps),
        nn.Conv2d(first, middle, 3, stride=2, padding=1, bias=False),
        _neurons(steps),
        nn.Conv2d(middle, middle, 3, padding=1, bias=False),
        _neurons(steps),
        nn.Conv2d(middle, last, 3, stride=2, padding=1, bias=False),
        _neurons(steps),
        nn.Flatten(),
        nn.Linear(last * (SIZE // 8) ** 2, classes, bias=False),
        _neurons(steps),
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 1 / sqrt(layer.weight[0].numel()), generator=generator)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _neurons(steps: int) -> FusedIAF:
    return FusedIAF(
        num_timesteps=steps,
        spike_threshold=torch.tensor(1.0),
        min_v_mem=-1.0,
        surrogate_grad_fn=Heaviside(window=1.0),
    )
