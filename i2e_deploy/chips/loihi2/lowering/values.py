"""Sums that are sent on, and maxima of values: a float network with the populations that carry them.

A neuron of the chip sees one sum, so two things need populations of their own. A sum that several layers read (the
stream of a residual network) is carried by a `Carried` layer where that costs less than to compute it again for each
reader. A maximum of values becomes differences that are cut off at 0: max(a, b) = a + max(b - a, 0), along columns and
then along rows; what a `Rectified` layer sends is such a difference. The float run of the network that comes out is
that of the one that went in, up to rounding of float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from i2e_deploy.chips.loihi2.lowering.graded import GRADED, Carried, Integrating, Rectified
from i2e_deploy.chips.loihi2.lowering.integrators import with_integrators
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Concat, Flatten, Linear, Reshape
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.op import Array, Op, Pair, Shape
from i2e_deploy.network.pooling import MaxPool2d, Pool2d
from i2e_deploy.text import counted

#: Share of neurons that spike in a step, assumed where a sum is weighed against its repetition.
ACTIVITY = 0.1
#: Weights of two maps composed, from which on it is asked whether a population between them needs fewer.
MANY_WEIGHTS = 2**16

_NEURONS = (IntegrateAndFire, LeakyIntegrateAndFire)
_WEIGHTS = (Conv1d, Conv2d, Linear)
_SHAPES = (Flatten, Reshape)


def with_values(network: Network) -> Network:
    """The network with equal populations merged, maxima of values as differences, and sums that are carried.

    Raises:
        UnsupportedError: a maximum of values whose windows share no place that is always inside the image.
    """
    merged = with_integrators(_merged(network))
    layers, problems = _Layers(merged), []
    for layer in merged.layers:
        if isinstance(layer.op, MaxPool2d) and not layers.spikes(layer.inputs[0]):
            try:
                layers.add_maximum(layer, layer.op)
            except UnsupportedError as error:
                problems.append(str(error))
        else:
            layers.add(layer)
    if problems:
        raise UnsupportedError("; ".join(problems))
    return _carried(replace(merged, layers=tuple(layers.found)))


def _merged(network: Network) -> Network:
    """Populations that are fed alike and are alike are one: MS-ResNet has two at the head of each stage."""
    same: dict[str, str] = {}
    found: list[Layer] = []
    outputs = set(network.outputs)
    for own in network.layers:
        layer = replace(own, inputs=tuple(same.get(name, name) for name in own.inputs))
        twins = (x for x in found if x.inputs == layer.inputs and _alike(x.op, layer.op))
        twin = next(twins, None) if isinstance(layer.op, _NEURONS) and layer.name not in outputs else None
        if twin is None:
            found.append(layer)
        else:
            same[layer.name] = twin.name
    if not same:
        return network
    names = ", ".join(f"{one!r} is {other!r}" for one, other in same.items())
    note = Note("", f"neurons that are fed alike and are alike are one population: {names}")
    return replace(network, layers=tuple(found), notes=(*network.notes, note))


def _alike(one: Op, other: Op) -> bool:
    if type(one) is not type(other):
        return False
    (arrays, options), (theirs, others) = one.pack(), other.pack()
    same = arrays.keys() == theirs.keys() and all(np.array_equal(a, theirs[k]) for k, a in arrays.items())
    return same and options == others


class _Layers:
    """The layers that are found so far."""

    def __init__(self, network: Network) -> None:
        self.shapes, self.found = dict(network.shapes()), list[Layer]()
        self.ops: dict[str, Op] = {}

    def add(self, layer: Layer) -> str:
        """Its name."""
        self.found.append(layer)
        self.ops[layer.name] = layer.op
        self.shapes[layer.name] = layer.op.output_shape([self.shapes[name] for name in layer.inputs])
        return layer.name

    def spikes(self, name: str) -> bool:
        """Whether neurons (or the input) send what this layer gives, as it is."""
        while name in self.ops and isinstance(self.ops[name], _SHAPES):
            name = next(layer.inputs[0] for layer in self.found if layer.name == name)
        op = self.ops.get(name)
        return name == INPUT or (isinstance(op, (*_NEURONS, MaxPool2d)) and not isinstance(op, Integrating))

    def add_maximum(self, layer: Layer, pool: MaxPool2d) -> None:
        """The largest of each window: from its place that is always inside, column by column, then row by row."""
        name, shape = layer.name, self.shapes[layer.inputs[0]]
        (high, wide), (top, left), (down, across) = pool.kernel, pool.padding, pool.stride
        if 2 * top > high - 1 or 2 * left > wide - 1:
            raise UnsupportedError(
                f"layer {name!r} takes the maximum of values in windows {high}x{wide} with padding {pool.padding}: no "
                "place of a window is inside the image everywhere; use a padding of at most (kernel - 1) / 2"
            )
        made = pool.output_shape([shape])
        base = self.add(Layer(f"{name} values", Carried(), layer.inputs))
        channels, beside = shape[0], list[str]()
        half = (channels, shape[1], made[2])
        for k in (k for k in range(wide) if k != left):
            column = np.arange(made[2]) * across - left + k
            inside = np.broadcast_to((column >= 0) & (column < shape[2]), half).astype(np.float32)
            taps = _Taps(channels, (1, wide), (1, across), (0, left), shape, half)
            ways = [(base, taps.op({(0, k): 1, (0, left): -1})), *((d, _minus(channels)) for d in beside)]
            beside.append(self._rectified(f"{name} column {k}", ways, inside))
        below = list[str]()
        whole = _Taps(channels, pool.kernel, pool.stride, pool.padding, shape, made)
        rows = _Taps(channels, (high, 1), (down, 1), (top, 0), half, made)
        for k in (k for k in range(high) if k != top):
            row = np.arange(made[1]) * down - top + k
            inside = np.broadcast_to(((row >= 0) & (row < shape[1]))[:, None], made).astype(np.float32)
            ways = [(base, whole.op({(k, left): 1, (top, left): -1}))]
            ways += [(d, rows.op({(k, 0): 1, (top, 0): -1})) for d in beside]
            ways += [(e, _minus(channels)) for e in below]
            below.append(self._rectified(f"{name} row {k}", ways, inside))
        sums = [(base, whole.op({(top, left): 1})), *((d, rows.op({(top, 0): 1})) for d in beside)]
        self._summed(name, [*sums, *((e, None) for e in below)])

    def _rectified(self, name: str, ways: Sequence[tuple[str, Conv2d | None]], inside: Array) -> str:
        total = self._summed(f"{name} difference", ways)
        return self.add(Layer(name, Rectified(np.ascontiguousarray(inside)), (total,)))

    def _summed(self, name: str, ways: Sequence[tuple[str, Conv2d | None]]) -> str:
        if len(ways) == 1 and ways[0][1] is not None:
            return self.add(Layer(name, ways[0][1], (ways[0][0],)))
        parts = []
        for i, (source, op) in enumerate(ways):
            parts.append(source if op is None else self.add(Layer(f"{name} {i}", op, (source,))))
        return self.add(Layer(name, Add(), tuple(parts)))


@dataclass(frozen=True)
class _Taps:
    """Convolutions by channel that look at places of a window, as small as the image's border lets them be."""

    channels: int
    kernel: Pair
    stride: Pair
    padding: Pair
    given: Shape
    made: Shape

    def op(self, taps: Mapping[Pair, float]) -> Conv2d:
        """With these weights at these places of the window."""
        low = (min(y for y, _ in taps), min(x for _, x in taps))
        high = (max(y for y, _ in taps) + 1, max(x for _, x in taps) + 1)
        small = self._kernel(taps, low, high)
        return small if small.output_shape([self.given]) == self.made else self._kernel(taps, (0, 0), self.kernel)

    def _kernel(self, taps: Mapping[Pair, float], low: Pair, high: Pair) -> Conv2d:
        weight = np.zeros((self.channels, 1, high[0] - low[0], high[1] - low[1]), np.float32)
        for (y, x), value in taps.items():
            weight[:, 0, y - low[0], x - low[1]] = value
        padding = (self.padding[0] - low[0], self.padding[1] - low[1])
        return Conv2d(weight, stride=self.stride, padding=padding, groups=self.channels)


