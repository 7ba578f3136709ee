"""Read a NIR file (Neuromorphic Intermediate Representation, `.nir`).

The file is HDF5 and is treated as hostile (`hdf5_guard`): the reader of the `nir` package follows links out of the
file and believes any shape. Nodes are those of nir 1.0.

| NIR | here |
|---|---|
| Conv1d, Conv2d, Linear, Affine | the same, in float32; a bias of zeros is no bias |
| IF | `IntegrateAndFire`; `r` must be 1 (or 1 / dt); see `neurons` |
| IF with several thresholds or a `v_reset` | `LeakyIntegrateAndFire` without leak |
| LIF, CubaLIF, LI, CubaLI, I, Threshold | `LeakyIntegrateAndFire`; see `leaky` |
| SumPool2d, AvgPool2d | `Pool2d`; where windows overlap, a convolution a channel |
| Flatten | `Flatten`, of some dimensions `Reshape` |
| Scale | `Scale` |
| Delay | `Delay`, whole steps of dt |
| NIRGraph in a graph | written out |
| a loop | closed by a `Delay` of one step; see `graph` |
| several edges into a node | an `Add` layer, as NIR sums its inputs |
| Output | what feeds it leaves the network; see `graph` |
| all else | refused |

Every shape that the file states is compared with what the layers give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.hdf5_child import open_guarded
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Flatten
from i2e_deploy.network.neurons import LeakyIntegrateAndFire, ResetMode, parameter
from i2e_deploy.network.nir.graph import NirGraph, free_name, read_graph
from i2e_deploy.network.nir.leaky import LEAKY, ReadLeaky, leaky_notes, read_leaky, read_threshold
from i2e_deploy.network.nir.neurons import Method, NeuronChoices, ReadNeurons, notes_of, read_neurons
from i2e_deploy.network.nir.nodes import READERS, check_shapes
from i2e_deploy.network.nir.values import whole
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.text import listed, one_line

#: Kinds of nodes that fire, where a loop can be cut.
_NEURONS = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I")
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
    "method": str,
    "outputs": lambda text: tuple(text.split(",")),
}


@dataclass(frozen=True, eq=False)
class ReadNir:
    """A network as it was read, and what the file says of each layer of IF neurons."""

    network: Network
    neurons: Mapping[str, ReadNeurons]


def read_nir(
    path: str | Path,
    *,
    reset: ResetMode | None = None,
    max_spikes: int | Literal["any"] | None = None,
    min_v: float | Literal["none", "-threshold"] | None = None,
    dt: float | None = None,
    method: Method | None = None,
    outputs: Sequence[str] | None = None,
) -> Network:
    """Read a NIR file as a float network; what the file does not say is in the network's notes.

    Args:
        path: the file.
        reset, max_spikes, min_v, dt, method: what its neurons do, see `neurons.NeuronChoices`; a choice holds against
            the file's own metadata, with a note.
        outputs: names of the Output nodes that leave the network, in order; None = all, which a file with several
            allows only where `write_nir` wrote it, as NIR keeps no order.

    Raises:
        InputError: no such file, or an option that cannot be.
        FileFormatError: damaged, lying, or with links; the message names the place.
        UnsupportedError: nodes without an exact counterpart; every one is named, with the reason.
    """
    return read_nir_file(path, NeuronChoices(reset, max_spikes, min_v, dt, method), outputs).network


def read_nir_file(path: str | Path, chosen: NeuronChoices, outputs: Sequence[str] | None = None) -> ReadNir:
    """See `read_nir`."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with open_guarded(path) as file:
            group = file.group("node")
            known = (*READERS, *_NEURONS, "Delay", "Threshold")
            return _network(group, read_graph(group, known, _NEURONS, outputs), chosen)
    except (FileFormatError, UnsupportedError):
        raise
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {one_line(error)}") from error


