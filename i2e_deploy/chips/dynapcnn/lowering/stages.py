"""Arrange a float network as the chip sees it: one stage a core.

A core convolves the events that reach it, integrates, fires, and sends its spikes on, summed over pooling
windows. So a stage is a convolution (or a linear layer, which is a convolution with one output pixel), the
neurons after it, and where its input comes from with the pooling on the way. Average pooling becomes sum
pooling, its factor moves into the weights after it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.ways_out import way_out
from i2e_deploy.chips.dynapcnn.program import Source
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import (
    INPUT,
    Add,
    Concat,
    Conv2d,
    Flatten,
    IntegrateAndFire,
    Layer,
    LeakyIntegrateAndFire,
    Linear,
    Network,
    Pool2d,
    Sensor,
)
from i2e_deploy.network.op import Array, Pair, Shape
from i2e_deploy.network.simplify import simplified


@dataclass(frozen=True, eq=False)
class Stage:
    """One core's worth of the float network.

    Args:
        name: name of the convolution or linear layer.
        sources: where its input comes from.
        weight: float32 [C_out, C_in, kH, kW], groups and dilation written out as zeros, pooling factor included.
        input_shape: (C, H, W) after pooling.
        output_shape: (C, H, W) of the neurons.
        destinations: how many stages (or outputs) it feeds.
        initial: float32 [C, H, W], where its neurons start, in units of the weights; None = 0.
    """

    name: str
    sources: tuple[Source, ...]
    weight: Array
    bias: Array | None
    stride: Pair
    padding: Pair
    neuron: IntegrateAndFire
    input_shape: Shape
    output_shape: Shape
    destinations: int
    initial: Array | None = None


@dataclass(frozen=True)
class _Path:
    """A way back from a layer to the neurons (or the input) that feed it."""

    source: str
    pool: Pair = (1, 1)
    factor: float = 1.0
    shift: int = 0


def arrange(network: Network) -> tuple[tuple[Stage, ...], tuple[Source, ...]]:
    """The stages in network order, and the sources of the output.

    Raises:
        UnsupportedError: names every layer that cannot be part of a core, with what to do.
    """
    network = simplified(network)
    shapes, consumers = network.shapes(), network.consumers()
    layers = {layer.name: layer for layer in network.layers}
    problems = _problems(network, layers)
    if problems:
        raise UnsupportedError("; ".join(problems))
    sensor_of(network)
    neurons, ways = _ways(network)
    stage_of = {neuron.name: synapse for synapse, neuron in neurons.items()} | {INPUT: INPUT}
    outputs = [p for layer in network.layers if not consumers[layer.name] for p in _paths(layer.name, layers, shapes)]
    fan_out = [path.source for paths in (*ways.values(), outputs) for path in paths]

    def source(path: _Path) -> Source:
        from_sensor = path.source in layers and isinstance(layers[path.source].op, Sensor)
        return Source(INPUT) if from_sensor else Source(stage_of[path.source], path.pool, path.shift)

    stages = []
    for name, neuron in neurons.items():
        assert isinstance(neuron.op, IntegrateAndFire)
        stage = _stage(layers[name], neuron.op, ways[name], shapes)
        stages.append(replace(stage, sources=tuple(map(source, ways[name])), destinations=fan_out.count(neuron.name)))
    return tuple(stages), tuple(replace(source(path), feature_shift=0) for path in outputs)


def averaged_outputs(network: Network) -> dict[str, int]:
    """Outputs that end in average pooling, by their neurons: how many times the average the chip's sum is."""
    network = simplified(network)
    consumers, layers = network.consumers(), {layer.name: layer for layer in network.layers}
    shapes = network.shapes()
    paths = [path for name in layers if not consumers[name] for path in _paths(name, layers, shapes)]
    return {path.source: round(1 / path.factor) for path in paths if path.factor != 1}


