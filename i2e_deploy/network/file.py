"""A network on disk: one safetensors file, the graph as JSON in its header.

A file may hold a chip's integers instead (`chips.models`): `read_content` and `write_content` know neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_tensors, write_tensors
from i2e_deploy.network import convolution, delay, layers, neurons, pooling, sensor  # noqa: F401  the kinds that files hold
from i2e_deploy.network.graph import Layer, Network, Note
from i2e_deploy.network.op import Array, kind_of

FORMAT = "i2e-deploy-network"
FORMAT_VERSION = 1
#: Key of a note: the changes that were made to a trained network, which was not trained since.
UNTRAINED = "changed, and not trained since"
#: Key of a note: duration of a step, microseconds, that the network was trained for.
STEP_US = "step_us"
#: Note of what the outputs of a regression mean: JSON of `chips.values.Values.pack`.
VALUES = "values"


def write_network(
    network: Network, path: Path | str, notes: Mapping[str, str] | None = None, card: Mapping[str, Any] | None = None
) -> None:
    """Write `network`, whole or not at all; `notes` are strings to keep with it (seed, accuracy, ...), `card` is the
    record of `datasets.Card`, of the data that it was trained on."""
    tensors: dict[str, Array] = {}
    rows = []
    for layer in network.layers:
        arrays, options = layer.op.pack()
        tensors |= {f"{layer.name}.{key}": array for key, array in arrays.items()}
        rows.append({"name": layer.name, "op": type(layer.op).__name__, "inputs": layer.inputs, "options": options})
    content: dict[str, Any] = {"input_shape": network.input_shape, "layers": rows}
    if network.notes:
        content["reading"] = pack_notes(network.notes)
    write_content(Path(path), tensors, content, notes, card)


def read_network(path: Path | str) -> Network:
    """Read what `write_network` wrote.

    Raises:
        FileFormatError: not such a file, damaged, or of a newer version.
        InputError: no such file, or one that holds a chip's integers.
    """
    path = Path(path)
    tensors, content = read_content(path)
    kinds = [key for key in content if key not in ("notes", "input_shape", "layers", "reading")]
    if "layers" not in content and kinds:
        raise InputError(f"{path} holds {kinds[0]} of a chip, no float network: read it with chips.read_model")
    return network_of(path, tensors, content)


def network_of(path: Path, tensors: Mapping[str, Any], content: Mapping[str, Any]) -> Network:
    """The network in the content of a file; `path` names it in errors.

    Raises:
        FileFormatError: damaged.
    """
    try:
        layers = tuple(_layer(row, tensors) for row in content["layers"])
        notes = unpack_notes(content.get("reading", []))
        return Network(tuple(int(n) for n in content["input_shape"]), layers, notes)
    except InputError as error:
        raise FileFormatError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise FileFormatError(f"{path} is damaged: {type(error).__name__} at {error}") from error


def pack_notes(notes: Sequence[Note]) -> list[list[Any]]:
    """Notes of a reader as JSON-able data."""
    return [[note.layer, note.text, True] if note.doubtful else [note.layer, note.text] for note in notes]


def unpack_notes(data: Any) -> tuple[Note, ...]:
    """The inverse of `pack_notes`, of what a file holds.

    Raises:
        ValueError, TypeError: it is none.
    """
    return tuple(Note(str(layer), str(text), doubtful == [True]) for layer, text, *doubtful in data)


def write_content(
    path: Path, tensors: Mapping[str, Any], content: Mapping[str, Any], notes: Mapping[str, str] | None,
    card: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Write a network file of any content, whole or not at all; see `write_network`."""
    data = {"format": FORMAT, "version": FORMAT_VERSION, "network": {**content, "notes": dict(notes or {})}}
    write_tensors(path, tensors, data if card is None else {**data, "card": dict(card)})


def read_content(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays by name and content of a network file, whatever it holds.

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
    content = metadata.get("network")
    if not isinstance(content, dict):
        raise FileFormatError(f"{path} is damaged: it holds no network")
    return tensors, content


def read_notes(path: Path | str) -> dict[str, str]:
    """The notes that `write_network` kept; empty for any other file.

    Raises:
        InputError: no such file, or see `files.read_tensors`.
    """
    _, metadata = read_tensors(Path(path))
    graph = metadata.get("network")
    notes = graph.get("notes") if isinstance(graph, dict) else None
    return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def read_card_record(path: Path | str) -> Any:
    """The record of a card that `write_network` kept; None for any other file.

    Raises:
        InputError: no such file, or see `files.read_tensors`.
    """
    return read_tensors(Path(path))[1].get("card")


def _layer(row: Mapping[str, Any], tensors: Mapping[str, Any]) -> Layer:
    kind, name = kind_of(str(row["op"])), str(row["name"])
    arrays = {key: tensors[f"{name}.{key}"] for key in kind.arrays if f"{name}.{key}" in tensors}
    return Layer(name, kind.unpack(arrays, dict(row["options"])), tuple(map(str, row["inputs"])))


#: What `i2e_deploy.network` calls them.
read, write = read_network, write_network
