"""Networks that a chip proposes by name, as shapes: what is trained for it, sized so that it fits by construction.

A plan holds no weights and names no framework; `training.sized` builds a module of it. The chip that offers plans
(`abilities.OffersRecipes`) says what fits, by its own memory rules; how wide layers become is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.text import record_repr

#: Neurons of a plan. `if`: integrate-and-fire, subtracting, with a lower bound; `cuba`: current-based leaky ones of
#: Lava; `leaky`: leaky ones without current, reset to 0; `sigma_delta`: Lava's, which send graded changes; `trinary`:
#: integrate-and-fire with weights -1, 0 and 1, at most one spike a step.
Neurons = Literal["if", "cuba", "leaky", "sigma_delta", "trinary"]
#: Sizes of a recipe; `large` is as large as the chip takes.
Size = Literal["small", "medium", "large"]
SIZES: tuple[Size, ...] = ("small", "medium", "large")
#: Widths that a layer may have: powers of two and half as much again, since address bits are whole.
LADDER: tuple[int, ...] = (1, 2, 3, *chain.from_iterable((2**k, 3 * 2 ** (k - 1)) for k in range(2, 13)))
#: Layers up to which networks train as they are. Beyond, a peak of the learning rate of 1e-2 silences plain ones of
#: integrate-and-fire neurons for good (`benchmarks/cifar10.py`, six layers: a loss of ln 10 from the first epoch on).
SHALLOW = 5
#: The narrowest layer that is proposed where there is a choice, and where there is none.
NARROW, NARROWEST = 16, 4


@dataclass(frozen=True)
class PlannedLayer:
    """Weights and neurons after them.

    Args:
        inputs: channels; of a dense layer values.
        outputs: channels, or neurons.
        kernel: side in pixels; 0: a dense layer on all values before it.
        stride: in pixels.
        padding: vertical and horizontal, in pixels.
        groups: of the convolution.
    """

    inputs: int
    outputs: int
    kernel: int = 0
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    groups: int = 1

    def shape_after(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of its neurons for an input (C, H, W)."""
        if not self.kernel:
            return (self.outputs, 1, 1)
        height, width = (
            (side + 2 * pad - self.kernel) // self.stride + 1 for side, pad in zip(shape[1:], self.padding, strict=True)
        )
        return (self.outputs, height, width)


@dataclass(frozen=True)
class Plan:
    """A network in a row.

    Args:
        recipe: its name at the chip.
        input_shape: (C, H, W).
        classes: what it decides between.
        voters: output neurons of a class; neighbours are of one class.
    """

    recipe: str
    neurons: Neurons
    input_shape: tuple[int, int, int]
    classes: int
    layers: tuple[PlannedLayer, ...]
    voters: int = 1

    __repr__ = record_repr

    @property
    def shapes(self) -> tuple[tuple[int, int, int], ...]:
        """(C, H, W) of the neurons of every layer; (N, 1, 1) of a dense one."""
        found = [self.input_shape]
        for layer in self.layers:
            found.append(layer.shape_after(found[-1]))
        return tuple(found[1:])

    @property
    def standardised(self) -> bool:
        """Whether its convolutions are trained with standardised filters: integrate-and-fire neurons in many layers."""
        return self.neurons == "if" and len(self.layers) > SHALLOW

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(x.outputs * x.inputs // x.groups * max(1, x.kernel) ** 2 for x in self.layers)


@dataclass(frozen=True)
class Form:
    """Layers without widths: (kernel, stride) of every convolution in order, then a dense layer to the outputs.

    Args:
        widths: the widest that each convolution may become.
    """

    convolutions: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]


def checked_request(recipe: str, known: Sequence[str], input_shape: tuple[int, int, int], classes: int) -> None:
    """Refuse what no chip could plan.

    Raises:
        InputError: no recipe of that name, or sizes below 1.
    """
    if recipe not in known:
        raise InputError(f"recipe {recipe!r}: choose one of {', '.join(known)}")
    if len(input_shape) != 3 or min(*input_shape, classes) < 1:
        raise InputError(f"input {list(input_shape)}, {classes} classes: give (C, H, W) and classes, each at least 1")