def sensor_of(network: Network) -> Sensor | None:
    """The pre-processing of the input with the pooling after it merged in; None when the network has none.

    Raises:
        UnsupportedError: see `front_end`.
    """
    network = simplified(network)
    layer = sensor_layer(network)
    if layer is None:
        return None
    _, ways = _ways(network)
    return with_pooling(layer, [path.pool for paths in ways.values() for path in paths if path.source == layer.name])


def _ways(network: Network) -> tuple[dict[str, Layer], dict[str, list[_Path]]]:
    """By the name of each layer with weights: its neurons, and the ways back to what feeds it."""
    layers = {layer.name: layer for layer in network.layers}
    neurons = {layer.inputs[0]: layer for layer in network.layers if isinstance(layer.op, IntegrateAndFire)}
    shapes = network.shapes()
    return neurons, {name: [p for n in layers[name].inputs for p in _paths(n, layers, shapes)] for name in neurons}


def _problems(network: Network, layers: dict[str, Layer]) -> list[str]:
    """Every reason why the network is not a set of cores."""
    consumers, problems = network.consumers(), _of_other_kinds(network)
    if not problems and not any(isinstance(layer.op, IntegrateAndFire) for layer in network.layers):
        return ["the network has no integrate-and-fire layer: every convolution needs one after it"]
    if len(network.input_shape) != 3:
        return [f"the input has shape {network.input_shape}: the chip takes events of shape (C, H, W)", *problems]
    for layer in network.layers:
        following, before = consumers[layer.name], [layers[n].op for n in layer.inputs if n != INPUT]
        if isinstance(layer.op, Conv2d | Linear):
            if len(following) != 1 or not isinstance(following[0].op, IntegrateAndFire | LeakyIntegrateAndFire):
                problems.append(f"layer {layer.name!r}: weights need one integrate-and-fire layer directly after them")
        elif isinstance(layer.op, IntegrateAndFire):
            if not (len(before) == 1 and isinstance(before[0], Conv2d | Linear)):
                problems.append(f"layer {layer.name!r}: neurons need a convolution or linear layer directly before")
        elif not following and isinstance(layer.op, Add):
            problems.append(f"layer {layer.name!r}: a sum cannot be the output; put a convolution and neurons after it")
        if isinstance(layer.op, Pool2d) and INPUT in layer.inputs:
            problems.append(
                f"layer {layer.name!r} pools the input: put a Sensor (Sinabs: DVSLayer) before it, or use a stride"
            )
    return problems


def _of_other_kinds(network: Network) -> list[str]:
    """Layers of other kinds: what such a layer computes must not be left out in silence. Once for all of one reason."""
    known = Add | Concat | Conv2d | Flatten | IntegrateAndFire | Linear | Pool2d | Sensor
    reasons: dict[tuple[str, str], list[str]] = {}
    for layer in network.layers:
        if not isinstance(layer.op, known):
            reasons.setdefault((type(layer.op).__name__, way_out(layer.op)), []).append(repr(layer.name))
    return [
        f"layer {names[0]} is a {kind}: {reason}"
        if len(names) == 1
        else f"layers {', '.join(names)} are each a {kind}: {reason}"
        for (kind, reason), names in reasons.items()
    ]


def _paths(name: str, layers: dict[str, Layer], shapes: dict[str, Shape]) -> list[_Path]:
    """All ways from the output of `name` back to neurons or the input, with the pooling between."""
    if name == INPUT or isinstance(layers[name].op, IntegrateAndFire | Sensor):
        return [_Path(name)]
    layer, paths, channels = layers[name], [], 0
    for source in layer.inputs:
        shift = channels if isinstance(layer.op, Concat) else 0
        found = _paths(source, layers, shapes)
        paths += [replace(path, shift=path.shift + shift) for path in found]
        channels += max(_channels(path, shapes) for path in found)
    if isinstance(layer.op, Pool2d):
        (ky, kx), average = layer.op.kernel, layer.op.kind == "average"
        factor = 1.0 / (ky * kx) if average else 1.0
        paths = [replace(p, pool=(p.pool[0] * ky, p.pool[1] * kx), factor=p.factor * factor) for p in paths]
    if isinstance(layer.op, Concat) and len({_sides(path, shapes) for path in paths}) > 1:
        raise UnsupportedError(
            f"layer {name!r} joins maps of {sorted({_sides(path, shapes) for path in paths})} pixels: a core adds to "
            "the number of a feature, so they must have the same sides; join them before they are flattened"
        )
    return paths


