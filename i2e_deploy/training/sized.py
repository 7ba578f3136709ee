"""What can be trained for a chip by name, at any input size and number of classes: the chip's plans, as modules."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.abilities import OffersRecipes, require
from i2e_deploy.chips.plans import Plan
from i2e_deploy.lava_shim import import_lava
from i2e_deploy.requirements import need
from i2e_deploy.text import record_repr

#: Neurons of plans that SLAYER trains; the others are Sinabs'.
OF_SLAYER = ("cuba", "sigma_delta")


@dataclass(frozen=True)
class Offer:
    """A recipe that a chip offers: its name, and what it is in a line."""

    chip: str
    name: str
    text: str

    __repr__ = record_repr


def recipes_for(chip: str) -> tuple[Offer, ...]:
    """What `sized_network` builds for a chip, its default first; nothing for a chip without recipes.

    Raises:
        InputError: no such chip.
    """
    offering = get(chip)
    if not isinstance(offering, OffersRecipes):
        return ()
    return tuple(Offer(chip, name, text) for name, text in offering.recipes.items())


def check_installed(chip: str, name: str) -> None:
    """Say at once what a recipe of `recipes_for(chip)` is built with and is not installed.

    Raises:
        UnsupportedError: the chip offers no recipes.
        InputError: no such chip or recipe.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    some = require(get(chip), OffersRecipes, f"recipe {name}").plan(name, (2, 16, 16), 2)
    if some.neurons in OF_SLAYER:
        import_lava(f"recipe {name} of {chip}")
    else:
        need({"sinabs": "sinabs"}, f"recipe {name} of {chip}")


def sized_network(
    chip: str, name: str, input_shape: tuple[int, int, int], classes: int, steps: int, seed: int = 0
) -> tuple[Plan, nn.Module]:
    """A recipe of `recipes_for(chip)` for samples of this shape: an untrained network that fits the chip.

    Args:
        input_shape: (C, H, W) of a frame.
        classes: what it decides between.
        steps: T of the frames.
        seed: of the weights.

    Returns:
        what was planned, and the network: `planned_sinabs.build` and `planned_slayer.build` say what it takes.

    Raises:
        UnsupportedError: the chip offers no recipes, or none of this name for such samples.
        InputError: no such chip or recipe, or a size below 1.
        MissingDependency: Sinabs or lava-dl is not installed.
    """
    plan = require(get(chip), OffersRecipes, f"recipe {name}").plan(name, input_shape, classes)
    if plan.neurons in OF_SLAYER:
        from i2e_deploy.training import planned_slayer

        return plan, planned_slayer.build(plan, steps, seed)
    need({"sinabs": "sinabs"}, f"recipe {name} of {chip}")
    from i2e_deploy.training import planned_sinabs

    return plan, planned_sinabs.build(plan, steps, seed)
