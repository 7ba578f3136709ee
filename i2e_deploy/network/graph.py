"""A network: named layers in topological order, and the shapes that flow between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from i2e_deploy.errors import InputError
from i2e_deploy.network.blocks import BlockNetwork
from i2e_deploy.network.layers import MAX_VALUES, Add, Conv2d, Flatten, IntegrateAndFire, Linear, Op, Pool2d, Shape
from i2e_deploy.network.sensor import Sensor

#: Name by which a layer refers to the input of the network.
INPUT = "input"


@dataclass(frozen=True, eq=False)
class Layer:
    """One operation, its name (unique in the network) and the names of what feeds it."""

    name: str
    op: Op
    inputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in topological order on an input of shape (C, H, W).

    Raises:
        InputError: a name twice, an input that no earlier layer has, or shapes that do not fit.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        self.shapes()

    def shapes(self) -> dict[str, Shape]:
        """Output shape of every layer and of the input, by name, without batch and time."""
        sides = self.input_shape
        if any(type(n) is not int for n in sides) or min(sides, default=0) < 1 or prod(sides) > MAX_VALUES:
            raise InputError(f"input shape is {sides}: whole numbers from 1, at most {MAX_VALUES} values")
        shapes: dict[str, Shape] = {INPUT: self.input_shape}
        for layer in self.layers:
            if layer.name == INPUT:
                raise InputError(f"a layer is called {INPUT!r}, which names the input of the network: rename it")
            if layer.name in shapes:
                raise InputError(f"layer {layer.name!r} stands twice in the network: give each its own name")
            missing = [name for name in layer.inputs if name not in shapes]
            if missing or not layer.inputs:
                raise InputError(f"layer {layer.name!r} takes its input from {missing}: no such layer before it")
            shapes[layer.name] = _output_shape(layer, shapes)
            if prod(shapes[layer.name]) > MAX_VALUES:
                raise InputError(f"layer {layer.name!r} has output {shapes[layer.name]}: at most {MAX_VALUES} values")
        return shapes

    def consumers(self) -> Mapping[str, tuple[Layer, ...]]:
        """The layers that each layer (and the input) feeds, by name."""
        feeds: dict[str, tuple[Layer, ...]] = {INPUT: (), **{layer.name: () for layer in self.layers}}
        for layer in self.layers:
            for name in layer.inputs:
                feeds[name] = (*feeds[name], layer)
        return feeds


#: What a chip may be asked to lower; each chip refuses what it has no counterpart for.
AnyNetwork = Network | BlockNetwork


def chain(input_shape: Shape, ops: Mapping[str, Op]) -> Network:
    """A network in which each layer feeds the next."""
    names = [INPUT, *ops]
    return Network(input_shape, tuple(Layer(n, op, (p,)) for p, (n, op) in zip(names, ops.items(), strict=False)))


def _output_shape(layer: Layer, shapes: Mapping[str, Shape]) -> Shape:
    given = [shapes[name] for name in layer.inputs]
    shape, op = given[0], layer.op
    if isinstance(op, Add):
        if len(given) < 2 or len(set(given)) > 1:
            raise InputError(f"layer {layer.name!r} adds inputs of shapes {given}: they must be two or more, and equal")
        return shape
    if len(given) != 1:
        raise InputError(f"layer {layer.name!r} has {len(given)} inputs: join them with an Add layer first")
    if isinstance(op, IntegrateAndFire):
        return shape
    if isinstance(op, Sensor):
        try:
            return op.shape(shape)
        except InputError as error:
            raise InputError(f"layer {layer.name!r}: {error}") from error
    if isinstance(op, Flatten):
        return (prod(shape),)
    if isinstance(op, Linear):
        if shape != op.weight.shape[1:]:
            raise InputError(
                f"layer {layer.name!r} takes {op.weight.shape[1]} inputs and is given shape {shape}"
                + (": put a Flatten before it" if len(shape) > 1 else "")
            )
        return op.weight.shape[:1]
    return _image_shape(layer.name, op, shape)


def _image_shape(name: str, op: Conv2d | Pool2d, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise InputError(f"layer {name!r} needs an input (C, H, W) and is given shape {shape}")
    channels, *size = shape
    if isinstance(op, Pool2d):
        out = [n // k for n, k in zip(size, op.kernel, strict=True)]
    else:
        if channels != op.weight.shape[1] * op.groups:
            raise InputError(f"layer {name!r} takes {op.weight.shape[1] * op.groups} channels and is given {channels}")
        window = zip(size, op.weight.shape[2:], op.stride, op.padding, op.dilation, strict=True)
        reach = [d * (k - 1) + 1 for k, d in zip(op.weight.shape[2:], op.dilation, strict=True)]
        if op.weight.shape[0] * channels * prod(reach) > MAX_VALUES:
            raise InputError(
                f"layer {name!r} has a kernel of {reach} with dilation: at most {MAX_VALUES} weights in all"
            )
        out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in window]
        channels = op.weight.shape[0]
    if min(out) < 1:
        raise InputError(f"layer {name!r} leaves nothing of an input of {size[0]}x{size[1]} pixels: output {out}")
    return (channels, *out)