def _minus(channels: int) -> Conv2d:
    return Conv2d(-np.ones((channels, 1, 1, 1), np.float32), groups=channels)


def _carried(network: Network) -> Network:
    """With a population at each sum that is cheaper to carry than to compute for each of its readers."""
    shapes, feeds = network.shapes(), network.consumers()
    layers, notes = list[Layer](), list[Note]()
    load: dict[str, float] = {INPUT: ACTIVITY}  # operations that a neuron's input costs in a step, at ACTIVITY
    weights: dict[str, int] = {INPUT: 0}
    sources: dict[str, int] = {INPUT: prod(network.input_shape)}  # neurons that feed it
    moved: dict[str, str] = {}
    for own in network.layers:
        layer = replace(own, inputs=tuple(moved.get(name, name) for name in own.inputs))
        layers.append(layer)
        if isinstance(layer.op, (*_NEURONS, *GRADED, MaxPool2d)):
            graded = isinstance(layer.op, GRADED)
            load[layer.name], weights[layer.name] = (1.0 if graded else ACTIVITY), 0
            sources[layer.name] = prod(shapes[layer.name])
            continue
        known = [name for name in layer.inputs if name in load]  # a loop's delay comes before what feeds it
        gain, held = _costs(layer.op)
        loads = [load[name] for name in known]
        load[layer.name] = gain * (max(loads, default=0) if isinstance(layer.op, Concat) else sum(loads))
        weights[layer.name] = held + sum(weights[name] for name in known)
        sources[layer.name] = sum(sources[name] for name in known)
        why = _worth(layer, feeds, shapes, load[layer.name], weights[layer.name], sources[layer.name])
        if why:
            name = f"{layer.name} carried"
            layers.append(Layer(name, Carried(), (layer.name,)))
            notes.append(Note(layer.name, why))
            moved[layer.name], shapes[name] = name, shapes[layer.name]
            load[name], weights[name], sources[name] = 1.0, 0, prod(shapes[name])
    return replace(network, layers=tuple(layers), notes=(*network.notes, *notes))


