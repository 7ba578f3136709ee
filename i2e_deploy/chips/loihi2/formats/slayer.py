"""A trained lava-dl SLAYER network as integer blocks, read through its own `export_hdf5` into a file in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from i2e_deploy.chips.loihi2.formats.netx_read import from_open_file
from i2e_deploy.chips.loihi2.program import BlockNetwork
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT
from i2e_deploy.network.op import Shape
from i2e_deploy.network.torch_graph import calls

#: Class names of SLAYER's blocks, which are not looked into.
_BLOCKS = ("Input", "Flatten", "Dense", "Conv", "Pool", "Recurrent", "Output", "Average", "ConvT", "Unpool", "Affine",
           "KWTA")  # fmt: skip


def from_slayer(
    module: Any, input_shape: Shape | None = None, input_message_bits: int = 0, spike_exp: int = 6
) -> BlockNetwork:
    """Read a SLAYER network. It is not changed: weight normalisation is folded into a copy.

    Args:
        module: `nn.Sequential`, a list or `nn.ModuleList` of SLAYER blocks, a module with those in `.blocks`, or one
            whose `forward` combines blocks by branches and `+` (a sum of spikes reaches the next block through the
            same synapses twice). It must have seen one batch: SLAYER learns its shapes from it.
        input_shape: (C, H, W) or (N,); only needed when the first block is a convolution without an input block.
        input_message_bits: see `read_netx`.
        spike_exp: see `read_netx`.

    Raises:
        UnsupportedError: a block that cannot run exactly on the chip; every one is named, with the reason.
        InputError: the module has not seen a batch, or is not one of SLAYER.
    """
    import h5py

    blocks, sources = _graph(module)
    with h5py.File("slayer", "w", driver="core", backing_store=False) as file:
        layers = file.create_group("layer")
        for i, block in enumerate(blocks):
            _export(block, layers.create_group(str(i)), i)
        return from_open_file(file, input_shape, input_message_bits, spike_exp, sources)


def _graph(module: Any) -> tuple[list[Any], list[tuple[int, ...]]]:
    """The blocks in the order in which they run, and for each the blocks whose sum feeds it (-1: the input)."""
    blocks = getattr(module, "blocks", module)
    if isinstance(blocks, Iterable):
        row = list(blocks)
        return row, [(i - 1,) for i in range(len(row))]
    if not hasattr(module, "named_children"):
        raise InputError(f"{type(module).__name__} is no SLAYER network: give its blocks in order")
    senders: dict[str, tuple[int, ...]] = {INPUT: (-1,)}
    found: list[Any] = []
    sources: list[tuple[int, ...]] = []
    for call in calls(module, _BLOCKS)[0]:
        given = tuple(index for name in call.inputs for index in senders[name])
        if call.kind == "Add":
            senders[call.name] = given
            continue
        if any(call.module is block for block in found):
            raise UnsupportedError(f"block {call.name!r} is used twice: give each use a block of its own")
        senders[call.name] = (len(found),)
        found.append(call.module)
        sources.append(given)
    return found, sources


def _export(block: Any, group: Any, index: int) -> None:
    name = f"block {index} ({type(block).__name__})"
    if not hasattr(block, "export_hdf5"):
        raise UnsupportedError(f"{name}: not a SLAYER block; fold it into one, or take it out")
    graded = getattr(getattr(block, "neuron", None), "graded_spike", False)
    if graded and type(getattr(block, "neuron", None)).__module__.endswith("cuba"):
        raise UnsupportedError(f"{name}: graded CUBA spikes; netx makes them binary, use graded_spike=False")
    try:
        _frozen(block).export_hdf5(group)
    except (TypeError, AttributeError) as error:
        raise InputError(f"{name} cannot be exported ({error}): run one batch through the network first") from error
    if "type" not in group:
        raise UnsupportedError(f"{name}: exports nothing; the chip has no counterpart (k-winners-take-all)")


def _frozen(block: Any) -> Any:
    """A copy for evaluation. Weight norm recomputes `weight` before each pass; a leaf in its place can be copied."""
    kept = []
    for part in block.modules():
        if hasattr(part, "weight_g") and not part.weight.is_leaf:
            kept.append((part, part.weight))
            part.weight = part.weight.detach()
    try:
        return copy.deepcopy(block).eval()
    finally:
        for part, weight in kept:
            part.weight = weight
