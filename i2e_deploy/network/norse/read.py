"""A trained Norse network as float layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.layers import Add, Linear
from i2e_deploy.network.modules.hooks import check_plain
from i2e_deploy.network.modules.layers import (
    BATCH_NORMS,
    IGNORED,
    READERS,
    Reader,
    Reading,
    WideReader,
    read_wide,
)
from i2e_deploy.network.modules.norms import affine, folded, scale
from i2e_deploy.network.modules.recording import as_it_was
from i2e_deploy.network.modules.values import number_of, precision_note, shape_of
from i2e_deploy.network.neurons import parameter
from i2e_deploy.network.norse.judge import judged
from i2e_deploy.network.norse.neurons import KINDS, read_neuron
from i2e_deploy.network.norse.rows import Part, all_steps, parts_of
from i2e_deploy.network.op import Op, Shape

if TYPE_CHECKING:
    from torch import nn


def from_norse(module: nn.Module, input_shape: Shape, example: Any = None, dt: float | None = None) -> Network:
    """Read a Norse network (1.1) as it computes in evaluation mode, whatever mode it is in.

    Args:
        module: a `SequentialState`, nested or not, a `Lift`, or one module. Neurons: LIFCell, LIF, LIFBoxCell, LICell,
            LI, LILinearCell, LIBoxCell, IAFCell, IAF, LSNNCell, LSNN, and the recurrent ones of LIF and LSNN. A row of
            cells takes one step [B, ...], one of the others all steps [T, B, ...], as in Norse.
        input_shape: of one step of one sample, (C, H, W) or (N,).
        example: frames [B, T, *input_shape] or [T, *input_shape] on which the module's own forward is run, a step after
            the other or all steps at once, and compared with what was read (`network.judge`). None: nothing is.
        dt: seconds that a step of the frames lasts. None: what the neurons say, which a note repeats.

    Every run starts as Norse does without a state: from `v_leak`, IAF from `v_reset`, currents and spikes from zero.

    Raises:
        UnsupportedError: a module that has no counterpart, or, with an example, one that computes something else than
            what was read; the message names the layer.
        InputError: shapes or values that do not fit; neurons of another dt.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{type(module).__name__} is no torch module: give the trained network")
    shape = shape_of(input_shape)
    check_plain(module)
    with as_it_was(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
        module.eval()
        parts = parts_of(module)
        whole = all_steps(parts)
        layers, stands_for, notes = _layers(parts, shape, whole)
    network = Network(shape, tuple(layers.values()), (*notes, *_time_notes(parts, dt)))
    return judged(network, module, example, parts, stands_for, whole)


def _layers(parts: Sequence[Part], shape: Shape, whole: bool) -> tuple[dict[str, Layer], dict[str, str], list[Note]]:
    """The layers by name, the layer that each part became, and what is to be said of them."""
    layers: dict[str, Layer] = {}
    stands_for: dict[str, str] = {}
    notes: list[Note] = []
    source = INPUT
    for part in parts:
        name, module, kind, each_step = part
        if kind in BATCH_NORMS:
            source = stands_for[name] = _normalised(layers, part, source, shape)
        elif kind not in IGNORED:
            readers = _IN_TIME if whole and not each_step else _READERS
            reading = read_wide(name, kind, module, (source,), (shape,), readers)
            layers |= {layer.name: layer for layer in reading.layers}
            shape, source = _shape_of(reading.layers, source, shape), name
        stands_for[name] = source
        notes += precision_note(name, module)
    if not layers:
        raise InputError("the module holds no layers: give the trained network")
    return layers, stands_for, notes


def _shape_of(layers: Sequence[Layer], source: str, shape: Shape) -> Shape:
    """Shape of what the last of some layers gives that one source of that shape feeds."""
    alone = (replace(x, inputs=tuple(INPUT if name == source else name for name in x.inputs)) for x in layers)
    return Network(shape, tuple(alone)).shapes()[layers[-1].name]


def _normalised(layers: dict[str, Layer], part: Part, source: str, shape: Shape) -> str:
    """The layer that a batch norm became: that with weights before it, or one of its own."""
    norm, before = affine(part.name, part.module), layers.get(source)
    if before is not None and isinstance(before.op, Conv1d | Conv2d | Linear):
        layers[source] = folded(part.name, norm, before)
        return source
    layers[part.name] = Layer(part.name, scale(part.name, norm, shape), (source,))
    return part.name


def _time_notes(parts: Sequence[Part], dt: float | None) -> list[Note]:
    """What a step lasts, as the neurons say; that must be one number, and `dt` where it is given."""
    found = {number_of(part.module.dt, "step dt"): part.name for part in parts if part.kind in KINDS}
    if dt is not None and any(abs(own - dt) > 1e-6 * dt for own in found):
        own, name = next((own, name) for own, name in found.items() if abs(own - dt) > 1e-6 * dt)
        raise InputError(
            f"layer {name!r} has steps of {own:g} s, not of dt = {dt:g} s: give the neurons the dt of the frames, with "
            "time constants that fit, or leave dt out"
        )
    if len(found) > 1:
        said = " and ".join(f"{own:g} s in layer {name!r}" for own, name in found.items())
        return [Note("", f"a step lasts {said}: each was read with its own", doubtful=True)]
    return [Note("", f"a step lasts {own:g} s, as its neurons say: give frames of that step") for own in found]


def _neurons(kind: str) -> WideReader:
    """Reads one of Norse's: with weights of its own it becomes several layers."""

    def read(name: str, module: Any, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
        neuron = read_neuron(kind, module)
        if neuron.weight is None:
            return Reading((Layer(name, neuron.op, tuple(inputs)),))
        row = [Layer(f"{name}.input", Linear(neuron.weight), tuple(inputs))]
        if neuron.recurrent is not None:
            size = (len(neuron.recurrent),)
            row.insert(0, Layer(f"{name}.delay", Delay(parameter(1), size), (name,)))
            row.append(Layer(f"{name}.recurrent", Linear(neuron.recurrent), (f"{name}.delay",)))
            row.append(Layer(f"{name}.sum", Add(), (f"{name}.input", f"{name}.recurrent")))
        return Reading((*row, Layer(name, neuron.op, (row[-1].name,))))

    return read


def _single(reader: Reader) -> WideReader:
    def read(name: str, module: Any, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
        return Reading((Layer(name, reader(module, given), tuple(inputs)),))

    return read


def _flatten_in_time(module: Any, given: Sequence[Shape]) -> Op:
    """Flatten of [T, B, ...]: axes are one further than in a step."""
    first, last = (axis - 1 if axis > 0 else axis for axis in (module.start_dim, module.end_dim))
    if first == 0:
        raise UnsupportedError(
            f"flattens dimensions {module.start_dim} to {module.end_dim} of [T, B, ...]: use nn.Flatten(2), which "
            "keeps time and batch"
        )
    return READERS["Flatten"](SimpleNamespace(start_dim=first, end_dim=last), given)


_NEURONS: Mapping[str, WideReader] = {kind: _neurons(kind) for kind in KINDS}
_READERS: Mapping[str, WideReader] = {**{kind: _single(reader) for kind, reader in READERS.items()}, **_NEURONS}
#: Of modules that take all steps at once.
_IN_TIME: Mapping[str, WideReader] = {
    "Flatten": _single(_flatten_in_time),
    "Linear": _single(READERS["Linear"]),
    **_NEURONS,
}
