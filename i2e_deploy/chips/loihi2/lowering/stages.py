"""Arrange a float network as the chip sees it: stages of neurons, and the linear maps that feed them.

Each stage becomes a block. Linear layers, pooling, scales, shapes, sums and concatenations between neurons become the
weights of its connections, delays their delays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.lowering.graded import VALUES, Carried, Rectified
from i2e_deploy.chips.loihi2.lowering.maps import (
    Floats,
    Map,
    as_matrix,
    before,
    block_shape,
    identity,
    image_out,
    split,
)
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Concat, Flatten, Linear, Reshape, Scale
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Shape
from i2e_deploy.network.pooling import MaxPool2d, Pool2d
from i2e_deploy.text import record_repr

Steps = NDArray[np.int64]
Neurons = IntegrateAndFire | LeakyIntegrateAndFire | Carried | Rectified
#: A neuron that fires in every step, for what is added to currents, which have no bias on the chip.
ALWAYS = "always on"
POPULATIONS = (IntegrateAndFire, LeakyIntegrateAndFire, *VALUES)
LINEAR = (Conv1d, Conv2d, Linear, Pool2d, Scale, Flatten, Reshape)


@dataclass(frozen=True, eq=False)
class Edge:
    """A way from a population (or the input) to the neurons of a stage.

    Args:
        source: name of the float layer whose neurons send, `"input"`, or `ALWAYS`.
        map: None: no weights between.
        delay: steps of the float network.
        rows, columns: further steps of each output and of each input, int64 [N], or None.
    """

    source: str
    map: Map | None = None
    delay: int = 0
    rows: Steps | None = None
    columns: Steps | None = None

    __repr__ = record_repr


@dataclass(frozen=True, eq=False)
class Stage:
    """A population of the chip.

    Args:
        name: of the block: that of the weights before the neurons where these are one layer, else of the neurons.
        layer: name of the float layer whose output it is.
        shape: of the block.
        edges: with maps, at least one.
        bias: float64 [N], what arrives in every step beside the edges.
        neurons: of the float network, or what carries values; None: an accumulator of values that leave the network, or
            max pooling.
        pool: of spikes; then there is one edge without a map.
    """

    name: str
    layer: str
    shape: Shape
    edges: tuple[Edge, ...]
    bias: Floats
    neurons: Neurons | None = None
    pool: MaxPool2d | None = None

    __repr__ = record_repr


def arrange(network: Network) -> tuple[Stage, ...]:
    """The stages in network order, the output last.

    Raises:
        UnsupportedError: names every layer that cannot be part of a block, with what to do.
    """
    walker = _Walker(network)
    stages, problems = [], []
    if len(network.outputs) != 1:
        problems.append(
            f"the network has {len(network.outputs)} outputs ({', '.join(network.outputs)}): join them by a Concat "
            "(a layer that feeds a loop alone counts as one: put the loop's delay before it)"
        )
    outputs = [walker.shaped(name) for name in network.outputs]
    for layer in network.layers:
        if walker.is_source(layer.name) or (layer.name in outputs and isinstance(layer.op, (*LINEAR, Add, Concat))):
            try:
                stages.append(walker.stage(layer))
            except UnsupportedError as error:
                problems.append(f"layer {layer.name!r} {error}")
        elif not isinstance(layer.op, (*LINEAR, Add, Concat, Delay)):
            problems.append(f"layer {layer.name!r} is a {type(layer.op).__name__}: {_way_out(layer)}")
    if problems:
        raise UnsupportedError("; ".join(problems))
    if not stages:
        raise UnsupportedError("the network has no neurons and no weights: give it a layer")
    last = [stage for stage in stages if stage.layer in outputs]
    if not last:
        raise UnsupportedError(f"layer {network.outputs[0]!r} is a delay at the output: leave it out")
    return tuple([stage for stage in stages if stage not in last] + last)


def _way_out(layer: Layer) -> str:
    if type(layer.op).__name__ == "Sensor":
        return "Loihi 2 has no camera front end; crop, pool and merge the events before, and leave it out"
    return "a block has weights and neurons; leave it out"


class _Walker:
    """Walks back from neurons to what feeds them."""

    def __init__(self, network: Network) -> None:
        self.network, self.shapes = network, network.shapes() | {INPUT: network.input_shape}
        self.layers = {layer.name: layer for layer in network.layers}
        self.consumers = network.consumers()

    def is_source(self, name: str) -> bool:
        """Whether a population sends what this layer gives."""
        return name == INPUT or isinstance(self.layers[name].op, (*POPULATIONS, MaxPool2d))

    def shaped(self, name: str) -> str:
        """The layer of which this one is but another shape; else itself."""
        while isinstance(self.layers[name].op, (Flatten, Reshape)) and self.layers[name].inputs[0] in self.layers:
            name = self.layers[name].inputs[0]
        return name

    def stage(self, layer: Layer) -> Stage:
        """The stage of neurons, of max pooling, or of values that leave the network."""
        op, shape = layer.op, self.shapes[layer.name]
        if isinstance(op, POPULATIONS):
            start = layer.inputs[0]
            edges = self._mapped(self._edges(start, None, ()), start)
            bias = self._constant(start, ())
            if bias.any() and isinstance(op, LeakyIntegrateAndFire) and _filters(op):
                edges, bias = (*edges, Edge(ALWAYS, Map(bias[:, None]))), np.zeros(bias.size)
            return Stage(self._name(layer), layer.name, block_shape(shape), edges, bias, op)
        if isinstance(op, MaxPool2d):
            edges = tuple(self._edges(layer.inputs[0], None, ()))
            if len(edges) != 1 or edges[0].map is not None or edges[0].rows is not None:
                raise UnsupportedError(
                    "takes the maximum of values that are no spikes: put it after the neurons, or use average pooling"
                )
            return Stage(layer.name, layer.name, block_shape(shape), edges, np.zeros(1), pool=op)
        edges = self._mapped(self._edges(layer.name, None, ()), layer.name)
        return Stage(layer.name, layer.name, block_shape(shape), edges, self._constant(layer.name, ()))

    def _name(self, neurons: Layer) -> str:
        (given,) = neurons.inputs
        before = self.layers.get(given)
        weighs = before is not None and isinstance(before.op, (Conv1d, Conv2d, Linear))
        alone = weighs and len(self.consumers[given]) == 1 and not isinstance(neurons.op, VALUES)
        return given if alone else neurons.name

    def _mapped(self, edges: list[Edge], start: str) -> tuple[Edge, ...]:
        """With an identity where there are no weights, a matrix where a convolution gives another shape."""
        shape, found = self.shapes[start], []
        for edge in edges:
            given = self.shapes[edge.source]
            weights = identity(given) if edge.map is None else edge.map
            other = not weights.dense and image_out(weights, block_shape(given)) != block_shape(shape)
            delayed = edge.columns is not None or (edge.rows is not None and not _by_channel(edge.rows, shape))
            found.append(replace(edge, map=as_matrix(weights, given) if other or delayed else weights))
        return tuple(found)

    def _edges(self, name: str, outer: Map | None, seen: tuple[str, ...], so_far: Edge | None = None) -> list[Edge]:
        """All ways from the neurons back to what feeds them; `outer`: of the layers passed so far."""
        edge = Edge("") if so_far is None else so_far
        if self.is_source(name):
            return [replace(edge, source=name, map=outer)]
        layer = self.layers[name]
        if name in seen:
            raise UnsupportedError(f"is in a loop without neurons (through {name!r}): put neurons into the loop")
        op, seen = layer.op, (*seen, name)
        given = [self.shapes[source] for source in layer.inputs]
        if isinstance(op, Add):
            return [way for source in layer.inputs for way in self._edges(source, outer, seen, edge)]
        if edge.columns is not None and not isinstance(op, (Flatten, Reshape, Delay)):
            raise UnsupportedError(
                f"has delays of single values in {name!r} or after it, before weights: put them last"
            )
        if isinstance(op, Concat):
            parts = split(identity(self.shapes[name]) if outer is None else outer, given)
            return [
                way for source, part in zip(layer.inputs, parts, strict=True)
                for way in self._edges(source, part, seen, edge)
            ]  # fmt: skip
        if isinstance(op, Delay):
            return self._edges(layer.inputs[0], *self._delayed(op, name, outer, edge, seen))
        if not isinstance(op, LINEAR):
            raise UnsupportedError(f"is fed by {name!r}, a {type(op).__name__}: {_way_out(layer)}")
        try:
            outer = before(outer, op, given[0], self.shapes[name])
        except UnsupportedError as error:
            raise UnsupportedError(f"with {name!r} {error}") from error
        return self._edges(layer.inputs[0], outer, seen, edge)

    def _delayed(
        self, op: Delay, name: str, outer: Map | None, edge: Edge, seen: tuple[str, ...]
    ) -> tuple[Map | None, tuple[str, ...], Edge]:
        """One delay for all adds up; one a value is of the outputs before any weights, of the inputs after them."""
        shape = self.shapes[name]
        steps = np.broadcast_to(op.steps, shape).reshape(-1).astype(np.int64)
        least = int(steps.min())
        edge, rest = replace(edge, delay=edge.delay + least), steps - least
        if not rest.any():
            return outer, seen, edge
        if outer is None:
            return outer, seen, replace(edge, rows=rest if edge.rows is None else edge.rows + rest)
        return (
            as_matrix(outer, shape),
            seen,
            replace(edge, columns=rest if edge.columns is None else edge.columns + rest),
        )

    def _constant(self, name: str, seen: tuple[str, ...]) -> Floats:
        """What arrives, flat, when no population sends anything."""
        import torch

        if self.is_source(name) or name in seen:
            return np.zeros(int(np.prod(self.shapes[name])))
        layer = self.layers[name]
        given = [self._constant(source, (*seen, name)) for source in layer.inputs]
        if isinstance(layer.op, Delay):
            if given[0].any():
                raise UnsupportedError(f"has a bias before the delay {name!r}: move the bias behind it")
            return given[0]
        shaped = [torch.from_numpy(g.reshape(1, *self.shapes[s])) for g, s in zip(given, layer.inputs, strict=True)]
        with torch.no_grad():
            return np.asarray(layer.op.step(shaped, {})[0].numpy().reshape(-1))


def _filters(op: LeakyIntegrateAndFire) -> bool:
    """Whether what arrives reaches the membrane otherwise than at once and whole."""
    return op.current_decay is not None and (bool(op.current_decay.any()) or op.old_current)


def _by_channel(values: Steps, shape: Shape) -> bool:
    each = values.reshape(block_shape(shape)[0], -1)
    return bool((each == each[:, :1]).all())
