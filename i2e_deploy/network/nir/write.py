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
from i2e_deploy.hdf5_write import writing
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Concat, Flatten, Linear, Reshape, Scale
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire
from i2e_deploy.network.nir.graph import MAX_NAME, MAX_NODES, PLACE, free_name
from i2e_deploy.network.nir.leaky_write import leaky_node, step_of
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.network.pooling import MaxPool2d, Pool2d

if TYPE_CHECKING:
    import h5py

#: Release of nir whose layout is written.
VERSION = "1.0.4"
_OUTPUT = "output"
#: Entries of a node: strings, numbers and arrays; "metadata" holds more.
_Node = dict[str, Any]


def write_nir(network: Network, path: str | Path, dt: float | None = None) -> None:
    """Write `network`, whole or not at all; `read_nir` gives the same network back, names of sums excepted.

    Args:
        network: a float network.
        path: the file.
        dt: length of a step in seconds, for leaky neurons and delays, which NIR has in continuous time; `leaky_write`
            says how they are written.

    Lower bound, limit of spikes and reset go into the metadata of IF nodes, and the order of several outputs into that
    of Output nodes: other readers of NIR ignore both. Thresholds are float32. Sums of sums become one sum, whose
    terms are added from left to right. A sum that leaves the network gets a Flatten node: nirtorch 2.6 adds up what
    feeds any node but an Output.

    Raises:
        InputError: leaky neurons or delays and no dt.
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
    loops = _loops(network, by_name)
    for layer in network.layers:
        if layer.name in loops:
            continue
        if not isinstance(layer.op, Add):
            nodes[layer.name] = _node(layer, shapes[layer.inputs[0]], shapes[layer.name], dt)
        elif layer.name in outputs:
            nodes[layer.name] = _flatten(shapes[layer.name])
        else:
            continue
        edges += [(loops.get(source, source), layer.name) for source in _sources(layer, by_name)]
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

    with writing(path) as (file, _):
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


def _loops(network: Network, by_name: Mapping[str, Layer]) -> dict[str, str]:
    """Delays that close loops, and what feeds them: in NIR an edge that goes back, which readers answer in a step.

    Raises:
        UnsupportedError: a loop that `read_nir` would close at another place, or after other than one step.
    """
    found = {}
    for layer in network.layers:
        if not isinstance(layer.op, Delay) or layer.op.shape is None:
            continue
        source = by_name[layer.inputs[0]]
        if (layer.op.steps != 1).any() or not isinstance(source.op, IntegrateAndFire | LeakyIntegrateAndFire):
            raise UnsupportedError(
                f"layer {layer.name!r} closes a loop after {layer.op.describe().lower()} steps of {source.name!r}: in "
                "NIR a loop goes back from neurons, and its answer comes in the next step"
            )
        found[layer.name] = source.name
    return found


def _flatten(given: Shape) -> _Node:
    return {"type": "Flatten", "input_type": np.array(given), "start_dim": 0, "end_dim": -1}


def _node(layer: Layer, given: Shape, made: Shape, dt: float | None) -> _Node:
    op = layer.op
    if isinstance(op, Conv2d | Conv1d):
        values = {"stride": op.stride, "padding": op.padding, "dilation": op.dilation}
        bias = np.zeros(len(op.weight), np.float32) if op.bias is None else op.bias
        numbers = {name: np.array(value) for name, value in values.items()}
        size = np.array(given[1:] if isinstance(op, Conv2d) else given[1])
        common = {"weight": op.weight, "bias": bias, "groups": op.groups, "input_shape": size}
        return {"type": type(op).__name__, **common, **numbers}
    if isinstance(op, Linear):
        bias_of = {} if op.bias is None else {"bias": op.bias}
        return {"type": "Affine" if bias_of else "Linear", "weight": op.weight, **bias_of}
    if isinstance(op, Pool2d):
        kernel = np.array(op.kernel)
        kind = "SumPool2d" if op.kind == "sum" else "AvgPool2d"
        return {"type": kind, "kernel_size": kernel, "stride": kernel, "padding": np.array((0, 0))}
    if isinstance(op, Flatten) or (isinstance(op, Reshape) and len(op.shape) == 1):
        return _flatten(given)
    if isinstance(op, Scale) and op.bias is None:
        return {"type": "Scale", "scale": np.broadcast_to(op.weight, made)}
    if isinstance(op, Delay):
        seconds = op.steps.astype(np.float64) * step_of(layer, dt)
        return {"type": "Delay", "delay": np.broadcast_to(seconds, made), "metadata": {"dt": step_of(layer, dt)}}
    if isinstance(op, LeakyIntegrateAndFire):
        return leaky_node(layer, op, made, dt)
    if not isinstance(op, IntegrateAndFire):
        raise UnsupportedError(
            f"layer {layer.name!r} is a {type(op).__name__}: NIR has no node for it; {_WAYS.get(type(op), _OTHER)}"
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


_OTHER = "pre-process the events before"
#: What to do about a layer that NIR lacks, by kind.
_WAYS: Mapping[type[Op], str] = {
    MaxPool2d: "pool by the average or the sum",
    Concat: "give each branch weights of its own and add",
    Reshape: "flatten to one axis",
    Scale: "put its bias into the layer before it",
}
