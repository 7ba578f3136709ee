"""Write a float network as a NIR file (`.nir`) with the `nir` package; `nir_read` has the table of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, MissingDependency, UnsupportedError
from i2e_deploy.files import replacing
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Conv2d, Flatten, IntegrateAndFire, Linear, Pool2d
from i2e_deploy.network.op import Shape

_INPUT, _OUTPUT = "input", "output"


def write_nir(network: Network, path: str | Path) -> None:
    """Write `network`, whole or not at all; `read_nir` gives the same network back.

    Lower bound, limit of spikes and reset go into the metadata of IF nodes, which other readers of NIR ignore.

    Raises:
        UnsupportedError: integer blocks (write a `.net` file instead), a sensor, or no or several outputs.
        InputError: a layer is called "output", which names the node of the output.
        MissingDependency: the nir package is not installed.
    """
    if not isinstance(network, Network):
        raise UnsupportedError(f"{type(network).__name__} is no float network: NIR holds float layers")
    try:
        import nir
    except ImportError:
        raise MissingDependency("nir", "writing NIR files", "pip install 'i2e-deploy[nir]'") from None
    consumers = network.consumers()
    outputs = [layer.name for layer in network.layers if not consumers[layer.name]]
    if len(outputs) != 1:
        raise UnsupportedError(f"the network has {len(outputs)} outputs {outputs}: a NIR file of ours has one")
    if any(layer.name == _OUTPUT for layer in network.layers):
        raise InputError(f"a layer is called {_OUTPUT!r}, which names the output node of NIR: rename it")
    shapes = network.shapes()
    by_name = {layer.name: layer for layer in network.layers}
    nodes: dict[str, Any] = {_INPUT: nir.Input({"input": np.array(network.input_shape)})}
    edges: list[tuple[str, str]] = []
    for layer in network.layers:
        if not isinstance(layer.op, Add):
            nodes[layer.name] = _node(nir, layer, shapes[layer.inputs[0]], shapes[layer.name])
            edges += [(source, layer.name) for source in _sources(layer, by_name)]
    nodes[_OUTPUT] = nir.Output({"output": np.array(shapes[outputs[0]])})
    last = by_name[outputs[0]]
    edges += [(source, _OUTPUT) for source in (_sources(last, by_name) if isinstance(last.op, Add) else outputs)]
    with replacing(Path(path)) as temporary:
        nir.write(temporary, nir.NIRGraph(nodes, edges))


def _sources(layer: Layer, by_name: dict[str, Layer]) -> list[str]:
    """What feeds a layer, sums resolved: NIR adds up several edges into a node."""
    found: list[str] = []
    for name in layer.inputs:
        if name != INPUT and isinstance(by_name[name].op, Add):
            found += _sources(by_name[name], by_name)
        else:
            found.append(_INPUT if name == INPUT else name)
    if len(set(found)) < len(found):
        raise UnsupportedError(f"layer {layer.name!r} adds an input twice: NIR has one edge between two nodes")
    return found


def _node(nir: Any, layer: Layer, given: Shape, made: Shape) -> Any:
    op = layer.op
    if isinstance(op, Conv2d):
        bias = np.zeros(len(op.weight), np.float32) if op.bias is None else op.bias
        return nir.Conv2d(given[1:], op.weight, op.stride, op.padding, op.dilation, op.groups, bias)
    if isinstance(op, Linear):
        return nir.Linear(op.weight) if op.bias is None else nir.Affine(op.weight, op.bias)
    if isinstance(op, Pool2d):
        kind = nir.SumPool2d if op.kind == "sum" else nir.AvgPool2d
        return kind(np.array(op.kernel), np.array(op.kernel), np.array((0, 0)))
    if isinstance(op, Flatten):
        return nir.Flatten({"input": np.array(given)}, 0, -1)
    if not isinstance(op, IntegrateAndFire):
        raise UnsupportedError(
            f"layer {layer.name!r} is a {type(op).__name__}: NIR has no node for it; pre-process the events before"
        )
    notes = {"reset": op.reset, "min_v": op.min_v, "max_spikes": op.max_spikes}
    return nir.IF(
        r=np.ones(made, np.float32),
        v_threshold=np.full(made, op.threshold, np.float32),
        metadata={name: value for name, value in notes.items() if value is not None},
    )
