"""Read a NIR file (Neuromorphic Intermediate Representation, `.nir`) of integrate-and-fire networks.

The file is HDF5 and is treated as hostile (`hdf5_guard`): the reader of the `nir` package follows links out of the
file and believes any shape. Nodes are those of nir 1.0.

| NIR | here |
|---|---|
| Conv2d, Linear, Affine | the same, in float32; a bias of zeros is no bias |
| IF | `IntegrateAndFire`; `r` must be 1 (or 1 / dt), the thresholds of a node equal; see `neurons` |
| SumPool2d, AvgPool2d | `Pool2d`; stride = kernel, no padding |
| Flatten | of all dimensions |
| several edges into a node | an `Add` layer, as NIR sums its inputs |
| Output | what feeds it leaves the network; see `graph` |
| all else | refused: leaky neurons have no counterpart on DYNAP-CNN; Loihi 2 takes SLAYER or `.net` |

Every shape that the file states is compared with what the layers give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded, check_file
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Flatten
from i2e_deploy.network.neurons import ResetMode
from i2e_deploy.network.nir.graph import NirGraph, free_name, read_graph
from i2e_deploy.network.nir.neurons import NeuronChoices, ReadNeurons, notes_of, read_neurons
from i2e_deploy.network.nir.nodes import READERS, check_shapes, whole
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.text import listed, one_line

#: Sides of the input.
MAX_SIDE = 2**16


def _max_spikes(text: str) -> int | str:
    return text if text == "any" else int(text)


def _min_v(text: str) -> float | str:
    return text if text in ("none", "-threshold") else float(text)


#: Options of the reader, from text.
READ_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "reset": str,
    "max_spikes": _max_spikes,
    "min_v": _min_v,
    "dt": float,
    "outputs": lambda text: tuple(text.split(",")),
}


@dataclass(frozen=True, eq=False)
class ReadNir:
    """A network as it was read, and what the file says of each layer of neurons."""

    network: Network
    neurons: Mapping[str, ReadNeurons]


def read_nir(
    path: str | Path,
    *,
    reset: ResetMode | None = None,
    max_spikes: int | Literal["any"] | None = None,
    min_v: float | Literal["none", "-threshold"] | None = None,
    dt: float | None = None,
    outputs: Sequence[str] | None = None,
) -> Network:
    """Read a NIR file as a float network; what the file does not say is in the network's notes.

    Args:
        path: the file.
        reset, max_spikes, min_v, dt: what its neurons do, see `neurons.NeuronChoices`; a choice holds against the
            file's own metadata, with a note.
        outputs: names of the Output nodes that leave the network, in order; None = all, which a file with several
            allows only where `write_nir` wrote it, as NIR keeps no order.

    Raises:
        InputError: no such file, or an option that cannot be.
        FileFormatError: damaged, lying, or with links; the message names the place.
        UnsupportedError: nodes without an exact counterpart; every one is named, with the reason.
    """
    return read_nir_file(path, NeuronChoices(reset, max_spikes, min_v, dt), outputs).network


def read_nir_file(path: str | Path, chosen: NeuronChoices, outputs: Sequence[str] | None = None) -> ReadNir:
    """See `read_nir`."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    check_file(path)
    try:
        import h5py

        with h5py.File(path, "r") as file:
            group = Guarded(file, path.name).group("node")
            return _network(group, read_graph(group, (*READERS, "IF"), outputs), chosen)
    except (FileFormatError, UnsupportedError):
        raise
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {one_line(error)}") from error


def _network(group: Guarded, graph: NirGraph, chosen: NeuronChoices) -> ReadNir:
    nodes = group.group("nodes")
    neurons: dict[str, ReadNeurons] = {}
    shape, notes = _input_shape(nodes.group(graph.entry))
    ops: dict[str, Op] = {}
    for name, _ in graph.nodes:
        node = nodes.group(name)
        try:
            if graph.kinds[name] == "IF":
                neurons[name] = read_neurons(node, chosen)
                ops[name] = neurons[name].op
            else:
                ops[name] = READERS[graph.kinds[name]](node)
        except FileFormatError:
            raise
        except InputError as error:
            raise node.error(str(error)) from error
    layers, made = _layers(graph, ops)
    try:
        network = Network(shape, layers, (*graph.notes, *notes, *made, *notes_of(neurons, chosen.dt)))
    except InputError as error:
        raise FileFormatError(f"{group.file}: {error}") from error
    check_shapes(nodes, graph, network.shapes(), {layer.name: layer.inputs for layer in layers})
    return ReadNir(network, neurons)


def _layers(graph: NirGraph, ops: Mapping[str, Op]) -> tuple[tuple[Layer, ...], tuple[Note, ...]]:
    """The layers in order, with sums where several edges meet, and each output a layer that feeds nothing."""
    taken = {*graph.kinds, INPUT}
    rows: dict[str, tuple[Layer, ...]] = {}
    for name, sources in graph.nodes:
        before: tuple[Layer, ...] = ()
        if len(sources) > 1:
            total = free_name(f"{name}_sum", taken)
            taken.add(total)
            before, sources = (Layer(total, Add(), sources),), (total,)  # noqa: PLW2901
        rows[name] = (*before, Layer(name, ops[name], sources))
    uses = [source for layers in rows.values() for layer in layers for source in layer.inputs]
    uses += [source for name, sources in graph.outputs for source in sources if name not in rows]
    notes = []
    for name, sources in graph.outputs:
        if len(sources) > 1:
            rows[name] = (Layer(name, Add(), sources),)
            notes.append(Note(name, f"the sum of {listed(sources)}, as NIR adds up the edges into a node"))
        elif name in rows or (uses.count(sources[0]) == 1 and sources[0] != INPUT):
            rows[sources[0]] = rows.pop(sources[0])  # to the end: outputs stand in their order
        else:
            rows[name] = (Layer(name, Flatten(), sources),)
            notes.append(
                Note(name, f"a copy of {sources[0]!r}, flat, as that leaves the network and feeds a layer too")
            )
    return tuple(layer for layers in rows.values() for layer in layers), tuple(notes)


def _input_shape(node: Guarded) -> tuple[Shape, tuple[Note, ...]]:
    """(C, H, W) or (N,), without a batch size."""
    shape = tuple(whole(node, "shape", 1, MAX_SIDE).tolist())
    if len(shape) in (2, 4) and shape[0] == 1:
        return shape[1:], (Note("", f"the file's input shape {list(shape)} begins with a batch of 1: left out"),)
    if len(shape) > 3:
        raise UnsupportedError(
            f"{node.error(f'is {list(shape)}', 'shape')}: a shape is (C, H, W) or (N,), without a batch size: "
            "leave that out"
        )
    return shape, ()