def _channels(path: _Path, shapes: dict[str, Shape]) -> int:
    """How many features there are with those of a path, from the first of the layer that it leads to."""
    return path.shift + shapes[path.source][0]


def _sides(path: _Path, shapes: dict[str, Shape]) -> Pair:
    """(vertical, horizontal) of what arrives on a path, in pixels."""
    _, height, width = (*shapes[path.source], 1, 1)[:3]
    return height // path.pool[0], width // path.pool[1]


def _stage(layer: Layer, neuron: IntegrateAndFire, paths: Sequence[_Path], shapes: dict[str, Shape]) -> Stage:
    """The stage of one convolution or linear layer; `arrange` fills in sources and destinations."""
    factors = {path.factor for path in paths}
    if len(factors) > 1:
        raise UnsupportedError(
            f"layer {layer.name!r} gets inputs scaled by different average pools ({sorted(factors)}): "
            "one core has one set of weights; use sum pooling or equal windows"
        )
    input_shape = (max(_channels(path, shapes) for path in paths), *_sides(paths[0], shapes))
    op = layer.op
    if isinstance(op, Linear):
        weight, stride, padding = _as_convolution(op.weight.reshape(-1, *input_shape))
        output_shape: Shape = (weight.shape[0], 1, 1)
    else:
        assert isinstance(op, Conv2d)
        weight, stride, padding = _write_out(op), op.stride, op.padding
        output_shape = shapes[layer.name]
    factor = factors.pop()
    if factor != 1:  # in float32, as sinabs: dynapcnn_layer.py `conv.weight * self._rescale_weights`
        weight = weight * np.float32(factor)
    start = neuron.start
    if start is not None:  # spread as the float layer does, which may have one axis
        start = np.broadcast_to(start, shapes[layer.name]).reshape(output_shape).copy()
    return Stage(layer.name, (), weight, op.bias, stride, padding, neuron, input_shape, output_shape, 0, start)


def _as_convolution(weight: Array) -> tuple[Array, Pair, Pair]:
    """A linear layer on (C, H, W) as a convolution with one output pixel: weights, stride, padding.

    A core has one number for both sides of a kernel. Where H and W differ, the kernel is made square with rows or
    columns of zeros that lie in the padding; padding has the same width on both sides, so the input may be one
    longer than the kernel, and a stride of 8 keeps the second output pixel away.
    """
    height, width = weight.shape[2:]
    if height == width:
        return weight, (1, 1), (0, 0)
    side = max(height, width)
    top, left = (side - height + 1) // 2, (side - width + 1) // 2
    square = np.zeros((*weight.shape[:2], side, side), np.float32)
    square[:, :, top : top + height, left : left + width] = weight
    return square, (8, 8), (top, left)


def _write_out(op: Conv2d) -> Array:
    """Weights without groups and dilation, which the chip has no field for: the same sums, with zeros."""
    out, inside, kh, kw = op.weight.shape
    (dy, dx), groups = op.dilation, op.groups
    dense = np.zeros((out, inside * groups, dy * (kh - 1) + 1, dx * (kw - 1) + 1), np.float32)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        dense[rows, group * inside : (group + 1) * inside, ::dy, ::dx] = op.weight[rows]
    return dense


