"""Integer blocks as arrays and JSON, and back with everything checked."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.checked import checked_array, checked_integer
from i2e_deploy.chips.deciding import COUNT, unpack_deciding
from i2e_deploy.chips.eye import unpack_eye
from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.neuron import Neuron, kind_of
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.network.file import pack_notes, unpack_notes
from i2e_deploy.network.op import Pair, Shape

_SYNAPSES: dict[str, type] = {k.__name__: k for k in (b.DenseSynapse, b.ConvSynapse)}
_GEOMETRY = ("stride", "padding", "dilation")


def to_tensors(network: b.BlockNetwork) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays by name and JSON-able data."""
    tensors: dict[str, NDArray[Any]] = {}
    rows = []
    for block in network.blocks:
        arrays, neuron = block.neuron.pack()
        tensors |= {f"{block.name}.{key}": array for key, array in arrays.items()}
        if block.bias is not None:
            tensors[f"{block.name}.bias"] = block.bias
        connections = []
        for i, connection in enumerate(block.connections):
            row: dict[str, Any] = {"source": connection.source, "part": connection.part, "synapse": None}
            if connection.synapse is not None:
                key = f"{block.name}.{i}"
                tensors[f"{key}.weight"] = connection.synapse.weight.astype(np.int32)
                if connection.synapse.delay is not None:
                    tensors[f"{key}.delay"] = connection.synapse.delay.astype(np.int32)
                row["synapse"] = type(connection.synapse).__name__
            if isinstance(connection.synapse, b.ConvSynapse):
                row |= {key: list(getattr(connection.synapse, key)) for key in _GEOMETRY}
                row["groups"] = connection.synapse.groups
            connections.append(row)
        rows.append({
            "name": block.name, "kind": type(block.neuron).__name__, "neuron": neuron, "shape": list(block.shape),
            "message_bits": block.message_bits, "connections": connections,
        } | ({"latency": block.latency} if block.latency else {}))  # fmt: skip
    data = {
        "input_shape": list(network.input_shape),
        "input_message_bits": network.input_message_bits,
        "input_transform": None if network.input_transform is None else list(network.input_transform),
        "blocks": rows,
        "notes": pack_notes(network.notes),
    }
    if network.deciding != COUNT:
        data["deciding"] = network.deciding.pack()
    if network.eye is not None:
        data["eye"] = network.eye.pack()
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}, data


def from_tensors(tensors: Mapping[str, NDArray[Any]], data: Mapping[str, Any]) -> b.BlockNetwork:
    """The inverse of `to_tensors`.

    Raises:
        FileFormatError: a key, a type, a shape or a range is wrong.
    """
    try:
        transform = data["input_transform"]
        return b.BlockNetwork(
            _shape(data["input_shape"]),
            tuple(_block(row, tensors) for row in data["blocks"]),
            checked_integer(data["input_message_bits"], 0, 32),
            None if transform is None else (checked_integer(transform[0]), checked_integer(transform[1])),
            unpack_notes(data["notes"]),
            unpack_deciding(data.get("deciding")),
            unpack_eye(data.get("eye")),
        )
    except InputError as error:
        raise FileFormatError(f"not a network of integer blocks: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileFormatError(f"not a network of integer blocks: {type(error).__name__} at {error}") from error


def _block(row: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> b.Block:
    name, shape = str(row["name"]), _shape(row["shape"])
    bias = tensors.get(f"{name}.bias")
    if bias is not None:
        each = (prod(shape),) if np.size(bias) != shape[0] else (shape[0],)
        bias = checked_array(bias, -(2**31), 2**31 - 1, each)
    connections = tuple(_connection(c, f"{name}.{i}", tensors) for i, c in enumerate(row["connections"]))
    neuron, bits = _neuron(row, name, shape, tensors), checked_integer(row["message_bits"], 0, 32)
    return b.Block(name, neuron, shape, connections, bias, bits, checked_integer(row.get("latency", 0), 0))


def _neuron(row: Mapping[str, Any], name: str, shape: Shape, tensors: Mapping[str, NDArray[Any]]) -> Neuron:
    try:
        kind = kind_of(row["kind"])
        arrays = {key: tensors[f"{name}.{key}"] for key in kind.arrays}
        return kind.unpack(arrays, row["neuron"], shape[0], prod(shape))
    except ValueError as error:
        raise ValueError(f"layer {name!r}: {error}") from error


def _connection(row: Mapping[str, Any], key: str, tensors: Mapping[str, NDArray[Any]]) -> b.Connection:
    if row["part"] not in ("real", "imag"):
        raise ValueError(f"part {row['part']!r}")
    if row["synapse"] is None:
        return b.Connection(str(row["source"]), None, row["part"])
    kind = _SYNAPSES[row["synapse"]]
    weight = checked_array(tensors[f"{key}.weight"], -(2**20), 2**20)
    delay = tensors.get(f"{key}.delay")
    delay = None if delay is None else checked_array(delay, 0, 63)
    if weight.ndim != (2 if kind is b.DenseSynapse else 4):
        raise ValueError(f"weights of {key}: {weight.shape}")
    if kind is b.DenseSynapse:
        return b.Connection(str(row["source"]), b.DenseSynapse(weight, delay), row["part"])
    stride, padding, dilation = (_pair(row[key]) for key in _GEOMETRY)
    synapse = b.ConvSynapse(weight, stride, padding, dilation, checked_integer(row["groups"], 1), delay)
    return b.Connection(str(row["source"]), synapse, row["part"])


def _pair(value: Any) -> Pair:
    return checked_integer(value[0], 0, 2**15), checked_integer(value[1], 0, 2**15)


def _shape(value: Any) -> tuple[int, ...]:
    shape = tuple(checked_integer(n, 1, 2**20) for n in value)
    if not 1 <= len(shape) <= 3:
        raise ValueError(f"shape {shape}")
    return shape
