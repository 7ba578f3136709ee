"""A network on disk, float or of integer blocks: one safetensors file, the graph as JSON in its header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_tensors, write_tensors
from i2e_deploy.network.block_file import from_tensors, to_tensors
from i2e_deploy.network.blocks import BlockNetwork
from i2e_deploy.network.graph import AnyNetwork, Layer, Network
from i2e_deploy.network.layers import Add, Array, Conv2d, Flatten, IntegrateAndFire, Linear, Op, Pool2d
from i2e_deploy.network.sensor import Sensor

FORMAT = "i2e-deploy-network"
FORMAT_VERSION = 1
#: Key of a note: the changes that were made to a trained network, which was not trained since.
UNTRAINED = "changed, and not trained since"
_KINDS: tuple[type[Op], ...] = (Conv2d, Linear, IntegrateAndFire, Pool2d, Flatten, Add, Sensor)
_OPS = {kind.__name__: kind for kind in _KINDS}
_ARRAYS = ("weight", "bias")


def write_network(network: AnyNetwork, path: Path, notes: Mapping[str, str] | None = None) -> None:
    """Write `network`, whole or not at all; `notes` are strings to keep with it (seed, accuracy, ...)."""
    if isinstance(network, BlockNetwork):
        integers, blocks = to_tensors(network)
        content = {"blocks": blocks, "notes": dict(notes or {})}
        write_tensors(path, integers, {"format": FORMAT, "version": FORMAT_VERSION, "network": content})
        return
    tensors: dict[str, Array] = {}
    rows = []
    for layer in network.layers:
        values = {field.name: getattr(layer.op, field.name) for field in fields(layer.op)}
        tensors |= {f"{layer.name}.{key}": values[key] for key in _ARRAYS if values.get(key) is not None}
        options = {key: value for key, value in values.items() if key not in _ARRAYS}
        rows.append({"name": layer.name, "op": type(layer.op).__name__, "inputs": layer.inputs, "options": options})
    graph = {"input_shape": network.input_shape, "layers": rows, "notes": dict(notes or {})}
    write_tensors(path, tensors, {"format": FORMAT, "version": FORMAT_VERSION, "network": graph})


def read_network(path: Path) -> AnyNetwork:
    """Read what `write_network` wrote.

    Raises:
        FileFormatError: not such a file, damaged, or of a newer version.
        InputError: no such file.
    """
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise FileFormatError(f"{path} is not a network file of this program (format {metadata.get('format')!r})")
    if metadata.get("version") != FORMAT_VERSION:
        version = metadata.get("version")
        raise FileFormatError(f"{path} has format version {version}: this program reads {FORMAT_VERSION}")
    try:
        graph = metadata["network"]
        if "blocks" in graph:
            return from_tensors(tensors, graph["blocks"])
        layers = tuple(_layer(row, tensors) for row in graph["layers"])
        return Network(tuple(int(n) for n in graph["input_shape"]), layers)
    except InputError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged: {type(error).__name__} at {error}") from error


def read_notes(path: Path) -> dict[str, str]:
    """The notes that `write_network` kept; empty for any other file.

    Raises:
        InputError: no such file, or see `files.read_tensors`.
    """
    _, metadata = read_tensors(path)
    graph = metadata.get("network")
    notes = graph.get("notes") if isinstance(graph, dict) else None
    return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def _layer(row: Mapping[str, Any], tensors: Mapping[str, Any]) -> Layer:
    kind, name = _OPS[row["op"]], str(row["name"])
    options: dict[str, Any] = {key: _tuples(value) for key, value in row["options"].items()}
    for key in _ARRAYS:
        if key in (field.name for field in fields(kind)):
            options[key] = tensors.get(f"{name}.{key}")
    return Layer(name, kind(**options), tuple(map(str, row["inputs"])))


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
