"""A chip's plan as a network of SLAYER blocks, which the chip takes as integers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import nn

from i2e_deploy.chips.plans import Plan
from i2e_deploy.lava_shim import import_lava
from i2e_deploy.training import slayer
from i2e_deploy.training.fused_cuba import fuse
from i2e_deploy.training.slayer import SlayerNetwork, Timing
from i2e_deploy.training.slayer_networks import CubaNeurons, sigma_delta_neuron
from i2e_deploy.training.start_active import drawn_frames, start_active

#: Of CUBA layers; see `CubaNeurons`.
NEURONS = CubaNeurons(4.0, 0.75, slope=1.0)
#: Empty steps behind the frames besides one a layer: what currents need to fall.
FALL = 2
#: Weights of SLAYER reach from -4 to 3.97 (slayer/utils/quantize.py, 8 bits on a scale of 64).
LARGEST = 3.97
#: Sigma-Delta: integers for an input of 1.0, and what a layer of weights multiplies them by (docs/loihi2.md).
GRID = 64


def build(plan: Plan, steps: int, seed: int) -> SlayerNetwork:
    """An untrained network on frames [B, T, C, H, W], without biases.

    Raises:
        MissingDependency: lava-dl is not installed.
    """
    import_lava("training with SLAYER")
    with torch.random.fork_rng(devices=[]):  # SLAYER draws from the global generator, some of it in the first pass
        torch.manual_seed(seed)
        network = _BUILDERS[plan.neurons](plan, import_module("lava.lib.dl.slayer").block)
        with torch.no_grad():
            network.spikes(torch.zeros(1, steps, *plan.input_shape))
    fuse(network)
    if plan.neurons == "cuba":
        pairs: list[tuple[nn.Module, nn.Module]] = [
            (part.get_submodule("synapse"), part) for part in network if hasattr(part, "synapse")
        ]
        frames = drawn_frames(plan.input_shape, steps, torch.Generator().manual_seed(seed))
        start_active(network, slayer.spike_counts, pairs, frames, LARGEST)
    return network


def _cuba(plan: Plan, block: Any) -> SlayerNetwork:
    neuron = NEURONS.parameters()
    scale = 3 * NEURONS.threshold
    blocks = _blocks(plan, block.cuba, neuron, scale)
    return SlayerNetwork(blocks, Timing(silence=len(plan.layers) + FALL))


def _sigma_delta(plan: Plan, block: Any) -> SlayerNetwork:
    neuron, sdnn = sigma_delta_neuron(), block.sigma_delta
    blocks = [sdnn.Input({**neuron, "threshold": 0.0}), *_blocks(plan, sdnn, neuron, 2)]
    last = plan.layers[-1]
    blocks[-1] = sdnn.Output(neuron, last.inputs, last.outputs, weight_scale=2)
    weighted = len(plan.layers)
    return SlayerNetwork(blocks, Timing(late=weighted, input_scale=GRID, output_scale=GRID**weighted))


def _blocks(plan: Plan, kind: Any, neuron: dict[str, Any], scale: float) -> list[nn.Module]:
    made: list[nn.Module] = []
    for planned in plan.layers:
        if planned.kernel:
            sizes = (planned.inputs, planned.outputs, planned.kernel)
            made.append(kind.Conv(neuron, *sizes, stride=planned.stride, padding=planned.padding, weight_scale=scale))
        else:
            made += [kind.Flatten(), kind.Dense(neuron, planned.inputs, planned.outputs, weight_scale=scale)]
    return made


_BUILDERS = {"cuba": _cuba, "sigma_delta": _sigma_delta}
