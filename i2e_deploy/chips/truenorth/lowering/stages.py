"""Arrange a float network as populations of neurons, and the linear maps that feed them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.truenorth.lowering.maps import Map, Weights, after, identity, map_of, moved, summed
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Concat, Flatten, Reshape
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire, without_leak
from i2e_deploy.network.op import Shape
from i2e_deploy.network.pooling import MaxPool2d

Floats = NDArray[np.float64]
#: A population (or the input), and by how many steps of the float network it is delayed.
Source = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Values:
    """What a layer without neurons gives: maps of populations, and what is there without any spike, float64 [N]."""

    maps: Mapping[Source, Map]
    constant: Floats


@dataclass(frozen=True, eq=False)
class Stage:
    """A population.

    Args:
        name: that of the weights before the neurons where these are one layer, else of the neurons.
        layer: name of the neurons.
        shape: of what it sends.
        values: what the neurons are given; the gain of theirs is in it.
        neurons: without leak.
        groups: of channels that share no input, for where neurons are put.
    """

    name: str
    layer: str
    shape: Shape
    values: Values
    neurons: IntegrateAndFire
    groups: int = 1


def arrange(network: Network, closest: bool) -> tuple[tuple[Stage, ...], tuple[tuple[str, str], ...]]:
    """The stages in network order, the output last; and every reason why not: (layer, text).

    Args:
        closest: neurons that send several spikes in a step are taken as ones that send one (`standard_neurons`).
    """
    shapes, consumers = network.shapes(), network.consumers()
    values = {INPUT: Values({(INPUT, 0): identity(prod(network.input_shape))}, np.zeros(prod(network.input_shape)))}
    stages: list[Stage] = []
    problems: list[tuple[str, str]] = []
    for layer in network.layers:
        shape = shapes[layer.name]
        found = values[layer.name] = _own(layer.name, shape)
        if not all(name in values for name in layer.inputs):
            problems.append((layer.name, "closes a loop: recurrent networks are not lowered to TrueNorth yet"))
            continue
        try:
            if isinstance(layer.op, IntegrateAndFire | LeakyIntegrateAndFire):
                before = {item.name: item for item in network.layers}.get(layer.inputs[0])
                alone = before is not None and isinstance(before.op, Weights) and len(consumers[before.name]) == 1
                given, neurons = _neurons(layer.op, values[layer.inputs[0]], shape, closest)
                name = layer.inputs[0] if alone else layer.name
                groups = before.op.groups if before is not None and isinstance(before.op, Conv2d) else 1
                stages.append(Stage(name, layer.name, shape, given, neurons, groups))
            else:
                found = _linear(
                    layer, [values[name] for name in layer.inputs], [shapes[n] for n in layer.inputs], shape
                )
            values[layer.name] = found
        except UnsupportedError as error:
            problems.append((layer.name, str(error)))
    problems += _of_outputs(network, {stage.layer for stage in stages})
    last = [stage for stage in stages if stage.layer in {_shaped(network, name) for name in network.outputs}]
    return tuple([stage for stage in stages if stage not in last] + last), tuple(problems)


def _own(name: str, shape: Shape) -> Values:
    return Values({(name, 0): identity(prod(shape))}, np.zeros(prod(shape)))


def _of_outputs(network: Network, neurons: set[str]) -> list[tuple[str, str]]:
    if not network.layers:
        return [("", "the network has no layers: give it weights and neurons")]
    if len(network.outputs) > 1:
        names = ", ".join(network.outputs)
        return [
            (name, f"is one of several outputs ({names}): join them by a Concat before") for name in network.outputs
        ]
    (name,) = network.outputs
    layer = next(item for item in network.layers if item.name == _shaped(network, name))
    if layer.name not in neurons and isinstance(layer.op, Weights | Add | Concat | Delay):
        return [(layer.name, "is the output and no neurons follow: what leaves TrueNorth is spikes, put neurons there")]
    return []


def _shaped(network: Network, name: str) -> str:
    """The layer of which this one is but another shape; else itself."""
    layers = {layer.name: layer for layer in network.layers}
    while name in layers and isinstance(layers[name].op, Flatten | Reshape):
        name = layers[name].inputs[0]
    return name if name in layers else next(iter(layers))


def _linear(layer: Layer, given: list[Values], shapes: list[Shape], shape: Shape) -> Values:
    """What a layer without neurons gives.

    Raises:
        UnsupportedError: it has no counterpart on the chip.
    """
    op = layer.op
    if isinstance(op, Flatten | Reshape):
        return given[0]
    if isinstance(op, Add):
        return _added(given)
    if isinstance(op, Concat):
        size, first, parts = prod(shape), 0, []
        for one, before in zip(given, shapes, strict=True):
            constant = np.zeros(size)
            constant[first : first + prod(before)] = one.constant
            parts.append(Values({s: moved(m, first, size) for s, m in one.maps.items()}, constant))
            first += prod(before)
        return _added(parts)
    if isinstance(op, Delay):
        steps = np.unique(op.steps)
        if len(steps) > 1 or given[0].constant.any():
            raise UnsupportedError("delays single values, or a bias: delay whole layers, with the bias behind")
        return Values({(name, late + int(steps[0])): m for (name, late), m in given[0].maps.items()}, given[0].constant)
    if isinstance(op, Weights):
        weights = map_of(op, shapes[0], shape)
        return Values({s: after(weights, m) for s, m in given[0].maps.items()}, _constant(layer, given[0], shapes[0]))
    raise UnsupportedError(f"is a {type(op).__name__}: {_way_out(op)}")


def _way_out(op: object) -> str:
    if isinstance(op, MaxPool2d):
        return "a crossbar adds; use a convolution with a stride, or sums (average pooling)"
    if type(op).__name__ == "Sensor":
        return "TrueNorth has no camera front end; crop, pool and merge the events before, and leave it out"
    return "cores have weights and neurons without exponential leak; leave it out"


def _added(given: list[Values]) -> Values:
    maps: dict[Source, Map] = {}
    for one in given:
        for source, found in one.maps.items():
            maps[source] = summed(maps[source], found) if source in maps else found
    return Values(maps, np.sum([one.constant for one in given], axis=0))


def _constant(layer: Layer, given: Values, shape: Shape) -> Floats:
    """What the layer gives of a constant, its bias with it."""
    import torch

    with torch.no_grad():
        made = layer.op.step([torch.from_numpy(given.constant.reshape(1, *shape))], {})[0]
    return np.asarray(made.numpy().reshape(-1), np.float64)


def _neurons(
    op: IntegrateAndFire | LeakyIntegrateAndFire, given: Values, shape: Shape, closest: bool
) -> tuple[Values, IntegrateAndFire]:
    """Neurons without leak, and what they are given.

    Raises:
        UnsupportedError: they compute what the chip's do not.
    """
    if isinstance(op, LeakyIntegrateAndFire):
        plain = without_leak(op)
        if plain is None:
            raise UnsupportedError(
                f"is {op.describe()}: TrueNorth's leak is a constant, it has no exponential decay, current or "
                "adaptation; train with integrate-and-fire neurons (decay 1, one threshold)"
            )
        op, gain, bias = plain
        each = np.broadcast_to(gain, shape).reshape(-1).astype(np.float64)
        scaled = {s: replace(m, values=m.values * each[m.rows]) for s, m in given.maps.items()}
        offset = np.broadcast_to(bias, shape).reshape(-1)
        given = Values(scaled, given.constant * each + offset)
    if op.max_spikes != 1 and not closest:
        raise UnsupportedError(
            "sends several spikes in a step, the chip's neurons one a tick: train with max_spikes=1 (Sinabs: "
            "SingleSpike), or take the closest form (--standard)"
        )
    return given, replace(op, max_spikes=1)
