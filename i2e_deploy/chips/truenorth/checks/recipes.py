"""Networks that TrueNorth proposes: weights -1, 0 and 1, at most 128 inputs a neuron, so its integers are the network.

How many cores a network takes depends on how often each neuron is copied, so every plan is lowered with weights that
are nowhere 0, which need the most axons, and its cores are counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from i2e_deploy.chips.plans import Plan, PlannedLayer, checked_request
from i2e_deploy.chips.truenorth.lowering.lower import lower
from i2e_deploy.chips.truenorth.program import AXONS
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import Network, chain
from i2e_deploy.network.layers import Flatten, Linear
from i2e_deploy.network.neurons import IntegrateAndFire
from i2e_deploy.network.op import Op

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "small": "Sinabs, weights -1, 0, 1: 12, 24, 48, ... channels in groups",
        "medium": "Sinabs, weights -1, 0, 1: 24, 48, 96, ... channels in groups",
        "large": "Sinabs, weights -1, 0, 1: 48, 96, 192, ... channels, or as many as the chip holds",
    }
)
#: Channels of the first convolution; those that do not fit are halved.
_WIDTHS: Mapping[str, int] = MappingProxyType({"small": 12, "medium": 24, "large": 48})
#: The narrowest first convolution, and the widest of all.
_NARROWEST, _WIDEST = 6, 192
#: Inputs of a neuron: each takes an axon for +1 and one for -1.
INPUTS = AXONS // 2
#: Output neurons of a class: one alone sends at most a spike a tick.
VOTERS = 10
#: Sides in pixels: of the image after the first convolution, and of the one that the last convolution sees, at most.
_SECOND, _LAST = 32, 5


@lru_cache(maxsize=64)
def plan(chip: str, cores: int, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
    """See `OffersRecipes`; `cores` are those of the chip."""
    checked_request(recipe, tuple(RECIPES), input_shape, classes)
    width = _WIDTHS[recipe]
    while width >= _NARROWEST:
        layers = _layers(input_shape, classes, width)
        if layers:
            made = Plan(recipe, "trinary", input_shape, classes, layers, VOTERS)
            if _neurons(made) <= cores * AXONS and fits(cores, made):
                return made
        width //= 2
    raise UnsupportedError(
        f"recipe {recipe!r}: no trinary network for input {list(input_shape)} and {classes} classes fits the {cores:,} "
        f"cores of {chip}: use a smaller input, fewer channels or fewer classes"
    )


def fits(cores: int, planned: Plan) -> bool:
    """Whether the lowered network, all its weights at -1 or 1, has at most so many cores."""
    made = lower(example(planned)).network
    return made is not None and len(made.cores) <= cores


def example(planned: Plan) -> Network:
    """A network of the plan with weights drawn from -1 and 1."""
    generator = np.random.default_rng(0)
    ops: list[Op] = []
    for layer in planned.layers:
        fan_in = layer.inputs // layer.groups
        shape = (layer.outputs, fan_in, layer.kernel, layer.kernel) if layer.kernel else (layer.outputs, layer.inputs)
        weight = generator.choice(np.array([-1, 1], np.float32), shape)
        if layer.kernel:
            ops.append(Conv2d(weight, None, (layer.stride,) * 2, layer.padding, groups=layer.groups))
        else:
            ops += [Flatten(), Linear(weight, None)]
        ops.append(IntegrateAndFire(max_spikes=1))
    return chain(planned.input_shape, {str(number): op for number, op in enumerate(ops)})


def _neurons(planned: Plan) -> int:
    return sum(int(np.prod(shape)) for shape in planned.shapes)


def _layers(input_shape: tuple[int, int, int], classes: int, width: int) -> tuple[PlannedLayer, ...]:
    """Convolutions to a small image, one over all of it, and a dense layer; none: groups and widths do not meet."""
    made: list[PlannedLayer] = []
    shape = input_shape
    while max(shape[1:]) > _LAST or not made:
        layer = _convolution(shape, min(_WIDEST, width << len(made)), first=not made)
        if layer is None:
            return ()
        made.append(layer)
        shape = layer.shape_after(shape)
    side = max(shape[1:])
    pads = tuple(-(-(side - given) // 2) for given in shape[1:])
    groups = _groups(shape[0], side, None)
    if not groups:
        return ()
    made.append(PlannedLayer(shape[0], INPUTS // groups * groups, side, 2, (pads[0], pads[1]), groups))
    made.append(PlannedLayer(made[-1].outputs, classes * VOTERS))
    return tuple(made)


def _convolution(shape: tuple[int, int, int], width: int, first: bool) -> PlannedLayer | None:
    side, stride, kernel = max(shape[1:]), 2, 3
    while first and -(-side // stride) > _SECOND:
        stride *= 2
    if side <= _LAST:
        stride = 1
    while first and stride > 2 and kernel < 2 * stride - 1 and shape[0] * (kernel + 2) ** 2 <= INPUTS:
        kernel += 2
    groups = _groups(shape[0], kernel, width)
    return PlannedLayer(shape[0], width, kernel, stride, (kernel // 2,) * 2, groups) if groups else None


def _groups(channels: int, kernel: int, width: int | None) -> int:
    """The fewest groups with which a neuron has few enough inputs; 0: there are none that divide the channels."""
    for groups in _divisors(channels):
        few = channels // groups * kernel**2 <= INPUTS
        if few and (width % groups == 0 if width else groups <= INPUTS):
            return groups
    return 0


def _divisors(number: int) -> Sequence[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
