"""A layer left out: convolution and neurons go, what they fed takes their input. Only where the shape stays."""

from __future__ import annotations

from i2e_deploy.chips.dynapcnn.lowering.reshape.graph import edited, layer_of, neurons_of, users
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Conv2d, Network


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
