"""A program as arrays and JSON, and back with everything checked."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_integer
from i2e_deploy.chips.deciding import unpack_deciding
from i2e_deploy.chips.trace import Integers
from i2e_deploy.chips.truenorth.program import (
    AXONS,
    MAX_DELAY,
    NEURON_FIELDS,
    NEURONS,
    NOWHERE,
    TYPES,
    CoreNetwork,
    Cores,
    Layer,
)
from i2e_deploy.errors import FileFormatError, InputError

#: Most cores of a file: 16 chips, the largest board of the profile.
MOST_CORES = 65_536


def to_tensors(network: CoreNetwork) -> tuple[dict[str, Integers], dict[str, Any]]:
    """See `Program.to_tensors`."""
    tensors: dict[str, Any] = {f"cores.{name}": array for name, array in network.cores.arrays().items()}
    tensors |= {f"input.{name}": getattr(network, f"input_{name}") for name in ("line", "axon", "delay")}
    rows = []
    for layer in network.layers:
        tensors[f"layer.{layer.name}"] = layer.neurons
        rows.append({
            "name": layer.name, "shape": list(layer.shape), "first": layer.first, "last": layer.last,
            "latency": layer.latency,
        })  # fmt: skip
    data = {
        "input_shape": list(network.input_shape), "layers": rows, "seed": network.seed,
        "deciding": network.deciding.pack(),
    }  # fmt: skip
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}, data


def from_tensors(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> CoreNetwork:
    """The inverse of `to_tensors`.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    try:
        return _network(tensors, data)
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        raise FileFormatError(f"not a program of TrueNorth: {type(error).__name__} at {error}") from error


def _network(tensors: Mapping[str, Integers], data: Mapping[str, Any]) -> CoreNetwork:
    input_shape = _shape(data["input_shape"])
    count = len(tensors["cores.sizes"])
    if not 1 <= count <= MOST_CORES:
        raise ValueError(f"{count} cores, allowed 1..{MOST_CORES}")
    cores = _cores(tensors, count)
    lines = tensors["input.line"]
    network = CoreNetwork(
        input_shape=input_shape,
        cores=cores,
        layers=tuple(_layer(row, tensors, cores) for row in data["layers"]),
        input_line=_array(lines, np.int32, (len(lines),), 0, prod(input_shape) - 1),
        input_axon=_array(tensors["input.axon"], np.int32, (len(lines),), 0, count * AXONS - 1),
        input_delay=_array(tensors["input.delay"], np.uint8, (len(lines),), 0, MAX_DELAY),
        seed=checked_integer(data["seed"], 0, 2**32 - 1),
        deciding=unpack_deciding(data["deciding"]),
    )
    _check_layers(network)
    if network.deciding.of_state:
        raise ValueError("a readout of states")
    network.deciding.check(network.layers[-1].size)
    return network


def _cores(tensors: Mapping[str, Integers], count: int) -> Cores:
    held = {}
    for name, (dtype, low, high) in NEURON_FIELDS.items():
        shape = (count, NEURONS, TYPES) if name.endswith("weight") else (count, NEURONS)
        held[name] = _array(tensors[f"cores.{name}"], dtype, shape, low, high)
    masks = held["threshold_mask"]
    if (masks & (masks + 1)).any():
        raise ValueError("threshold_mask that is not of low bits alone")
    cores = Cores(
        sizes=_array(tensors["cores.sizes"], np.int32, (count,), 1, NEURONS),
        crossbar=_array(tensors["cores.crossbar"], np.uint8, (count, AXONS, NEURONS // 8), 0, 255),
        axon_type=_array(tensors["cores.axon_type"], np.uint8, (count, AXONS), 0, TYPES - 1),
        target=_array(tensors["cores.target"], np.int32, (count, NEURONS), NOWHERE, count * AXONS - 1),
        **held,
    )
    missing = np.arange(NEURONS)[None] >= cores.sizes[:, None]
    if (cores.target[missing] != NOWHERE).any():
        raise ValueError("a target of neurons that do not exist")
    return cores


def _layer(row: Mapping[str, Any], tensors: Mapping[str, Integers], cores: Cores) -> Layer:
    name, shape = row["name"], _shape(row["shape"])
    if not isinstance(name, str) or not name:
        raise ValueError(f"name {name!r}")
    first = checked_integer(row["first"], 0, len(cores))
    last = checked_integer(row["last"], first + 1, len(cores))
    neurons = _array(tensors[f"layer.{name}"], np.int32, (prod(shape),), first * NEURONS, last * NEURONS - 1)
    if len(np.unique(neurons)) < len(neurons) or (neurons % NEURONS >= cores.sizes[neurons // NEURONS]).any():
        raise ValueError(f"neurons of layer {name!r}")
    return Layer(name, shape, first, last, neurons, checked_integer(row["latency"], 0, 2**20))


def _check_layers(network: CoreNetwork) -> None:
    names = [layer.name for layer in network.layers]
    edges = [layer.first for layer in network.layers] + [len(network.cores)]
    ends = [0] + [layer.last for layer in network.layers]
    if not names or len(set(names)) < len(names) or edges != ends:
        raise ValueError(f"layers {names}: cores without a layer, or names twice")


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 3:
        raise ValueError(f"shape {value!r}")
    shape = tuple(checked_integer(n, 1, 2**24) for n in value)
    if prod(shape) > 2**28:
        raise ValueError(f"shape {value!r}")
    return shape


def _array(array: Any, dtype: Any, shape: tuple[int, ...], low: int, high: int) -> NDArray[Any]:
    values: NDArray[Any] = np.asarray(array)
    if values.dtype != dtype or values.shape != shape:
        raise ValueError(f"{values.dtype} of shape {values.shape}, expected {np.dtype(dtype)} {shape}")
    if values.size and (values.min() < low or values.max() > high):
        raise ValueError(f"{values.min()}..{values.max()}, allowed {low}..{high}")
    return values