def _costs(op: Op) -> tuple[float, int]:
    """Inputs that a value of a layer looks at, and its weights."""
    if isinstance(op, Linear):
        return float(op.weight.shape[1]), op.weight.size
    if isinstance(op, (Conv1d, Conv2d)):
        return float(np.prod(op.weight.shape[1:])), op.weight.size
    if isinstance(op, Pool2d):
        return float(prod(op.kernel)), 0
    return 1.0, 0


def _worth(
    layer: Layer, feeds: Mapping[str, tuple[Layer, ...]], shapes: Mapping[str, Shape], load: float, weights: int,
    sources: int,
) -> str:  # fmt: skip
    """Why a population should carry what this layer gives; empty: it should not."""
    readers, size = feeds[layer.name], prod(shapes[layer.name])
    if isinstance(layer.op, Add) and len(readers) > 1:
        again, carried = load * len(readers), load + 1 + len(readers)
        if carried < again:
            return (
                f"{len(readers)} layers read this sum: a population carries it, as {size * carried:,.0f} operations a "
                f"step are fewer than the {size * again:,.0f} of computing it for each (at {ACTIVITY:.0%} of neurons "
                "spiking)"
            )
    if isinstance(layer.op, (Add, Conv1d, Conv2d)) and weights and len(readers) == 1:
        after = _weights_after(layer, feeds)
        if after is None or isinstance(after.op, Linear) or not isinstance(after.op, (Pool2d, *_WEIGHTS)):
            return ""
        composed, apart = prod(shapes[after.name]) * sources, weights + _costs(after.op)[1]
        if composed > max(MANY_WEIGHTS, apart):
            return (
                f"a population carries it to {after.name!r}: {counted(composed, 'weight')} would be needed without, "
                f"and {apart:,} are with it"
            )
    return ""


def _weights_after(layer: Layer, feeds: Mapping[str, tuple[Layer, ...]]) -> Layer | None:
    """The only reader, through shapes."""
    readers = feeds[layer.name]
    while len(readers) == 1 and isinstance(readers[0].op, _SHAPES):
        readers = feeds[readers[0].name]
    return readers[0] if len(readers) == 1 else None
