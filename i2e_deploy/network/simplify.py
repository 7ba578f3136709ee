"""The same network in fewer kinds of layers, for chips: what can be a weight becomes one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import Layer, Network
from i2e_deploy.network.layers import Flatten, Linear, Reshape, Scale
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, without_leak
from i2e_deploy.network.op import Array, Op, Shape


def simplified(network: Network) -> Network:
    """A network that computes the same up to float32's rounding, with the names of the layers that are left.

    Neurons that do not leak become `IntegrateAndFire`, a reshape to one axis `Flatten`. A `Scale` goes into the
    weights before it or after it, gain and bias of neurons into the weights before them; where they do not fit, the
    layer stays as it is.
    """
    layers = {layer.name: layer for layer in network.layers}
    shapes = network.shapes()
    for name in list(layers):
        layer = layers[name]  # as it is by now: what fed it may have left
        op = layer.op
        if isinstance(op, Reshape) and len(op.shape) == 1:
            layers[name] = replace(layer, op=Flatten())
        elif isinstance(op, LeakyIntegrateAndFire) and (plain := without_leak(op)) is not None:
            neurons, gain, bias = plain
            if _into_weights_before(layers, layer, gain, bias, shapes):
                layers[name] = replace(layer, op=neurons)
        elif isinstance(op, Scale):
            gone = _into_weights_before(layers, layer, op.weight, op.bias, shapes)
            if gone or _into_weights_after(layers, layer, op, shapes):
                _leave_out(layers, layer)
    if all(layers.get(layer.name) is layer for layer in network.layers):
        return network
    return replace(network, layers=tuple(layers[layer.name] for layer in network.layers if layer.name in layers))


def _into_weights_before(
    layers: dict[str, Layer], layer: Layer, gain: Array, bias: Array | None, shapes: dict[str, Shape]
) -> bool:
    """Whether a gain and a bias went into the layer with weights that feeds `layer` alone."""
    offset = np.zeros((), np.float32) if bias is None else bias
    if not (gain != 1).any() and not offset.any():
        return True
    source = layers.get(layer.inputs[0])
    if source is None or not isinstance(source.op, Conv2d | Linear) or len(_fed_by(layers, source.name)) != 1:
        return False
    shape = shapes[source.name]
    factor, added = _by_channel(gain, shape), _by_channel(offset, shape)
    if factor is None or added is None:
        return False
    layers[source.name] = replace(source, op=_weighted(source.op, factor, added))
    return True


def _into_weights_after(layers: dict[str, Layer], layer: Layer, op: Scale, shapes: dict[str, Shape]) -> bool:
    """Whether a factor went into the layers with weights that `layer` feeds."""
    after = _fed_by(layers, layer.name)
    factor = _by_channel(op.weight, shapes[layer.name])
    if op.bias is not None or factor is None or not after:
        return False
    if any(not isinstance(each.op, Linear | Conv2d) or getattr(each.op, "groups", 1) != 1 for each in after):
        return False
    for each in after:
        target = layers[each.name].op
        assert isinstance(target, Linear | Conv2d)
        weight = target.weight * factor.reshape(1, -1, *[1] * (target.weight.ndim - 2))
        layers[each.name] = replace(layers[each.name], op=replace(target, weight=weight))
    return True


def _fed_by(layers: dict[str, Layer], name: str) -> list[Layer]:
    return [layer for layer in layers.values() if name in layer.inputs]


def _leave_out(layers: dict[str, Layer], gone: Layer) -> None:
    """What took its input from `gone` takes it from what fed that."""
    (source,) = gone.inputs
    del layers[gone.name]
    for name, layer in layers.items():
        if gone.name in layer.inputs:
            layers[name] = replace(layer, inputs=tuple(source if n == gone.name else n for n in layer.inputs))


def _by_channel(values: Array, shape: Shape) -> Array | None:
    """Values as [C]; None where they differ inside a channel."""
    whole = np.broadcast_to(values, shape).reshape(shape[0], -1)
    return None if (whole != whole[:, :1]).any() else np.ascontiguousarray(whole[:, 0])


def _weighted(op: Conv2d | Linear, factor: Array, added: Array) -> Op:
    """Weights whose output is `factor * output + added`."""
    weight = op.weight * factor.reshape(-1, *[1] * (op.weight.ndim - 1))
    bias = added if op.bias is None else op.bias * factor + added
    return replace(op, weight=weight, bias=bias if bias.any() else None)
