"""Write a float network as a NIR file (`.nir`); `read` has the table of nodes.

Straight to HDF5: the constructors of the `nir` package differ from release to release (1.0.6 takes no metadata, 1.0.5
and later refuse convolutions with groups). The layout is that of nir 1.0.4, which every later release reads; 1.0.5 and
later infer types when they read and then refuse groups and kernels that are not square: `nir.read(path,
type_check=False)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.files import replacing
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Flatten, Linear
from i2e_deploy.network.neurons import IntegrateAndFire
from i2e_deploy.network.nir.graph import MAX_NAME, MAX_NODES, PLACE, free_name
from i2e_deploy.network.op import Shape
from i2e_deploy.network.pooling import Pool2d

if TYPE_CHECKING:
    import h5py

#: Release of nir whose layout is written.
VERSION = "1.0.4"
_OUTPUT = "output"
#: Entries of a node: strings, numbers and arrays; "metadata" holds more.
_Node = dict[str, Any]


def write_nir(network: Network, path: str | Path) -> None:
    """Write `network`, whole or not at all; `read_nir` gives the same network back, names of sums excepted.

    Lower bound, limit of spikes and reset go into the metadata of IF nodes, and the order of several outputs into that
    of Output nodes: other readers of NIR ignore both. Thresholds are float32. Sums of sums become one sum, whose
    terms are added from left to right. A sum that leaves the network gets a Flatten node: nirtorch 2.6 adds up what
    feeds any node but an Output.

    Raises:
        UnsupportedError: integer blocks (write a `.net` file instead), a sensor, a sum that takes an input twice.
        InputError: a name that NIR cannot hold.
    """
    if not isinstance(network, Network):
        raise UnsupportedError(f"{type(network).__name__} is no float network: NIR holds float layers")
    _check_names(network)
    shapes, by_name = network.shapes(), {layer.name: layer for layer in network.layers}
    nodes: dict[str, _Node] = {INPUT: {"type": "Input", "shape": np.array(network.input_shape)}}
    edges: list[tuple[str, str]] = []
    outputs = network.outputs
    for layer in network.layers:
        if not isinstance(layer.op, Add):
            nodes[layer.name] = _node(layer, shapes[layer.inputs[0]], shapes[layer.name])
        elif layer.name in outputs:
            nodes[layer.name] = _flatten(shapes[layer.name])
        else:
            continue
        edges += [(source, layer.name) for source in _sources(layer, by_name)]
    for place, name in enumerate(outputs):
        end = free_name(_OUTPUT, {*nodes, *by_name})
        made = shapes[name] if not isinstance(by_name[name].op, Add) else (prod(shapes[name]),)
        nodes[end] = {"type": "Output", "shape": np.array(made)}
        if len(outputs) > 1:
            nodes[end]["metadata"] = {PLACE: place}
        edges.append((name, end))
    with replacing(Path(path)) as temporary:
        _write(temporary, nodes, edges)


def _write(path: Path, nodes: Mapping[str, _Node], edges: Sequence[tuple[str, str]]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["version"] = VERSION
        graph = file.create_group("node")
        graph["type"] = "NIRGraph"
        graph.create_dataset("edges", data=edges, dtype=h5py.string_dtype())
        _fill(graph.create_group("nodes"), nodes)


def _fill(group: h5py.Group, entries: Mapping[str, Any]) -> None:
    for name, value in entries.items():
        if isinstance(value, Mapping):
            _fill(group.create_group(name), value)
        else:
            repeated = isinstance(value, np.ndarray) and value.ndim > 0 and not value.strides[0]  # one value, broadcast
            group.create_dataset(name, data=value, compression="gzip" if repeated else None)


def _check_names(network: Network) -> None:
    if len(network.layers) > MAX_NODES - 2:
        raise UnsupportedError(f"the network has {len(network.layers)} layers, a NIR file of ours at most {MAX_NODES}")
    for layer in network.layers:
        name = layer.name
        strange = not name or name == "." or "/" in name or "\0" in name
        if (
            strange
            or len(name.encode("utf-8", "replace")) > MAX_NAME
            or name != name.encode("utf-8", "replace").decode()
        ):
            raise InputError(
                f"layer {name!r} has a name that no node of NIR can have: 1 to {MAX_NAME} bytes of UTF-8, without '/' "
                "and not '.': rename it"
            )


def _sources(layer: Layer, by_name: Mapping[str, Layer]) -> list[str]:
    """What feeds a layer, sums resolved: NIR adds up several edges into a node."""
    found: list[str] = []
    for name in layer.inputs:
        if name != INPUT and isinstance(by_name[name].op, Add):
            found += _sources(by_name[name], by_name)
        else:
            found.append(name)
    if len(set(found)) < len(found):
        raise UnsupportedError(f"layer {layer.name!r} adds an input twice: NIR has one edge between two nodes")
    return found


def _flatten(given: Shape) -> _Node:
    return {"type": "Flatten", "input_type": np.array(given), "start_dim": 0, "end_dim": -1}


def _node(layer: Layer, given: Shape, made: Shape) -> _Node:
    op = layer.op
    if isinstance(op, Conv2d):
        pairs = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation, "input_shape": given[1:]}
        bias = np.zeros(len(op.weight), np.float32) if op.bias is None else op.bias
        numbers = {name: np.array(pair) for name, pair in pairs.items()}
        return {"type": "Conv2d", "weight": op.weight, "bias": bias, "groups": op.groups, **numbers}
    if isinstance(op, Linear):
        bias_of = {} if op.bias is None else {"bias": op.bias}
        return {"type": "Affine" if bias_of else "Linear", "weight": op.weight, **bias_of}
    if isinstance(op, Pool2d):
        kernel = np.array(op.kernel)
        kind = "SumPool2d" if op.kind == "sum" else "AvgPool2d"
        return {"type": kind, "kernel_size": kernel, "stride": kernel, "padding": np.array((0, 0))}
    if isinstance(op, Flatten):
        return _flatten(given)
    if not isinstance(op, IntegrateAndFire):
        raise UnsupportedError(
            f"layer {layer.name!r} is a {type(op).__name__}: NIR has no node for it; pre-process the events before"
        )
    if op.start is not None:
        raise UnsupportedError(
            f"layer {layer.name!r} starts from membrane states, for which NIR has no field: read the network with "
            "states='zero', or take the start off (dataclasses.replace(op, start=None))"
        )
    notes = {"reset": op.reset, "min_v": op.min_v, "max_spikes": op.max_spikes}
    return {
        "type": "IF",
        "r": np.broadcast_to(np.float32(1), made),
        "v_threshold": np.broadcast_to(np.float32(op.threshold), made),
        "metadata": {name: value for name, value in notes.items() if value is not None},
    }
