"""What can be trained by name: a network, how it is run, and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from i2e_deploy.chips import AnyNetwork, get
from i2e_deploy.chips.abilities import TakesIntegers, require
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr
from i2e_deploy.training.digit_data import SIZE
from i2e_deploy.training.loop import SpikeCounts, TrainConfig

#: The chips that the recipes are shaped for, by name.
SINABS_CHIP, SLAYER_CHIP = "speck2f", "loihi2"


@dataclass(frozen=True, eq=False)
class Recipe:
    """An untrained network, how to train it, the chip it is for, and how it is read once it is trained."""

    network: nn.Module
    spike_counts: SpikeCounts
    config: TrainConfig
    chip: str
    read: Callable[[nn.Module, tuple[int, ...], Any], AnyNetwork]

    __repr__ = record_repr


def recipe_of(name: str, seed: int, epochs: int | None = None) -> Recipe:
    """Build the recipe `sinabs`, or one of `slayer_networks.RECIPES`.

    Raises:
        InputError: no such recipe.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    from i2e_deploy.training import slayer, slayer_networks

    if name == "sinabs":
        from i2e_deploy.network import from_sinabs
        from i2e_deploy.training import bptt
        from i2e_deploy.training.digits import build_digit_network

        network = build_digit_network(slayer_networks.STEPS, torch.Generator().manual_seed(seed))
        # Training starts each batch from zero: what the last one left in the module is no start.
        start_at_zero = partial(from_sinabs, states="zero")
        found = Recipe(network, bptt.spike_counts, TrainConfig(), SINABS_CHIP, start_at_zero)
    elif name in slayer_networks.RECIPES:
        build, config = slayer_networks.RECIPES[name]
        trained = slayer_networks.build_slayer(replace(build, seed=seed))
        read = require(get(SLAYER_CHIP), TakesIntegers, name).from_module
        found = Recipe(trained, slayer.spike_counts, config, SLAYER_CHIP, read)
    else:
        raise InputError(f"recipe {name!r}: choose one of sinabs, {', '.join(slayer_networks.RECIPES)}")
    return replace(found, config=replace(found.config, seed=seed, epochs=epochs or found.config.epochs))


def read_trained(recipe: Recipe, example: Any = None) -> AnyNetwork:
    """The recipe's network, once it is trained, as a chip takes it.

    Args:
        recipe: with its trained network.
        example: frames [B, T, 2, 32, 32] on which its own forward is compared with what was read; None: not compared.

    Raises:
        UnsupportedError: it was read wrongly, see `from_sinabs`.
    """
    return recipe.read(recipe.network, (2, SIZE, SIZE), example)
