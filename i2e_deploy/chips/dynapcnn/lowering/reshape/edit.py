"""Small edits of a network's graph, one of which leaves a layer out, and which layers with weights spikes reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import INPUT, Add, Conv2d, IntegrateAndFire, Layer, Linear, Network, Op

Weights = Conv2d | Linear


def layer_of(network: Network, name: str) -> Layer:
    """The layer of that name.

    Raises:
        InputError: there is none.
    """
    for layer in network.layers:
        if layer.name == name:
            return layer
    raise InputError(f"no layer {name!r} in the network: it has {', '.join(layer.name for layer in network.layers)}")


def weights_of(network: Network, name: str) -> Weights:
    """The convolution or linear layer of that name.

    Raises:
        InputError: there is no such layer, or it has no weights.
    """
    op = layer_of(network, name).op
    if not isinstance(op, Conv2d | Linear):
        raise InputError(f"layer {name!r} is a {type(op).__name__}: give a convolution or a linear layer")
    return op


def neurons_of(network: Network, name: str) -> Layer:
    """The neurons directly after a layer with weights.

    Raises:
        UnsupportedError: there are none.
    """
    following = network.consumers()[name]
    if len(following) != 1 or not isinstance(following[0].op, IntegrateAndFire):
        raise UnsupportedError(f"layer {name!r} needs one integrate-and-fire layer directly after it")
    return following[0]


def threshold_of(network: Network, name: str) -> float:
    """Threshold of the neurons after a layer with weights."""
    op = neurons_of(network, name).op
    assert isinstance(op, IntegrateAndFire)
    return op.threshold


def users(network: Network, name: str) -> tuple[tuple[str, ...], bool]:
    """(layers with weights that the output of `name` reaches before other weights, whether it leaves the network)."""
    consumers = network.consumers()
    found: dict[str, None] = {}
    leaves = False
    pending = [name]
    while pending:
        here = pending.pop()
        leaves |= not consumers[here]
        for layer in consumers[here]:
            if isinstance(layer.op, Conv2d | Linear):
                found[layer.name] = None
            else:
                pending.append(layer.name)
    return tuple(found), leaves


def feeders(network: Network, name: str) -> tuple[str, ...]:
    """The layers with weights whose spikes reach `name`, or `INPUT`."""
    layers = {layer.name: layer for layer in network.layers}
    found: dict[str, None] = {}
    pending = list(layers[name].inputs)
    while pending:
        here = pending.pop()
        if here == INPUT:
            found[INPUT] = None
        elif isinstance(layers[here].op, Conv2d | Linear):
            found[here] = None
        else:
            pending += layers[here].inputs
    return tuple(found)


def edited(network: Network, ops: Mapping[str, Op], gone: Sequence[str] = ()) -> Network:
    """The network with other operations in some layers, and without layers `gone`; what those fed takes their input.

    Raises:
        UnsupportedError: two inputs of a sum become one and the same.
        InputError: shapes do not fit any more.
    """
    layers = [replace(layer, op=ops.get(layer.name, layer.op)) for layer in network.layers]
    for name in gone:
        (source,) = next(layer.inputs for layer in layers if layer.name == name)
        layers = [
            replace(layer, inputs=tuple(source if given == name else given for given in layer.inputs))
            for layer in layers
            if layer.name != name
        ]
    for layer in layers:
        if isinstance(layer.op, Add) and len(set(layer.inputs)) < len(layer.inputs):
            raise UnsupportedError(f"layer {layer.name!r} would add {layer.inputs[0]!r} to itself without {list(gone)}")
    return replace(network, layers=tuple(layers))


def fresh(network: Network, name: str) -> str:
    """A name that no layer has, starting with `name`."""
    taken = {layer.name for layer in network.layers} | {INPUT}
    while name in taken:
        name += "_"
    return name


def removable(network: Network) -> tuple[str, ...]:
    """Convolutions whose output has the shape of their input and that are no output of the network."""
    shapes = network.shapes()
    convolutions = [layer for layer in network.layers if isinstance(layer.op, Conv2d)]
    same = [layer.name for layer in convolutions if shapes[layer.name] == shapes[layer.inputs[0]]]
    return tuple(name for name in same if not users(network, name)[1])


def leave_out(network: Network, name: str) -> Network:
    """The network without a convolution and its neurons.

    Raises:
        UnsupportedError: it is not among `removable`, or a sum would get one input twice.
    """
    layer_of(network, name)
    if name not in removable(network):
        raise UnsupportedError(
            f"layer {name!r} cannot be left out: what it feeds would get another shape; "
            f"possible: {', '.join(removable(network)) or 'none'}"
        )
    return edited(network, {}, (name, neurons_of(network, name).name))
