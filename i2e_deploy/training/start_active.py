"""Weights to start from with which spikes reach the last layer, at any depth and input size.

Without norms a deep spiking network may be silent behind its first layers, or fire everywhere; neither learns. Weights
are scaled layer by layer until its neurons fire about as often as those of the digit networks, which train well
(measured there: 0.06 to 0.13 spikes a neuron and step). The input is drawn: smooth random pictures as I2E frames, for
no data set should be needed to build a network.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2e_deploy.conversion import RATIO, i2e_torch

#: Spikes of a neuron and step that are aimed at, and the factor to either side that is near enough.
RATE, NEAR = 0.1, 1.25
#: Samples that are looked at, and scalings of a layer at most.
SAMPLES, TRIES = 8, 12


@torch.no_grad()
def start_active(
    network: nn.Module,
    run: Callable[[nn.Module, Tensor], Tensor],
    pairs: list[tuple[nn.Module, nn.Module]],
    frames: Tensor,
    largest: float | None = None,
) -> None:
    """Scale the weights of every layer, in place and in order, until its neurons fire `RATE` times a step.

    Those of the last layer are then moved output by output until each fires about as often.

    Args:
        run: the network from a fresh state on float frames [B, T, C, H, W].
        pairs: what holds the `weight`, and what gives the spikes, of every layer in order.
        frames: see `drawn_frames`.
        largest: weights are kept within plus and minus this.
    """
    for holder, neurons in pairs:
        weight = holder.weight
        assert isinstance(weight, Tensor)
        factor = 2.0
        before = 0.0
        for _ in range(TRIES):
            rate = float(_rates(network, run, neurons, frames).mean())
            if RATE / NEAR <= rate <= RATE * NEAR:
                break
            now = 1.0 if rate < RATE else -1.0
            if before and now != before:
                factor = factor**0.5
            before = now
            weight.mul_(factor**now)
            if largest is not None:
                weight.clamp_(-largest, largest)
    _balance(pairs[-1][0], lambda: _rates(network, run, pairs[-1][1], frames), largest)


def _balance(holder: nn.Module, rates: Callable[[], Tensor], largest: float | None) -> None:
    """Outputs that fire alike: the weights of each get a constant added, up or down by halves, until it is near `RATE`.

    Drawn weights leave some outputs silent and others busy, whatever the input is. Training then pushes the busiest
    below its threshold for every sample, where it has no gradient any more: a class that is never decided.
    """
    weight = holder.weight
    assert isinstance(weight, Tensor)
    step = weight.flatten(1).std(dim=1)
    before = torch.zeros_like(step)
    for _ in range(TRIES):
        found = rates()
        away = (found < RATE / NEAR).to(step.dtype) - (found > RATE * NEAR).to(step.dtype)
        if not away.any():
            return
        step = torch.where(away * before < 0, step / 2, step)
        before = torch.where(away == 0, before, away)
        weight.add_((away * step).reshape(-1, *[1] * (weight.dim() - 1)))
        if largest is not None:
            weight.clamp_(-largest, largest)


def drawn_frames(shape: tuple[int, int, int], steps: int, generator: torch.Generator) -> Tensor:
    """Frames of smooth random pictures, uint8 [SAMPLES, steps, C, H, W]: I2E's steps, repeated as often as needed.

    Channels beyond the two polarities repeat them.
    """
    channels, height, width = shape
    coarse = torch.rand(SAMPLES, 1, max(2, height // 4), max(2, width // 4), generator=generator)
    pictures = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False).clamp(0, 1)
    frames = i2e_torch((pictures * 255).to(torch.uint8), RATIO["mnist"])
    frames = frames.repeat(1, -(-steps // frames.shape[1]), -(-channels // 2), 1, 1)
    return frames[:, :steps, :channels]


def _rates(
    network: nn.Module, run: Callable[[nn.Module, Tensor], Tensor], neurons: nn.Module, frames: Tensor
) -> Tensor:
    """Spikes of a neuron and step, of each channel: the second axis of what the neurons give."""
    seen: list[Tensor] = []
    hook = neurons.register_forward_hook(
        lambda _module, _given, output: seen.append(output.transpose(0, 1).flatten(1).mean(1))
    )
    try:
        run(network, frames.float())
    finally:
        hook.remove()
    return seen[-1]
