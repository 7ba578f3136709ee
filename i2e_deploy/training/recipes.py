"""What can be trained by name: a network, how it is run, and how it is trained; for digits, and for any data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from i2e_deploy.chips import AnyNetwork, get
from i2e_deploy.chips.plans import SHALLOW
from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.digit_data import SIZE, STEPS
from i2e_deploy.training.frameworks import running_of
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import TrainingData
from i2e_deploy.training.sized import sized_network

#: The chips that the recipes are shaped for, by name.
SINABS_CHIP, SLAYER_CHIP = "speck2f", "loihi2"
#: Peak of the learning rate for networks of more than `plans.SHALLOW` layers: with standardised filters, and without.
DEEP_RATE, PLAIN_RATE = 5e-3, 2e-3
#: Their share of epochs with all steps as one: a T-th of the time each, and these networks learn more in it
#: (`benchmarks/cifar10.py`).
MERGED = 0.75


@dataclass(frozen=True, eq=False)
class Recipe:
    """An untrained network, how it runs, how to train it, and the chip that it is for."""

    network: nn.Module
    running: Running
    config: FitConfig
    chip: str

    __repr__ = record_repr


def recipe_of(name: str, seed: int, epochs: int | None = None) -> Recipe:
    """Build the recipe `sinabs`, or one of `slayer_networks.RECIPES`.

    Raises:
        InputError: no such recipe.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    from i2e_deploy.training import slayer, slayer_networks

    if name == "sinabs":
        from i2e_deploy.training.bptt import SINABS
        from i2e_deploy.training.digits import build_digit_network

        network = build_digit_network(STEPS, torch.Generator().manual_seed(seed))
        found = Recipe(network, SINABS, FitConfig(chip=SINABS_CHIP), SINABS_CHIP)
    elif name in slayer_networks.RECIPES:
        build, config = slayer_networks.RECIPES[name]
        trained = slayer_networks.build_slayer(replace(build, seed=seed))
        found = Recipe(trained, slayer.SLAYER, replace(config, chip=SLAYER_CHIP), SLAYER_CHIP)
    else:
        raise InputError(f"recipe {name!r}: choose one of sinabs, {', '.join(slayer_networks.RECIPES)}")
    return replace(found, config=replace(found.config, seed=seed, epochs=epochs or found.config.epochs))


def sized_recipe(chip: str, name: str, data: TrainingData, seed: int) -> Recipe:
    """A recipe of `recipes_for(chip)` for these data, with the settings of the digits' recipe of its kind.

    Raises:
        UnsupportedError: the chip offers no recipes, or none of this name for such samples.
        InputError: no such chip or recipe, or the data are values.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    if not data.classes:
        raise InputError(f"recipe {name}: it decides between classes, and the data are values: give a --network")
    plan, network = sized_network(chip, name, data.input_shape, len(data.classes), data.steps, seed)
    running, base = running_of(network), FitConfig()
    if plan.neurons == "trinary":
        from i2e_deploy.training.trinary import running_with

        running = running_with(plan.voters)
    elif plan.neurons in ("cuba", "sigma_delta"):
        from i2e_deploy.training.slayer_networks import RECIPES

        base = RECIPES["conv" if plan.neurons == "cuba" else "sigma_delta"][1]
    elif plan.standardised:
        base = replace(base, optimising=replace(base.optimising, learning_rate=DEEP_RATE), merged=MERGED, chip=chip)
    elif len(plan.layers) > SHALLOW:
        base = replace(base, optimising=replace(base.optimising, learning_rate=PLAIN_RATE))
    return Recipe(network, running, replace(base, chip=chip, seed=seed), chip)


def plain_config(network: nn.Module, seed: int) -> FitConfig:
    """Settings for a network of somebody else: of more than `SHALLOW` layers with weights at a lower rate."""
    layers = sum(isinstance(part, nn.Conv2d | nn.Linear) for part in network.modules())
    rate = PLAIN_RATE if layers > SHALLOW else Optimising().learning_rate
    return FitConfig(seed=seed, optimising=Optimising(learning_rate=rate))


def read_trained(recipe: Recipe, example: Any = None) -> AnyNetwork:
    """The recipe's network, once it is trained, as a chip takes it.

    Args:
        recipe: with its trained network.
        example: frames [B, T, 2, 32, 32] on which its own forward is compared with what was read; None: not compared.

    Raises:
        UnsupportedError: it was read wrongly, see `from_sinabs`.
    """
    return recipe.running.read(recipe.network, (2, SIZE, SIZE), example, get(recipe.chip))
