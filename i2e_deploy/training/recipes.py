"""What can be trained by name: a network, how it is run, and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn

from i2e_deploy.errors import InputError
from i2e_deploy.network import AnyNetwork
from i2e_deploy.training.digit_data import SIZE
from i2e_deploy.training.loop import SpikeCounts, TrainConfig


@dataclass(frozen=True, eq=False)
class Recipe:
    """An untrained network, how to train it, and the chip it is for."""

    network: nn.Module
    spike_counts: SpikeCounts
    config: TrainConfig
    chip: str


def recipe_of(name: str, seed: int, epochs: int | None = None) -> Recipe:
    """Build the recipe `sinabs`, or one of `slayer_networks.RECIPES`.

    Raises:
        InputError: no such recipe.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    from i2e_deploy.training import slayer, slayer_networks

    if name == "sinabs":
        from i2e_deploy.training import bptt
        from i2e_deploy.training.digits import build_digit_network

        network = build_digit_network(slayer_networks.STEPS, torch.Generator().manual_seed(seed))
        found = Recipe(network, bptt.spike_counts, TrainConfig(), "speck2f")
    elif name in slayer_networks.RECIPES:
        build, config = slayer_networks.RECIPES[name]
        trained = slayer_networks.build_slayer(replace(build, seed=seed))
        found = Recipe(trained, slayer.spike_counts, config, "loihi2")
    else:
        raise InputError(f"recipe {name!r}: choose one of sinabs, {', '.join(slayer_networks.RECIPES)}")
    return replace(found, config=replace(found.config, seed=seed, epochs=epochs or found.config.epochs))


def read_trained(recipe: Recipe) -> AnyNetwork:
    """The recipe's network, once it is trained, as a chip takes it."""
    from i2e_deploy.network import from_sinabs, from_slayer

    shape = (2, SIZE, SIZE)
    return from_sinabs(recipe.network, shape) if recipe.chip == "speck2f" else from_slayer(recipe.network, shape)
