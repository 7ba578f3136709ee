"""A trained Sinabs network as float layers. Works on the modules alone: `samna` is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.modules.graph import Call, calls
from i2e_deploy.network.modules.hooks import check_plain
from i2e_deploy.network.modules.recording import as_it_was
from i2e_deploy.network.modules.values import precision_note, shape_of
from i2e_deploy.network.op import Shape
from i2e_deploy.network.sinabs.judge import judged
from i2e_deploy.network.sinabs.layers import BATCH_NORMS, IGNORED, LEAVES, NEURONS, folded, read_op
from i2e_deploy.network.sinabs.states import StatesChoice, with_states
from i2e_deploy.network.sinabs.time import check_time

if TYPE_CHECKING:
    from torch import nn


def from_sinabs(
    module: nn.Module, input_shape: Shape, example: Any = None, states: StatesChoice | None = None
) -> Network:
    """Read a Sinabs network as it computes in evaluation mode, whatever mode it is in.

    Args:
        module: `nn.Sequential`, nested or not, or a module whose `forward` combines layers (branches, `+` or
            Sinabs' Merge, several outputs), or what `sinabs.from_torch.from_model` returns. Layers: Conv2d, Linear,
            AvgPool2d, Sinabs SumPool2d, Flatten, IAF / IAFSqueeze, DVSLayer (first); batch norm is folded into
            the weights before it (running statistics, eps included); dropout and identity are ignored. A layer is one
            of these by its class, not by the name of it. A class with a forward of its own that computes what one of
            them does says so: `stands_for = "Conv2d"`.
        input_shape: (C, H, W).
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
        found, outputs = calls(module, LEAVES)
        layers, stands_for, norms = _layers(found)
        notes = tuple(note for call in found for note in precision_note(call.name, call.module))
    reads = [(call.name, source) for call in found if stands_for[call.name] == call.name for source in call.inputs]
    _check_norms(reads, stands_for, norms)
    _check_outputs([stands_for[name] for name in outputs], {stands_for[source] for _, source in reads})
    network = Network(shape, tuple(layers.values()), notes)
    check_time(network, found)
    norm_calls = [call.name for call in found if call.kind in BATCH_NORMS]
    network = judged(network, module, example, found, stands_for, norm_calls, outputs)  # from zero, on both sides
    return with_states(network, found, states)


def _layers(found: Sequence[Call]) -> tuple[dict[str, Layer], dict[str, str], dict[str, tuple[str, ...]]]:
    """The layers by name; the layer that each call became; and the batch norms between that and the call."""
    layers: dict[str, Layer] = {}
    stands_for, neurons = {INPUT: INPUT}, dict[int, str]()
    norms: dict[str, tuple[str, ...]] = {INPUT: ()}
    for name, leaf, kind, sources, _ in found:
        if name == INPUT:
            raise InputError(f"a layer is called {INPUT!r}, which names the input of the network: rename it")
        inputs = tuple(stands_for[source] for source in sources)
        stands_for[name], norms[name] = name, ()
        if kind in IGNORED or kind in BATCH_NORMS:
            (stands_for[name],) = inputs
            norms[name] = norms[sources[0]]
            if kind in BATCH_NORMS:
                layers[inputs[0]] = folded(name, leaf, layers.get(inputs[0]))
                norms[name] += (name,)
            continue
        if kind in NEURONS and neurons.setdefault(id(leaf), name) != name:
            raise UnsupportedError(
                f"layer {neurons[id(leaf)]!r} is used twice: its states are one; give each use its own"
            )
        layers[name] = Layer(name, read_op(name, kind, leaf), inputs)
    if not layers:
        raise InputError("the module holds no layers: give the trained network")
    return layers, stands_for, norms


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
