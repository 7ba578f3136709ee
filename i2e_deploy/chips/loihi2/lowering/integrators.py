"""Leaky integrators inside a network: their potential goes on as a message, in every step.

A neuron adds up what arrives in a current of 24 bits, 6 of which are below a weight's step. A value of many bits, times
weights of 8, from many inputs, does not fit that. So layers with weights that read such potentials get a population of
their own, which adds up in whole 24 bits and sends its sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np

from i2e_deploy.chips.loihi2.lowering.graded import GRADED, Carried, Integrating
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Flatten, Linear, Reshape, Scale
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire

_POPULATIONS = (IntegrateAndFire, LeakyIntegrateAndFire, *GRADED)
_WEIGHTS = (Conv1d, Conv2d, Linear)


def with_integrators(network: Network) -> Network:
    """The network with its inner leaky integrators marked, and with populations for weights that read them.

    The float run stays the same.
    """
    feeds = network.consumers()
    inner = {
        layer.name for layer in network.layers
        if isinstance(layer.op, LeakyIntegrateAndFire) and layer.op.threshold is None and _goes_on(layer.name, feeds)
    }  # fmt: skip
    if not inner:
        return network
    named = {layer.name: layer for layer in network.layers}
    reading = [x for x in network.layers if isinstance(x.op, _WEIGHTS) and _reads(x, named, inner, set())]
    carried = {layer.name: f"{layer.name} carried" for layer in reading}
    layers = list[Layer]()
    for own in network.layers:
        layer = replace(own, inputs=tuple(carried.get(name, name) for name in own.inputs))
        if layer.name in inner:
            layers.append(replace(layer, op=_marked(layer.op)))
        elif layer.name not in carried:
            layers.append(layer)
        elif feeds[layer.name]:
            layers += [layer, Layer(carried[layer.name], Carried(), (layer.name,))]
        else:  # the output: what is carried is added up over the steps, by neurons of its name
            weights, sums = replace(layer, name=f"{layer.name} weights"), carried[layer.name]
            layers += [weights, Layer(sums, Carried(), (weights.name,)), Layer(layer.name, _same(), (sums,))]
    text = "weights on potentials are summed by a population of their own: a current has too few bits for them"
    notes = [Note(layer.name, text) for layer in reading]
    return replace(network, layers=tuple(layers), notes=(*network.notes, *notes))


def _same() -> Scale:
    return Scale(np.ones((), np.float32))


def _goes_on(name: str, feeds: Mapping[str, tuple[Layer, ...]]) -> bool:
    """Whether anything but another shape reads it."""
    return any(not isinstance(x.op, (Flatten, Reshape)) or _goes_on(x.name, feeds) for x in feeds[name])


def _marked(op: object) -> Integrating:
    assert isinstance(op, LeakyIntegrateAndFire)
    return Integrating(**{field.name: getattr(op, field.name) for field in fields(op)})


def _reads(layer: Layer, named: Mapping[str, Layer], inner: set[str], seen: set[str]) -> bool:
    """Whether a potential, or the maximum of some, reaches it with no neurons and no other weights between."""
    for name in layer.inputs:
        if name in inner:
            return True
        if name == INPUT or name in seen or isinstance(named[name].op, (*_POPULATIONS, *_WEIGHTS)):
            continue
        seen.add(name)
        if _reads(named[name], named, inner, seen):
            return True
    return False
