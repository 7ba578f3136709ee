"""The networks on which DYNAP-CNN simulators are compared, in plain Sinabs."""

from __future__ import annotations

import torch
from sinabs.layers import IAFSqueeze
from torch import nn


def gesture(batch: int, seed: int = 0) -> tuple[nn.Sequential, tuple[int, int, int]]:
    """Nine layers on 2x128x128: seven convolutions, two linear layers, the shape of DVS-Gesture networks for Speck."""
    layers: list[nn.Module] = []
    channels = 2
    for features, stride, pool in ((8, 2, 1), (8, 1, 2), (8, 1, 2), (16, 1, 2), (16, 1, 1), (32, 1, 2), (32, 1, 1)):
        layers += [nn.Conv2d(channels, features, 3, stride, 1, bias=False), _neurons(batch)]
        channels = features
        if pool > 1:
            layers.append(nn.AvgPool2d(pool))
    layers += [nn.Flatten(), nn.Linear(512, 64, bias=False), _neurons(batch)]
    layers += [nn.Linear(64, 11, bias=False), _neurons(batch)]
    return _drawn(nn.Sequential(*layers), seed), (2, 128, 128)


def mnist(batch: int, seed: int = 0) -> tuple[nn.Sequential, tuple[int, int, int]]:
    """The network of Sinabs' MNIST tutorials: three convolutions and two linear layers on 1x28x28."""
    layers: list[nn.Module] = []
    for channels, features, kernel in ((1, 20, 5), (20, 32, 5), (32, 128, 3)):
        layers += [nn.Conv2d(channels, features, kernel, bias=False), _neurons(batch), nn.AvgPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(128, 500, bias=False), _neurons(batch)]
    layers += [nn.Linear(500, 10, bias=False), _neurons(batch)]
    return _drawn(nn.Sequential(*layers), seed), (1, 28, 28)


def _neurons(batch: int) -> IAFSqueeze:
    return IAFSqueeze(batch_size=batch, min_v_mem=-1.0, spike_threshold=torch.tensor(1.0))


def _drawn(network: nn.Sequential, seed: int) -> nn.Sequential:
    """Weights normal, variance 1 / fan-in."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.normal_(0, layer.weight[0].numel() ** -0.5, generator=generator)
    return network


@torch.no_grad()
def tune(network: nn.Sequential, frames: torch.Tensor, activity: float) -> None:
    """Give every layer the threshold at which its neurons fire `activity` times a step on frames [T, C, H, W]."""
    signal = frames
    for layer in network:
        if not isinstance(layer, IAFSqueeze):
            signal = layer(signal)
            continue
        batch, layer.batch_size = layer.batch_size, 1
        low, high = 1e-2, 1e2
        for _ in range(14):  # bisection: a higher threshold, fewer spikes
            middle = (low * high) ** 0.5
            layer.spike_threshold.fill_(middle)
            layer.min_v_mem.fill_(-middle)
            if layer.is_state_initialised():
                layer.reset_states()
            spikes = layer(signal)
            low, high = (middle, high) if float(spikes.mean()) > activity else (low, middle)
        layer.reset_states()
        signal, layer.batch_size = spikes, batch