def pyramid(side: int, first: int, last: int, plain: int, width: int, widest: int, halving: int = 3) -> Form:
    """Convolutions that halve the image until its longer side is at most `last`, width doubling with every halving.

    Args:
        side: longer side of the input in pixels.
        first: stride of the first convolution, where the image is larger than `last`.
        last: of the image that the dense layer sees, in pixels.
        plain: convolutions of stride 1 besides, put behind the halvings, from the last one forwards.
        width: channels after the first convolution, at most.
        widest: channels of any, at most.
        halving: side of the kernels that halve the image, but of the first convolution.
    """
    strides: list[int] = []
    while side > last:
        strides.append(2 if strides else first)
        side = -(-side // strides[-1])
    strides = strides or [1]
    added = [plain // len(strides) + (i < plain % len(strides)) for i in range(len(strides))][::-1]
    convolutions, widths = [], []
    for level, (stride, more) in enumerate(zip(strides, added, strict=True)):
        kernel = halving if level else 2 * stride + 1 if stride > 1 else 3
        convolutions += [(kernel, stride)] + [(3, 1)] * more
        widths += [min(widest, width << level)] * (1 + more)
    return Form(tuple(convolutions), tuple(widths))


def plan_of(
    recipe: str, neurons: Neurons, input_shape: tuple[int, int, int], classes: int, form: Form, widths: Sequence[int],
    square: bool = False,
) -> Plan:  # fmt: skip
    """A form with widths.

    Args:
        square: a dense layer must see a square image: where it is none, a convolution over all of it stands for it.
    """
    layers, shape = [], input_shape
    for (kernel, stride), width in zip(form.convolutions, widths, strict=True):
        layers.append(PlannedLayer(shape[0], width, kernel, stride, ((kernel - 1) // 2,) * 2))
        shape = layers[-1].shape_after(shape)
    channels, height, high = shape
    if height == high or not square:
        layers.append(PlannedLayer(channels * height * high, classes))
    else:
        kernel = max(height, high)
        # A stride above what padding adds leaves one place.
        pads = (-(-(kernel - height) // 2), -(-(kernel - high) // 2))
        layers.append(PlannedLayer(channels, classes, kernel, 2, pads))
    return Plan(recipe, neurons, input_shape, classes, tuple(layers))


def widest(form: Form, make: Callable[[Sequence[int]], Plan], fits: Callable[[Plan], bool], narrow: int) -> Plan | None:
    """The plan whose layers cannot be widened any more, up to the form's widths; None: not even the narrowest fits.

    The layer that is narrowest for its limit is widened first, so layers grow together while the chip has room.
    """
    ladder = [step for step in LADDER if step >= narrow]
    widths = [min(narrow, limit) for limit in form.widths]
    plan = make(widths)
    if not fits(plan):
        return None
    open_layers = set(range(len(widths)))
    while open_layers:
        i = min(open_layers, key=lambda i: (widths[i] / form.widths[i], i))
        wider = next((step for step in ladder if step > widths[i]), form.widths[i] + 1)
        if wider <= form.widths[i] and fits(grown := make([*widths[:i], wider, *widths[i + 1 :]])):
            widths[i], plan = wider, grown
        else:
            open_layers.remove(i)
    return plan


def first_that_fits(
    forms: Sequence[Form], make: Callable[[Form, Sequence[int]], Plan], fits: Callable[[Plan], bool], refusal: str
) -> Plan:
    """The widest plan of the first form of which one fits; a form with layers narrower than `NARROW` comes last.

    Raises:
        UnsupportedError: none does; the message is `refusal`.
    """
    for narrow in (NARROW, NARROWEST):
        for form in forms:
            found = widest(form, partial(make, form), fits, narrow)
            if found is not None:
                return found
    raise UnsupportedError(refusal)
