"""Integer blocks as arrays and JSON, and back with everything checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.errors import FileFormatError, InputError

_NEURONS: dict[str, type] = {k.__name__: k for k in (b.CubaLif, b.Delta, b.SigmaDelta, b.Sigma, b.Resonator)}
_SYNAPSES: dict[str, type] = {k.__name__: k for k in (b.DenseSynapse, b.ConvSynapse)}
_DECAYS = ("current_decay", "voltage_decay")
_GEOMETRY = ("stride", "padding", "dilation")


def to_tensors(network: b.BlockNetwork) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays by name and JSON-able data."""
    tensors: dict[str, NDArray[Any]] = {}
    rows = []
    for block in network.blocks:
        neuron = {k: v for k, v in vars(block.neuron).items() if k not in (*_DECAYS, "reset")}
        if isinstance(block.neuron, b.CubaLif):
            tensors |= {f"{block.name}.{key}": getattr(block.neuron, key) for key in _DECAYS}
            reset = block.neuron.reset
            neuron["reset"] = None if reset is None else [reset.interval, reset.offset]
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
        })  # fmt: skip
    data = {
        "input_shape": list(network.input_shape),
        "input_message_bits": network.input_message_bits,
        "input_transform": None if network.input_transform is None else list(network.input_transform),
        "blocks": rows,
        "notes": [[note.layer, note.text] for note in network.notes],
    }
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
            _int(data["input_message_bits"], 0, 32),
            None if transform is None else (_int(transform[0]), _int(transform[1])),
            tuple(b.Note(str(layer), str(text)) for layer, text in data["notes"]),
        )
    except InputError as error:
        raise FileFormatError(f"not a network of integer blocks: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileFormatError(f"not a network of integer blocks: {type(error).__name__} at {error}") from error


def _block(row: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> b.Block:
    name, shape = str(row["name"]), _shape(row["shape"])
    bias = tensors.get(f"{name}.bias")
    if bias is not None:
        bias = _array(bias, -(2**31), 2**31 - 1, (shape[0],))
    connections = tuple(_connection(c, f"{name}.{i}", tensors) for i, c in enumerate(row["connections"]))
    return b.Block(name, _neuron(row, name, shape, tensors), shape, connections, bias, _int(row["message_bits"], 0, 32))


def _neuron(row: Mapping[str, Any], name: str, shape: tuple[int, ...], tensors: Mapping[str, NDArray[Any]]) -> b.Neuron:
    values = dict(row["neuron"])
    kind = _NEURONS[row["kind"]]
    if kind is b.CubaLif:
        decays = [_array(tensors[f"{name}.{key}"], 0, 4096) for key in _DECAYS]
        if any(d.shape not in ((1,), (shape[0],)) for d in decays):
            raise ValueError(f"decays of layer {name!r}")
        reset = values["reset"]
        rule = None if reset is None else b.Reset(_int(reset[0], 1), _int(reset[1]))
        return b.CubaLif(decays[0], decays[1], _int(values["threshold"], 0), rule)
    if kind is b.Resonator:
        if values["kind"] not in ("phase", "izhikevich"):
            raise ValueError(f"kind {values['kind']!r}")
        sin, cos = _int(values["sin_decay"], -4096, 4096), _int(values["cos_decay"], -4096, 4096)
        return b.Resonator(values["kind"], sin, cos, _int(values["threshold"], 0, 2**24))
    if kind is b.Sigma:
        return b.Sigma()
    neuron: b.Neuron = kind(_int(values["threshold"], 0), _int(values["spike_exp"], 0, 7))
    return neuron


def _connection(row: Mapping[str, Any], key: str, tensors: Mapping[str, NDArray[Any]]) -> b.Connection:
    if row["part"] not in ("real", "imag"):
        raise ValueError(f"part {row['part']!r}")
    if row["synapse"] is None:
        return b.Connection(str(row["source"]), None, row["part"])
    kind = _SYNAPSES[row["synapse"]]
    weight = _array(tensors[f"{key}.weight"], -(2**20), 2**20)
    delay = tensors.get(f"{key}.delay")
    delay = None if delay is None else _array(delay, 0, 63)
    if weight.ndim != (2 if kind is b.DenseSynapse else 4):
        raise ValueError(f"weights of {key}: {weight.shape}")
    if kind is b.DenseSynapse:
        return b.Connection(str(row["source"]), b.DenseSynapse(weight, delay), row["part"])
    stride, padding, dilation = ((_int(row[g][0], 0, 2**15), _int(row[g][1], 0, 2**15)) for g in _GEOMETRY)
    synapse = b.ConvSynapse(weight, stride, padding, dilation, _int(row["groups"], 1), delay)
    return b.Connection(str(row["source"]), synapse, row["part"])


def _array(array: Any, low: int, high: int, shape: tuple[int, ...] | None = None) -> b.Ints:
    values = np.asarray(array)
    if values.dtype.kind not in "iu" or not values.size or (shape is not None and values.shape != shape):
        raise ValueError(f"{values.dtype} of shape {values.shape}, expected integers {shape or ''}")
    if values.min() < low or values.max() > high:
        raise ValueError(f"{values.min()}..{values.max()}, allowed {low}..{high}")
    return values.astype(np.int64)


def _int(value: Any, low: int = -(2**31), high: int = 2**31 - 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r}: expected an integer in {low}..{high}")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    shape = tuple(_int(n, 1, 2**20) for n in value)
    if not 1 <= len(shape) <= 3:
        raise ValueError(f"shape {shape}")
    return shape
