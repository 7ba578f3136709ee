"""Read a netx `.net` file (what lava-dl's `export_hdf5` writes) as integer blocks.

Numbers are truncated toward zero as netx does. What netx drops in silence is read, folded in exactly, noted, or
refused with a reason; `docs/loihi2.md` has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from i2e_deploy.chips.loihi2 import program as b
from i2e_deploy.chips.loihi2.formats.netx_neuron import read_neuron
from i2e_deploy.chips.loihi2.formats.netx_old import RECURRENT, refractory, with_weight_exponent
from i2e_deploy.chips.loihi2.formats.netx_pool import pooling
from i2e_deploy.chips.loihi2.formats.netx_readout import deciding_notes, deciding_of
from i2e_deploy.chips.loihi2.formats.netx_synapse import (
    MAX_SIDE,
    bias_and_norm,
    delays_of,
    kernel_of,
    matrix_of,
    pair_of,
    shape_of,
    weight_keys,
)  # fmt: skip
from i2e_deploy.errors import FileFormatError, InputError, UnsupportedError
from i2e_deploy.hdf5_child import open_guarded
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.graph import Note
from i2e_deploy.network.op import Shape
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    import h5py

MAX_LAYERS = 1024

_REFUSED = {
    "convT": "transposed convolution: neither netx nor Lava has it (lava-dl issue 163); use a dense layer",
    "unpool": "unpooling: neither netx nor Lava has it; use a dense layer",
    "concat": "concatenation: the file does not say of what; build a BlockNetwork with two connections",
    "dense_comp": "netx calls a function that does not exist (hdf5.py:665); export `dense` with weight/real, /imag",
}


def read_netx(
    path: str | Path,
    input_shape: Shape | None = None,
    input_message_bits: int = 0,
    spike_exp: int = 6,
    reset_interval: int = 0,
    reset_offset: int = 0,
    reset_staggered: bool = True,
) -> b.BlockNetwork:
    """Read a `.net` file. The file is treated as hostile; see `hdf5_guard`.

    Args:
        path: the file.
        input_shape: (C, H, W) or (N,), for a file whose first layer is a convolution.
        input_message_bits: of what enters a first layer that has synapses; 0 = plain spikes (as netx).
        spike_exp: fractional bits of Sigma-Delta messages (as netx).
        reset_interval, reset_offset, reset_staggered: see `BlockNetwork.with_reset`; 0: no reset (as netx).

    Raises:
        FileFormatError: damaged, lying, or with links; the message names the place.
        UnsupportedError: layers that cannot run exactly on the chip; every one is named, with the reason.
        InputError: `input_shape` is needed, or wrong.
    """
    path = Path(path)
    try:
        with open_guarded(path) as file:
            network = _network(file, input_shape, input_message_bits, spike_exp)
    except (FileFormatError, UnsupportedError, InputError):
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise FileFormatError(f"{path.name}: damaged HDF5: {one_line(error)}") from error
    if not reset_interval and (reset_offset or not reset_staggered):
        raise InputError("a reset needs reset_interval, in steps: give it too")
    return network.with_reset(reset_interval, reset_offset, reset_staggered) if reset_interval else network


def from_open_file(
    file: h5py.File,
    input_shape: Shape | None = None,
    input_message_bits: int = 0,
    spike_exp: int = 6,
    sources: Sequence[tuple[int, ...]] | None = None,
) -> b.BlockNetwork:
    """As `read_netx`, from a file that is open (SLAYER modules are read through one in memory).

    Args:
        file: the file.
        input_shape, input_message_bits, spike_exp: see `read_netx`.
        sources: for each layer of the file, the layers whose sum feeds it (-1: the input); None: each the one before.
    """
    return _network(Guarded(file, "SLAYER export"), input_shape, input_message_bits, spike_exp, sources)


class _Reader:
    """What is known while the layers go by."""

    def __init__(self, input_shape: Shape | None, input_bits: int, spike_exp: int) -> None:
        self.input_shape, self.input_bits, self.spike_exp = input_shape, input_bits, spike_exp
        self.blocks: list[b.Block] = []
        self.notes: list[Note] = []
        self.transform: tuple[int, int] | None = None
        self.classes = 0
        self.refused: list[str] = []
        #: For each layer of the file the blocks that send what leaves it, and those that feed the layer to read.
        self.senders: dict[int, tuple[str, ...]] = {-1: (b.SOURCE,)}
        self.feeding: tuple[str, ...] = (b.SOURCE,)
        #: Shapes of refused layers, so that layers after them are still read and all is reported at once.
        self.stand_ins: dict[str, Shape] = {}

    @property
    def given(self) -> Shape | None:
        """Shape of what feeds the layer to read."""
        shapes = self.stand_ins | {block.name: block.shape for block in self.blocks}
        found = {shapes.get(name, self.input_shape) for name in self.feeding}
        if len(found) > 1 and None not in found and len({prod(shape or ()) for shape in found}) == 1:
            return (prod(found.pop() or ()),)  # flattened on one way, with neurons of their own on the other
        if len(found) > 1:
            raise UnsupportedError(f"takes the sum of {', '.join(self.feeding)}, whose shapes differ: {found}")
        return found.pop()

    def connect(self, synapse: b.Synapse, part: str = "real") -> list[b.Connection]:
        """From each block that feeds the layer through the same weights: W (a + b) = W a + W b."""
        return [b.Connection(name, synapse, "imag" if part == "imag" else "real") for name in self.feeding]


def _network(
    root: Guarded, input_shape: Shape | None, input_bits: int, spike_exp: int,
    sources: Sequence[tuple[int, ...]] | None = None,
) -> b.BlockNetwork:  # fmt: skip
    if not 0 <= input_bits <= 32 or not 0 <= spike_exp <= 7:
        raise InputError(f"input_message_bits={input_bits} (0..32), spike_exp={spike_exp} (0..7): out of range")
    layers = root.group("layer")
    names = layers.names(MAX_LAYERS)
    if sorted(names) != sorted(map(str, range(len(names)))) or not names:
        raise layers.error(f"has entries {sorted(names)[:5]}..., expected the numbers from 0, one a layer")
    reader = _Reader(input_shape, input_bits, spike_exp)
    root.cut.clear()
    for i in range(len(names)):
        group = layers.group(str(i))
        kind, before = group.text("type"), len(reader.blocks)
        reader.feeding = tuple(name for j in (sources[i] if sources else (i - 1,)) for name in reader.senders[j])
        try:
            if kind in _REFUSED:
                raise UnsupportedError(_REFUSED[kind])
            if kind not in _READERS:
                raise UnsupportedError(f"unknown type; known are {', '.join(sorted(_READERS))}")
            _READERS[kind](reader, group, i, i == len(names) - 1)
        except UnsupportedError as error:
            reader.refused.append(f"layer {i} ({kind}): {error}")
            reader.stand_ins[str(i)], reader.senders[i] = shape_of(group), (str(i),)
            continue
        reader.senders[i] = reader.feeding if len(reader.blocks) == before else (reader.blocks[-1].name,)
        reader.notes += _cut_notes(root, reader.senders[i][0])
    if reader.refused:
        raise UnsupportedError(f"{root.file}: " + " | ".join(reader.refused))
    if reader.input_shape is None or not reader.blocks:
        raise root.error("holds no layer with neurons")
    blocks, notes = tuple(reader.blocks), (*reader.notes, *deciding_notes(reader.blocks))
    deciding = deciding_of(blocks[-1], reader.classes)
    return b.BlockNetwork(reader.input_shape, blocks, reader.input_bits, reader.transform, notes, deciding)


def _cut_notes(root: Guarded, name: str) -> list[Note]:
    """Fractions in what was read since the last call."""
    notes = [
        Note(
            name,
            f"{path}: {count} of {size} numbers are no integers and are cut toward zero, as netx does; the largest cut "
            f"makes {int(value)} of {value:g}: the file is not as SLAYER's quantiser leaves it",
            doubtful=True,
        )
        for path, count, size, value in root.cut
    ]
    root.cut.clear()
    return notes


def _input(reader: _Reader, group: Guarded, index: int, last: bool) -> None:
    shape = shape_of(group)
    if reader.blocks:
        raise UnsupportedError("an input layer after other layers")
    reader.input_shape = shape
    if "neuron" not in group:
        return
    neuron, bits, notes = read_neuron(group.group("neuron"), shape, first=True, spike_exp=reader.spike_exp)
    if {"weight", "bias"} & set(group.names(64)):
        weight = int(group.integers("weight", -(2**31), 2**31).reshape(-1)[0]) if "weight" in group else 64
        bias = int(group.integers("bias", -(2**31), 2**31).reshape(-1)[0]) if "bias" in group else 0
        reader.transform = (weight, bias)
    name = f"{index}.input"
    reader.notes += [Note(name, note) for note in notes]
    reader.input_bits = 32
    reader.blocks.append(b.Block(name, neuron, shape, (b.Connection(b.SOURCE, None),), message_bits=bits))


def _flatten(reader: _Reader, group: Guarded, index: int, last: bool) -> None:
    """Nothing to do: dense synapses take (C, H, W) flattened, C outermost, as torch and netx do."""


def _average(reader: _Reader, group: Guarded, index: int, last: bool) -> None:
    if not last:
        raise UnsupportedError("averages groups of outputs; it has no neurons, so only the host can do it, at the end")
    given, classes = prod(reader.given or ()), prod(shape_of(group))
    if given % classes or not reader.blocks:
        raise group.error(f"is {classes} groups of {given} outputs: they do not divide", "shape")
    reader.classes = classes
    text = f"the host averages {classes} groups of outputs, whose means decide: the chip and netx lack this layer"
    reader.notes.append(Note(f"{index}.average", text))


def _dense(reader: _Reader, group: Guarded, index: int, last: bool) -> None:
    name, shape = f"{index}.{group.text('type')}", (prod(shape_of(group)),)
    given = reader.given
    if "neuron" in group:
        neuron, bits, notes = read_neuron(group.group("neuron"), shape, spike_exp=reader.spike_exp)
    else:  # netx/hdf5.py:344-352
        neuron, bits = b.CubaLif(np.zeros(1, np.int64), np.full(1, 4096), 2**17), 0
        notes = ["no neurons in the file: netx makes integrators that never fire; read their state"]
    parts: list[tuple[b.DenseSynapse, str]] = []
    for key, part in weight_keys(group):
        weight = matrix_of(group, key, shape[0], None if given is None else prod(given))
        parts.append((b.DenseSynapse(weight, delays_of(group, weight, notes)), part))
    if len(parts) > 1 and not isinstance(neuron, b.Resonator):
        raise UnsupportedError("complex weights feed neurons that have no imaginary input")
    if isinstance(neuron, b.Resonator) and len(parts) == 1:
        raise UnsupportedError("resonators need weight/real and weight/imag; netx cannot connect them otherwise")
    if given is None:
        reader.input_shape = (parts[0][0].weight.shape[1],)
    connections = [connection for synapse, part in parts for connection in reader.connect(synapse, part)]
    kind = group.text("type")
    if kind == "recurrent":
        reader.notes.append(Note(name, RECURRENT, doubtful=True))
    if kind in ("dense_rec", "recurrent"):
        recurrent = matrix_of(group, "weight_rec" if kind == "dense_rec" else "recWeight", shape[0], shape[0])
        delay = parts[0][0].delay
        if delay is not None:
            raise UnsupportedError(
                "recurrent with delays: netx gives the input's delays to the recurrent weights (blocks/process.py:273) "
                "and fails on unequal sizes; SLAYER delays the output, so there is nothing exact to map to"
            )
        connections.append(b.Connection(name, b.DenseSynapse(recurrent)))
    connections = with_weight_exponent(group, name, connections, reader.notes)
    bias, connections = bias_and_norm(group, shape, connections)
    _add(reader, group, b.Block(name, neuron, shape, tuple(connections), bias, bits), notes)


def _conv(reader: _Reader, group: Guarded, index: int, last: bool) -> None:
    name, shape = f"{index}.{group.text('type')}", shape_of(group)
    given = reader.given
    if given is None or len(given) != 3:
        raise InputError(f"{group.file}: layer {index} is a convolution: give input_shape=(C, H, W), not {given}")
    if len(shape) != 3:
        raise group.error(f"is {list(shape)}, expected (C, H, W)", "shape")
    neuron, bits, notes = read_neuron(group.group("neuron"), shape, spike_exp=reader.spike_exp)
    if isinstance(neuron, b.Resonator) or group.is_group("weight"):
        raise UnsupportedError("complex convolution: netx reads real convolution weights only")
    geometry = pair_of(group, "stride", 1), pair_of(group, "padding", 0), pair_of(group, "dilation", 1)
    if name.endswith("pool"):
        weight = kernel_of(group, 1, 1)
        synapse = pooling(weight[0, 0], (given[0], given[1], given[2]), *geometry)
        notes.append("pooling becomes a convolution of one group a channel, which netx and Lava can run")
    else:
        groups = int(group.integers("groups", 1, MAX_SIDE).reshape(-1)[0]) if "groups" in group else 1
        synapse = b.ConvSynapse(kernel_of(group, shape[0], max(given[0] // groups, 1)), *geometry, groups)
    if "delay" in group:
        delay = np.broadcast_to(group.integers("delay", 0, 2**31).reshape(-1), (shape[0],)).clip(0, 62)
        notes.append(
            "the file has delays of a convolution: netx ignores them, here they act, and no .net can carry them"
        )
        synapse = replace(synapse, delay=delay)
    connections = with_weight_exponent(group, name, reader.connect(synapse), reader.notes)
    bias, connections = bias_and_norm(group, shape, connections)
    _add(reader, group, b.Block(name, neuron, shape, tuple(connections), bias, bits), notes)


_READERS: dict[str, Callable[[_Reader, Guarded, int, bool], None]] = {
    "input": _input, "flatten": _flatten, "average": _average,
    "dense": _dense, "dense_rec": _dense, "recurrent": _dense, "conv": _conv, "pool": _conv,
}  # fmt: skip


def _add(reader: _Reader, group: Guarded, block: b.Block, notes: list[str]) -> None:
    reader.blocks.append(block)
    reader.notes += [*(Note(block.name, note) for note in notes), *refractory(group, block.name)]
