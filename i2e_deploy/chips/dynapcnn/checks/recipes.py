"""Networks that this family proposes: a layer a core, no bias, strides in place of pooling, widths by its memories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

from i2e_deploy.chips.dynapcnn.checks.placement import holding, match
from i2e_deploy.chips.dynapcnn.lowering.stages import memory_words
from i2e_deploy.chips.plans import Form, Plan, checked_request, first_that_fits, plan_of, pyramid
from i2e_deploy.chips.profile import Profile
from i2e_deploy.errors import UnsupportedError

RECIPES: Mapping[str, str] = MappingProxyType(
    {
        "small": "Sinabs: a convolution for every halving of the image, up to 8, 16, 32, ... channels",
        "medium": "Sinabs: up to 16, 32, 64, ... channels, and one convolution more",
        "large": "Sinabs: up to nine layers, each as wide as the cores that are left hold",
    }
)
#: Of a size: channels of the first convolution and of any, at most; convolutions of stride 1 besides; and the sides of
#: kernels that halve the image, in the order in which they are tried. Addresses of weights are whole bits, so 4 x 4
#: weights take as much memory as 3 x 3.
_SIZES: Mapping[str, tuple[int, int, int, tuple[int, ...]]] = MappingProxyType(
    {"small": (8, 64, 0, (3,)), "medium": (16, 128, 1, (3,)), "large": (64, 1024, 3, (4, 3))}
)
#: Sides in pixels of the image that the last layer sees, in the order in which they are tried.
_LAST = (5, 2, 1)


def plan(profile: Profile, recipe: str, input_shape: tuple[int, int, int], classes: int) -> Plan:
    """See `OffersRecipes`."""
    checked_request(recipe, tuple(RECIPES), input_shape, classes)
    _refuse_beyond(profile, input_shape, classes)
    side = max(input_shape[1:])
    forms = [form for last in _LAST for form in _forms(profile, recipe, side, last)]
    make = partial(_plan, recipe, input_shape, classes)
    refusal = (
        f"recipe {recipe!r}: no network for input {list(input_shape)} and {classes} classes fits the cores of "
        f"{profile.name}: use a smaller input or fewer classes"
    )
    return first_that_fits(forms, make, partial(fits, profile), refusal)


def fits(profile: Profile, planned: Plan) -> bool:
    """Whether every layer has a core of its own whose memories hold it, and keeps to the sizes that a core has."""
    options = {}
    size, kernel, features = (_number(profile, name) for name in ("output_size", "kernel_size", "features"))
    before = planned.input_shape
    for number, (layer, shape) in enumerate(zip(planned.layers, planned.shapes, strict=True)):
        side = layer.kernel or before[1]
        channels = before[0]
        if not 1 <= min(shape[1:]) <= max(shape[1:]) <= size or side > kernel or max(shape[0], channels) > features:
            return False
        used = memory_words(shape[0], channels, (side, side), (shape[1], shape[2]), bias=False)
        options[str(number)] = [core.index for core in holding(used, profile)]
        before = shape
    return not match(options)[1]


def _forms(profile: Profile, recipe: str, side: int, last: int) -> list[Form]:
    """Forms with so many layers as there are cores, or fewer, the deepest first."""
    width, widest, plain, halvings = _SIZES[recipe]
    limit = min(widest, _number(profile, "features"))
    forms = [pyramid(side, 2, last, more, width, limit, by) for more in range(plain, -1, -1) for by in halvings]
    return [form for form in forms if len(form.convolutions) < len(profile.cores)]


def _plan(recipe: str, input_shape: tuple[int, int, int], classes: int, form: Form, widths: Sequence[int]) -> Plan:
    return plan_of(recipe, "if", input_shape, classes, form, widths, square=True)


def _refuse_beyond(profile: Profile, input_shape: tuple[int, int, int], classes: int) -> None:
    """Values above a limit that no width can help, all of them in one line."""
    channels, height, width = input_shape
    given = {"input height": (height, "input_size"), "input width": (width, "input_size"),
             "input channels": (channels, "features"), "classes": (classes, "features")}  # fmt: skip
    bad = [
        f"{name} is {value}, limit {profile.limit(limit)} {profile.limit(limit).unit}"
        for name, (value, limit) in given.items()
        if not profile.limit(limit).allows(value)
    ]
    if bad:
        raise UnsupportedError(f"{profile.name}: {'; '.join(bad)}: use a smaller input or fewer classes")


def _number(profile: Profile, name: str) -> int:
    value = profile.limit(name).value
    assert isinstance(value, int)
    return value