def _network(group: Guarded, graph: NirGraph, chosen: NeuronChoices) -> ReadNir:
    shape, notes = _input_shape(graph.groups[graph.entry])
    read = _Reading(graph, chosen, {INPUT: shape}, {}, {}, {})
    for name, sources in graph.nodes:
        node = graph.groups.get(name, group)
        try:
            read.add(name, sources)
        except FileFormatError:
            raise
        except InputError as error:
            raise node.error(str(error)) from error
    layers, made = _layers(graph, read.ops)
    told = (*graph.notes, *notes, *made, *notes_of(read.neurons, chosen.dt), *leaky_notes(read.leaky))
    try:
        network = Network(shape, layers, told)
    except InputError as error:
        raise FileFormatError(f"{group.file}: {error}") from error
    check_shapes(graph, network.shapes(), {layer.name: layer.inputs for layer in layers})
    return ReadNir(network, read.neurons)


@dataclass(frozen=True)
class _Reading:
    """What is read so far, by name."""

    graph: NirGraph
    chosen: NeuronChoices
    shapes: dict[str, Shape]
    ops: dict[str, Op]
    neurons: dict[str, ReadNeurons]
    leaky: dict[str, ReadLeaky]

    def add(self, name: str, sources: tuple[str, ...]) -> None:
        """Read one more node, after what feeds it."""
        if name in self.graph.loops:
            self.ops[name] = loop = self._loop(name)
            self.shapes[name] = loop.shape or ()
            return
        given = [self.shapes[source] for source in sources]
        taken = given[0] if len(given) == 1 else Add().output_shape(given)
        self.ops[name] = op = self._op(name, taken)
        self.shapes[name] = op.output_shape([taken])

    def _op(self, name: str, given: Shape) -> Op:
        kind, node = self.graph.kinds[name], self.graph.groups[name]
        if kind == "IF":
            self.neurons[name] = read_neurons(node, self.chosen)
            return _spread(self.neurons[name].op, given)
        if kind in LEAKY:
            self.leaky[name] = read_leaky(node, kind, self.chosen)
            return _spread(self.leaky[name].op, given)
        if kind == "Threshold":
            return _spread(read_threshold(node), given)
        return _delay(node, self.chosen) if kind == "Delay" else READERS[kind](node, given)

    def _loop(self, name: str) -> Delay:
        """A delay before the neurons that feed it, which must say how many they are."""
        neuron = self.graph.loops[name]
        node, kind = self.graph.groups[neuron], self.graph.kinds[neuron]
        stated = tuple(node.shape("v_threshold" if "v_threshold" in node else "r"))
        shape = stated[1:] if len(stated) in (2, 4) and stated[0] == 1 else stated
        if not shape:
            raise UnsupportedError(
                f"{node.error(f'is a {kind} in a loop with one value for all neurons')}: there the file must say how "
                "many there are; give parameters of the shape of the neurons"
            )
        return Delay(parameter(1), shape=shape)


def _spread(op: Op, shape: Shape) -> Op:
    """Parameters of neurons in the shape of the layer: NIR's have a batch of 1, or other sides of 1."""
    if not isinstance(op, LeakyIntegrateAndFire):
        return op
    held = {name: array for name in op.arrays if (array := getattr(op, name)) is not None}
    fitted = {
        name: array.reshape(shape) if array.size == prod(shape) else array.reshape(()) if array.size == 1 else array
        for name, array in held.items()
    }
    return replace(op, **fitted)


def _delay(node: Guarded, chosen: NeuronChoices) -> Op:
    seconds, dt = node.numbers("delay"), chosen.dt
    if dt is None and "metadata" in node and "dt" in node.group("metadata"):
        dt = float(node.group("metadata").numbers("dt").reshape(-1)[0])
    if dt is None and seconds.any():
        raise UnsupportedError(
            f"{node.error('is a time in seconds', 'delay')}: give the length of a step, dt=1e-4 (--read dt=1e-4)"
        )
    if dt is not None and dt <= 0:
        raise node.error(f"has a step of {dt:g} s", "metadata/dt")
    steps = seconds / (dt or 1.0)
    whole_ones = np.rint(steps)
    if (np.abs(steps - whole_ones) > 1e-3).any():
        worst = float(seconds.reshape(-1)[np.abs(steps - whole_ones).argmax()])
        raise UnsupportedError(f"{node.error(f'is {worst:g} s', 'delay')}: no whole number of steps of {dt:g} s")
    return Delay(parameter(whole_ones))


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