class Sized(Protocol):
    """A stage, or the core layer made of it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sources(self) -> tuple[Source, ...]: ...  # noqa: D102
    @property
    def weight(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def bias(self) -> NDArray[Any] | None: ...  # noqa: D102
    @property
    def output_shape(self) -> tuple[int, ...]: ...  # noqa: D102


def words(stage: Sized) -> dict[str, int]:
    """Memory words that a stage takes, by kind; see `memory_words`."""
    f_out, c_in, kh, kw = stage.weight.shape
    _, height, width = stage.output_shape
    return memory_words(f_out, c_in, (kh, kw), (height, width), stage.bias is not None)


def memory_words(f_out: int, c_in: int, kernel: Pair, neurons: Pair, bias: bool) -> dict[str, int]:
    """Memory words by kind.

    Source: Speck Dev Kit Datasheet (Aug 2023), 2.4; the same in sinabs dynapcnn_layer.py `memory_summary`.
    """
    return {
        "kernel": c_in << (_bits(kernel[0] * kernel[1]) + _bits(f_out)),
        "neuron": f_out << (_bits(neurons[0]) + _bits(neurons[1])),
        "bias": f_out if bias else 0,
    }


def _bits(count: int) -> int:
    """Address bits for `count` values: ceil(log2 count)."""
    return (count - 1).bit_length()


def sensor_layer(network: Network) -> Layer | None:
    """The layer that pre-processes the input, or None.

    Raises:
        UnsupportedError: it comes after a layer, or is not the only one that takes the input.
    """
    found = [layer for layer in network.layers if isinstance(layer.op, Sensor)]
    if not found:
        return None
    first, beside = found[0], [layer.name for layer in network.consumers()[INPUT] if layer is not found[0]]
    if len(found) > 1 or first.inputs != (INPUT,) or beside:
        raise UnsupportedError(
            f"layer {found[-1].name!r} pre-processes events: the chip does so once, between its pixels and the layers; "
            "put one such layer first, before all others"
        )
    return first


def with_pooling(layer: Layer, pools: Collection[Pair]) -> Sensor:
    """The sensor with the pooling after it merged in, as Sinabs does where nothing is cropped or mirrored.

    Args:
        layer: of the sensor.
        pools: windows (vertical, horizontal) on the ways from it to the layers that it feeds.

    Raises:
        UnsupportedError: they differ, or do not lie on the grid of the crop.
    """
    assert isinstance(layer.op, Sensor)
    sensor = layer.op
    if len(set(pools)) > 1:
        raise UnsupportedError(
            f"layer {layer.name!r} feeds layers through different pooling {sorted(set(pools))}: "
            "the chip's pre-processing has one; use strides, or a layer between"
        )
    pool = next(iter(pools), (1, 1))
    if pool == (1, 1):
        return sensor
    down, across = pool[::-1] if sensor.swap_xy else pool
    crop = sensor.crop
    if crop is not None:
        crop = (
            _coarser(layer.name, crop[0], down, sensor.flip_y),
            _coarser(layer.name, crop[1], across, sensor.flip_x),
        )
    elif sensor.flip_y or sensor.flip_x:
        raise UnsupportedError(
            f"layer {layer.name!r} mirrors before pooling {pool}: give its crop, e.g. the whole image, or pool in it"
        )
    return replace(sensor, pool=(sensor.pool[0] * down, sensor.pool[1] * across), crop=crop)


def _coarser(name: str, side: Pair, pool: int, flipped: bool) -> Pair:
    """One side of a crop in windows of `pool`; windows are counted from where the image starts once it is mirrored."""
    count = (side[1] - side[0]) // pool
    start = side[1] - count * pool if flipped else side[0]
    if start % pool:
        raise UnsupportedError(
            f"layer {name!r} crops {side} and is pooled by {pool} after it: the chip pools first; "
            f"let the crop {'end' if flipped else 'start'} at a multiple of {pool}, or pool within it"
        )
    return start // pool, start // pool + count
