"""A chip's plan as a Sinabs network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from math import sqrt
from types import MappingProxyType

import torch
from sinabs.activation import Heaviside, MembraneReset, SingleSpike
from sinabs.layers import LIFSqueeze
from torch import nn

from i2e_deploy.chips.plans import Plan, PlannedLayer
from i2e_deploy.training import bptt
from i2e_deploy.training.fused_iaf import FusedIAF
from i2e_deploy.training.standardised import centre, standardise
from i2e_deploy.training.start_active import drawn_frames, start_active
from i2e_deploy.training.trinary import trinary_neurons, with_trinary_training

#: Time constant of leaky neurons, in steps.
TAU = 5.0
#: Output neurons pass a gradient from their lower bound, -1, on: one that no sample brings above 0 would stay silent.
OUTPUT_WINDOW = 2.0


def build(plan: Plan, steps: int, seed: int) -> nn.Sequential:
    """An untrained network on event frames [B * T, C, H, W] (batch outermost), output [B * T, classes * voters].

    No biases. Weights are drawn by `seed`, and scaled until spikes reach the last layer (`start_active`); trinary ones
    are not, their thresholds are made for them. Where the plan is `standardised`, all convolutions but one that is the
    last layer train standardised filters.
    """
    generator, trinary = torch.Generator().manual_seed(seed), plan.neurons == "trinary"
    layers: list[nn.Module] = []
    held: list[nn.Conv2d] = []
    for planned in plan.layers:
        weights = _weights(planned)
        nn.init.normal_(weights.weight, 0, 1 / sqrt(weights.weight[0].numel()), generator=generator)
        if plan.standardised and isinstance(weights, nn.Conv2d) and planned is not plan.layers[-1]:
            centre(weights.weight)
            held.append(weights)
        neurons = trinary_neurons(steps, weights) if trinary else _NEURONS[plan.neurons](steps)
        layers += [*([] if planned.kernel else [nn.Flatten()]), weights, neurons]
    if isinstance(layers[-1], FusedIAF):
        layers[-1].surrogate_grad_fn = Heaviside(window=OUTPUT_WINDOW)
    if plan.layers[-1].kernel:
        layers.append(nn.Flatten())
    network: nn.Sequential = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if trinary:
        return with_trinary_training(network)
    start_active(network, bptt.spike_counts, weighted(network), drawn_frames(plan.input_shape, steps, generator))
    for layer in held:
        standardise(layer)
    return network


def weighted(network: nn.Sequential) -> list[tuple[nn.Module, nn.Module]]:
    """Layers with weights, and the neurons behind each."""
    return [(layer, neurons) for layer, neurons in pairwise(network) if isinstance(layer, nn.Conv2d | nn.Linear)]


def _weights(planned: PlannedLayer) -> nn.Conv2d | nn.Linear:
    if not planned.kernel:
        return nn.Linear(planned.inputs, planned.outputs, bias=False)
    sizes = (planned.inputs, planned.outputs, planned.kernel, planned.stride, planned.padding)
    return nn.Conv2d(*sizes, groups=planned.groups, bias=False)


def _integrating(steps: int) -> nn.Module:
    """Thresholds 1 and lower bounds -1."""
    return FusedIAF(
        num_timesteps=steps, spike_threshold=torch.tensor(1.0), min_v_mem=-1.0,
        surrogate_grad_fn=Heaviside(window=1.0),
    )  # fmt: skip


def _leaky(steps: int) -> nn.Module:
    """A spike a step at most, and a reset to 0: what the standard neuron of clocked chips does."""
    neuron: nn.Module = LIFSqueeze(
        tau_mem=TAU, num_timesteps=steps, spike_threshold=torch.tensor(1.0), spike_fn=SingleSpike,
        reset_fn=MembraneReset(), surrogate_grad_fn=Heaviside(window=1.0), min_v_mem=None, norm_input=False,
        train_alphas=False,
    )  # fmt: skip
    return neuron.requires_grad_(False)


_NEURONS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType({"if": _integrating, "leaky": _leaky})
