"""Networks that Loihi 2 proposes, each within the cores of one chip as `partition` estimates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from i2e_deploy.chips.loihi2.checks.partition import Demand, cut
from i2e_deploy.chips.plans import (
    SIZES,
    Form,
    Neurons,
    Plan,
    checked_request,
    first_that_fits,
    plan_of,
    pyramid,
)
from i2e_deploy.chips.profile import Profile

#: By the beginning of a recipe's name: neurons, and with what it is trained.
_KINDS: Mapping[str, tuple[Neurons, str]] = MappingProxyType(
    {
        "": ("cuba", "SLAYER, leaky neurons with a current"),
        "leaky-": ("leaky", "Sinabs, leaky neurons"),
        "sigma-delta-": ("sigma_delta", "SLAYER, Sigma-Delta neurons, two convolutions"),
    }
)
#: Of a size: channels of the first convolution and of any, at most; convolutions of stride 1 besides.
_SIZES: Mapping[str, tuple[int, int, int, str]] = MappingProxyType(
    {
        "small": (8, 64, 0, "up to 8, 16, 32, ... channels"),
        "medium": (16, 128, 0, "up to 16, 32, 64, ... channels"),
        "large": (128, 1024, 1, "as wide as one chip holds"),
    }
)
RECIPES: Mapping[str, str] = MappingProxyType(
    {f"{kind}{size}": f"{text}, {_SIZES[size][3]}" for kind, (_, text) in _KINDS.items() for size in SIZES}
)
#: Weights as they are trained, in bits.
BITS = 8
#: Side in pixels of the image that the dense layer sees, at most.
_LAST = 5


def plan(profile: Profile, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
    """See `OffersRecipes`."""
    checked_request(recipe, tuple(RECIPES), input_shape, classes)
    size = next(size for size in SIZES if recipe.endswith(size))
    neurons = _KINDS[recipe.removesuffix(size)][0]
    width, widest, plain, _ = _SIZES[size]
    side = max(input_shape[1:])
    if neurons == "sigma_delta":  # its integers grow by 6 bits a layer: three layers are what 24 bits hold
        form = _two_convolutions(side, width, widest)
    else:
        form = pyramid(side, 2, _LAST, plain, width, widest)
    refusal = (
        f"recipe {recipe!r}: no network for input {list(input_shape)} and {classes} classes fits the "
        f"{len(profile.cores)} cores of one {profile.name}: use a smaller input or fewer classes"
    )
    make = partial(_plan, recipe, neurons, input_shape, classes)
    return first_that_fits([form], make, partial(fits, profile), refusal)


def fits(profile: Profile, planned: Plan) -> bool:
    """Whether the estimated cores of all layers are on one chip."""
    cores = 0
    for demand in _demands(planned):
        made = cut(demand, profile)
        if made is None:
            return False
        cores += made.cores
    return cores <= len(profile.cores)


def _demands(planned: Plan) -> Sequence[Demand]:
    found = [Demand("input", planned.input_shape)] if planned.neurons == "sigma_delta" else []
    for number, (layer, shape) in enumerate(zip(planned.layers, planned.shapes, strict=True)):
        inputs = layer.inputs * layer.kernel**2 if layer.kernel else layer.inputs
        whole = shape if layer.kernel else shape[:1]
        found.append(Demand(str(number), whole, (inputs,), (BITS,), (not layer.kernel,), (False,)))
    return found


def _two_convolutions(side: int, width: int, widest: int) -> Form:
    """To an image of at most `_LAST` pixels a side, by two equal strides that are powers of two."""
    stride = 1
    while side > _LAST * stride * stride:
        stride *= 2
    return Form(((2 * stride + 1, stride),) * 2, (width, min(widest, 4 * width)))


def _plan(
    recipe: str, neurons: Neurons, input_shape: tuple[int, int, int], classes: int, form: Form, widths: Sequence[int]
) -> Plan:
    return plan_of(recipe, neurons, input_shape, classes, form, widths)
