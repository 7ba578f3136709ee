"""Networks of weights -1, 0 and 1, as binary crossbars have them, trained by a straight-through estimate.

While it trains, a layer holds real weights and computes with trinary ones: those far enough from zero become -1 or 1
(Li and Liu 2016, Ternary weight networks), and the gradient passes as if nothing had been done. Thresholds are whole
numbers, neurons send one spike a step at most, and no neuron has more than 128 inputs (grouped convolutions, Esser et
al. 2016): so TrueNorth's integers are the network itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import sqrt
from typing import Any

import torch
from sinabs.activation import Heaviside, SingleSpike
from sinabs.layers import IAFSqueeze
from torch import Tensor, nn
from torch.nn.utils import parametrize

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.network import Network, from_sinabs
from i2e_deploy.training import bptt
from i2e_deploy.training.running import Running

#: Output neurons of a class: one alone sends at most a spike a step.
VOTERS = 10
#: Weights below this share of the mean size of their neuron's weights become 0.
DEAD = 0.7
#: A threshold is this times the root of the number of inputs.
THRESHOLD = 0.5


class Trinary(nn.Module):
    """A parametrisation of weights: -1, 0 or 1, with the gradient of the identity."""

    def forward(self, weight: Tensor) -> Tensor:
        """Trinary weights of real ones, row by row."""
        size = weight.detach().abs()
        mean = size.flatten(1).mean(1).view(-1, *[1] * (weight.dim() - 1))
        made = weight.detach().sign() * (size > DEAD * mean)
        return made + (weight - weight.detach())  # the bracket is 0, so that weights stay whole


def build_trinary_digits(steps: int, generator: torch.Generator, classes: int = 10) -> nn.Sequential:
    """An untrained network on event frames [B * T, 2, 32, 32] (batch outermost), output [B * T, classes * VOTERS].

    Four convolutions in groups and a linear layer, without bias; weights are drawn from `generator`. Neighbouring
    outputs are of one class (`Deciding.classes`).
    """
    layers: list[nn.Module] = []
    for given, made, kernel, stride, padding, groups in (
        (2, 16, 3, 2, 1, 1), (16, 48, 3, 2, 1, 2), (48, 96, 3, 2, 1, 4), (96, 120, 4, 1, 0, 12),
    ):  # fmt: skip
        convolution = nn.Conv2d(given, made, kernel, stride, padding, groups=groups, bias=False)
        layers += [convolution, trinary_neurons(steps, convolution)]
    last = nn.Linear(120, classes * VOTERS, bias=False)
    layers += [nn.Flatten(), last, trinary_neurons(steps, last)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, 0, 1 / sqrt(layer.weight[0].numel()), generator=generator)
    return with_trinary_training(nn.Sequential(*layers))


def outputs(network: nn.Module, frames: Tensor, voters: int = VOTERS) -> Tensor:
    """Spikes of each step, those of a class's neurons together: [B, T, C, H, W] -> float [B, T, classes]."""
    found = bptt.outputs(network, frames)
    return found.reshape(*found.shape[:2], -1, voters).sum(3)


def with_trinary_training(network: nn.Sequential) -> nn.Sequential:
    """The same network, in place: it computes with the trinary form of its weights, and trains them."""
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrize.register_parametrization(layer, "weight", Trinary())
    return network


def with_trinary_weights(network: nn.Module) -> nn.Module:
    """The same network, in place, with the trinary weights as its own: what a reader takes."""
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return network


def trinary_neurons(steps: int, layer: nn.Conv2d | nn.Linear) -> IAFSqueeze:
    """Neurons after a layer: at most a spike a step, a threshold that grows with the root of the inputs."""
    inputs = layer.weight[0].numel()
    threshold = float(max(1, round(THRESHOLD * sqrt(inputs))))
    return IAFSqueeze(
        num_timesteps=steps,
        spike_threshold=torch.tensor(threshold),
        spike_fn=SingleSpike,
        surrogate_grad_fn=Heaviside(window=threshold),
        min_v_mem=None,
    )


def read(network: nn.Module, input_shape: tuple[int, ...], example: Any = None) -> Network:
    """A network with its trinary weights, as its next pass would use them; it may be trained on. See `from_sinabs`.

    A copy would share its class, from which torch takes the parametrised weight of both.
    """
    return from_sinabs(network, input_shape, states="zero", example=example)


def _read(network: nn.Module, input_shape: tuple[int, ...], example: Any, chip: Chip) -> AnyNetwork:
    return read(network, input_shape, example)


def running_with(voters: int) -> Running:
    """How trinary networks run: as Sinabs', with so many output neurons a class."""
    own = partial(outputs, voters=voters)
    return replace(bptt.SINABS, name="trinary Sinabs", outputs=own, read=_read, membranes=None, voters=voters)


TRINARY = running_with(VOTERS)
