"""A program as the arrays and the JSON of a bundle, and back with every value checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_integer
from i2e_deploy.chips.deciding import COUNT, unpack_deciding
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter, Readout
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Pair, Source
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.network import INPUT, Sensor
from i2e_deploy.network.neurons import MAX_SPIKES

#: Neurons of one layer of a program read from a file; a core has at most 2^16.
MAX_NEURONS = 2**24


def to_tensors(network: CoreNetwork) -> tuple[dict[str, Integers], dict[str, Any]]:
    """Arrays by name and JSON-able data."""
    tensors: dict[str, Integers] = {}
    rows = []
    for layer in network.layers:
        row = asdict(layer)
        for key in ("weight", "bias", "initial"):
            array = row.pop(key)
            if array is not None:
                tensors[f"{layer.name}.{key}"] = array
        rows.append(row)
    outputs = [asdict(source) for source in network.outputs]
    data = {"input_shape": list(network.input_shape), "layers": rows, "outputs": outputs}
    front = {"sensor": network.sensor, "event_filter": network.event_filter, "readout": network.readout}
    if network.deciding != COUNT:
        data["deciding"] = network.deciding.pack()
    return tensors, data | {name: asdict(record) for name, record in front.items() if record is not None}


def from_tensors(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> CoreNetwork:
    """The inverse of `to_tensors`, with every value checked.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    try:
        layers = tuple(_read_layer(row, tensors) for row in data["layers"])
        program = CoreNetwork(
            _shape(data["input_shape"]),
            layers,
            tuple(map(_source, data["outputs"])),
            _record(Sensor, data.get("sensor")),
            _record(EventFilter, data.get("event_filter")),
            _record(Readout, data.get("readout")),
            unpack_deciding(data.get("deciding")),
        )
        _check_graph(program)
    except InputError as error:
        raise FileFormatError(f"not a DYNAP-CNN program: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"not a DYNAP-CNN program: {type(error).__name__} at {error}") from error
    return program


def _read_layer(row: Mapping[str, Any], tensors: Mapping[str, Integers]) -> CoreLayer:
    name = str(row["name"])
    weight = tensors[f"{name}.weight"]
    bias: NDArray[Any] | None = tensors.get(f"{name}.bias")
    layer = CoreLayer(
        name=name,
        sources=tuple(map(_source, row["sources"])),
        weight=np.asarray(weight),
        bias=None if bias is None else np.asarray(bias),
        stride=_pair(row["stride"]),
        padding=_pair(row["padding"]),
        threshold=checked_integer(row["threshold"], 1, 2**15 - 1),
        min_v=checked_integer(row["min_v"], -(2**15), 0),
        max_spikes=None if row["max_spikes"] is None else checked_integer(row["max_spikes"], 1, MAX_SPIKES),
        reset=row["reset"],
        input_shape=_shape(row["input_shape"]),
        output_shape=_shape(row["output_shape"]),
        decimation=checked_integer(row.get("decimation", 1), 1, 512),
        initial=tensors.get(f"{name}.initial"),  # type: ignore[arg-type]
    )
    if layer.reset not in ("subtract", "zero"):
        raise ValueError(f"reset {layer.reset!r} of layer {name!r}")
    if weight.dtype != np.int8 or weight.ndim != 4 or (bias is not None and bias.dtype not in (np.int8, np.int16)):
        raise ValueError(f"weights of layer {name!r}: {weight.dtype} {weight.shape}")
    if min(layer.weight.shape) < 1 or min(layer.stride) < 1 or (bias is not None and bias.shape != weight.shape[:1]):
        raise ValueError(f"stride or bias of layer {name!r}")
    if layer.initial is not None and (layer.initial.dtype != np.int16 or layer.initial.shape != layer.output_shape):
        raise ValueError(f"initial states of layer {name!r}: {layer.initial.dtype} {layer.initial.shape}")
    return layer


def _check_graph(program: CoreNetwork) -> None:
    """Shapes and sources agree from layer to layer."""
    shapes = {INPUT: program.shapes()[INPUT]}

    def pooled(source: Source) -> tuple[int, int, int]:
        c, h, w = shapes[source.layer]
        return c + source.feature_shift, h // source.pool[0], w // source.pool[1]

    for layer in program.layers:
        if layer.name in shapes or not layer.sources:
            raise ValueError(f"name or sources of layer {layer.name!r}")
        arriving = [pooled(source) for source in layer.sources]
        if any(c > layer.input_shape[0] or size != list(layer.input_shape[1:]) for c, *size in arriving):
            raise ValueError(f"input shape of layer {layer.name!r}")
        c, *size = layer.input_shape
        window = zip(size, layer.weight.shape[2:], layer.stride, layer.padding, strict=True)
        out = (layer.weight.shape[0], *((n + 2 * p - k) // s + 1 for n, k, s, p in window))
        if layer.weight.shape[1] != c or out != layer.output_shape or min(out) < 1 or prod(out) > MAX_NEURONS:
            raise ValueError(f"output shape of layer {layer.name!r}")
        shapes[layer.name] = layer.output_shape
    if not program.outputs:
        raise ValueError("outputs are empty")
    for source in program.outputs:
        if source.feature_shift:
            raise ValueError(f"output {source.layer!r} has a feature shift: outputs are concatenated")
        if min(pooled(source)) < 1:
            raise ValueError(f"output {source.layer!r} pooled by {source.pool} leaves nothing")


def _pair(value: Any) -> Pair:
    first, second = value
    return checked_integer(first, 0, 2**15), checked_integer(second, 0, 2**15)


def _shape(value: Any) -> tuple[int, int, int]:
    c, h, w = value
    return checked_integer(c, 1, 2**15), checked_integer(h, 1, 2**15), checked_integer(w, 1, 2**15)


def _source(row: Mapping[str, Any]) -> Source:
    pool = _pair(row["pool"])
    if min(pool) < 1:
        raise ValueError(f"pooling {pool}")
    return Source(str(row["layer"]), pool, checked_integer(row.get("feature_shift", 0), 0, 2**15))


def _record(kind: Any, data: Any) -> Any:
    """One of the records before the cores, from JSON; None stays None."""
    return None if data is None else kind(**{str(key): _tuples(value) for key, value in dict(data).items()})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
