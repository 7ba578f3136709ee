"""A trained Sinabs network as float layers. Works on the modules alone: `samna` is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer, Network, Note
from i2e_deploy.network.modules.containers import expanded
from i2e_deploy.network.modules.graph import Call, calls
from i2e_deploy.network.modules.hooks import check_plain
from i2e_deploy.network.modules.layers import BATCH_NORMS, read_wide, shape_after
from i2e_deploy.network.modules.norms import affine, folded
from i2e_deploy.network.modules.recording import as_it_was
from i2e_deploy.network.modules.values import precision_note, shape_of
from i2e_deploy.network.op import Shape
from i2e_deploy.network.sinabs.judge import judged
from i2e_deploy.network.sinabs.layers import CONTAINERS, IGNORED, LEAVES, readers
from i2e_deploy.network.sinabs.neurons import NEURONS
from i2e_deploy.network.sinabs.states import StatesChoice, with_states
from i2e_deploy.network.sinabs.time import timed_calls

if TYPE_CHECKING:
    from torch import nn


def from_sinabs(
    module: nn.Module, input_shape: Shape, example: Any = None, states: StatesChoice | None = None
) -> Network:
    """Read a Sinabs network as it computes in evaluation mode, whatever mode it is in.

    Args:
        module: `nn.Sequential`, nested or not, or a module whose `forward` combines layers (branches, `+` or
            Sinabs' Merge, several outputs), or what `sinabs.from_torch.from_model` returns. Layers: those of torch in
            `modules.layers.TORCH`, Sinabs' SumPool2d, its neurons (IAF, LIF, ALIF, ExpLeak; recurrent ones become loops
            through a `Delay`), DVSLayer (first). Batch and time are one axis or two (Repeat, FlattenTime,
            UnflattenTime). Batch norm is folded into the weights before it (running statistics, eps included); dropout
            and identity are ignored. A layer is one of these by its class, not by the name of it. A class with a
            forward of its own that computes what one of them does says so: `stands_for = "Conv2d"`.
        input_shape: (C, H, W), or that of one step.
        example: frames [B, T, C, H, W] or [T, C, H, W] on which the module's own forward is run and compared with what
            was read, layer by layer (`network.judge`); a few samples that make every layer fire. The module is left as
            it was. None: nothing is compared, which a note says and `check` shows.

    Weights are those that the next forward would use: masks of `prune`, weight and spectral norm and parametrizations
    are applied. Every other hook is refused. Weights of another precision than float32 leave a note.

    Membrane states that a forward pass has left in the module: Sinabs quantises them and writes them to the chip.
    `states="stored"` takes those of the first sample of their batch as the start of the network, `"zero"` starts it
    from zero. Without a choice it starts from zero, and states that are not zero leave a doubtful note.

    Raises:
        UnsupportedError: a module that has no exact counterpart, or, with an example, one that computes something else
            than its layers say; the message names the layer.
        InputError: shapes or values that do not fit.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise InputError(f"{type(module).__name__} is no torch module: give the trained network")
    shape = shape_of(input_shape)
    check_plain(module)
    with as_it_was(module), torch.no_grad(), torch.random.fork_rng(devices=[]):
        module.eval()
        found, outputs, inside = expanded(*calls(module, LEAVES), CONTAINERS, LEAVES)
        timed = timed_calls(found, inside)
        two_axes = {name for name, is_timed in timed.items() if is_timed and name not in inside}
        layers, stands_for, norms, notes = _layers(found, shape, two_axes)
        notes += [note for call in found for note in precision_note(call.name, call.module)]
    reads = [(call.name, source) for call in found if stands_for[call.name] == call.name for source in call.inputs]
    _check_norms(reads, stands_for, norms)
    _check_outputs([stands_for[name] for name in outputs], {stands_for[source] for _, source in reads})
    network = Network(shape, tuple(layers.values()), tuple(notes))
    norm_calls = [call.name for call in found if call.kind in BATCH_NORMS]
    network = judged(network, module, example, found, stands_for, norm_calls, outputs, timed[INPUT])  # from zero
    return with_states(network, found, states)


def _layers(
    found: Sequence[Call], shape: Shape, timed: Collection[str]
) -> tuple[dict[str, Layer], dict[str, str], dict[str, tuple[str, ...]], list[Note]]:
    """The layers by name; the layer that each call became; the batch norms between that and the call; and notes."""
    layers: dict[str, Layer] = {}
    notes: list[Note] = []
    stands_for = {INPUT: INPUT}
    norms: dict[str, tuple[str, ...]] = {INPUT: ()}
    shapes = {INPUT: shape}
    twice = next((call for call in found if call.kind in NEURONS and call.turn), None)
    if twice is not None:
        first = next(call.name for call in found if call.module is twice.module)
        raise UnsupportedError(f"layer {first!r} is used twice: its states are one; give each use its own")
    for call in found:
        name, leaf, kind, sources = call.name, call.module, call.kind, call.inputs
        if name == INPUT:
            raise InputError(f"a layer is called {INPUT!r}, which names the input of the network: rename it")
        inputs = tuple(stands_for[source] for source in sources)
        stands_for[name], norms[name] = name, ()
        if kind in IGNORED or kind in BATCH_NORMS:
            (stands_for[name],) = inputs
            norms[name] = norms[sources[0]]
            if kind in BATCH_NORMS:
                layers[inputs[0]] = folded(name, affine(name, leaf), layers.get(inputs[0]))
                norms[name] += (name,)
            continue
        given = [shapes[source] for source in inputs]
        read = read_wide(call, inputs, given, readers(name in timed))
        notes += [Note(name, text, read.doubtful) for text in read.notes]
        for layer in read.layers:
            loop = layer.op.shape if isinstance(layer.op, Delay) else None
            shapes[layer.name] = loop or shape_after(layer, [shapes[source] for source in layer.inputs])
            layers[layer.name] = layer
    if not layers:
        raise InputError("the module holds no layers: give the trained network")
    return layers, stands_for, norms, notes


def _check_norms(
    reads: Sequence[tuple[str, str]], stands_for: Mapping[str, str], norms: Mapping[str, tuple[str, ...]]
) -> None:
    """A layer with batch norm folded in serves only those that read it after the norm."""
    folded: dict[str, set[str]] = {}
    for name, passed in norms.items():
        folded.setdefault(stands_for[name], set()).update(passed)
    for reader, source in reads:
        layer = stands_for[source]
        missed = folded[layer] - set(norms[source])
        if missed:
            raise UnsupportedError(
                f"layer {reader!r} takes {layer!r} without the batch norm {sorted(missed)} that another branch puts "
                "after it: give each branch a convolution of its own"
            )


def _check_outputs(outputs: Sequence[str], read: Collection[str]) -> None:
    """An output is a layer without consumers here, so what leaves the network must feed nothing else."""
    for name in outputs:
        if name in read or name == INPUT or outputs.count(name) > 1:
            other = "as two outputs" if name not in read and name != INPUT else "and feeds a layer too"
            raise UnsupportedError(f"layer {name!r} leaves the network {other}: give the output a layer of its own")
