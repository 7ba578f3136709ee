"""A trained lava-dl SLAYER network as integer blocks, read through its own `export_hdf5` into a file in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.blocks import BlockNetwork
from i2e_deploy.network.layers import Shape
from i2e_deploy.network.netx_read import from_open_file


def from_slayer(
    module: Any, input_shape: Shape | None = None, input_message_bits: int = 0, spike_exp: int = 6
) -> BlockNetwork:
    """Read a SLAYER network. It is not changed: weight normalisation is folded into a copy.

    Args:
        module: `nn.Sequential`, a list or `nn.ModuleList` of SLAYER blocks, or a module with those in `.blocks`. It
            must have seen one batch: SLAYER learns its shapes from it.
        input_shape: (C, H, W) or (N,); only needed when the first block is a convolution without an input block.
        input_message_bits: see `read_netx`.
        spike_exp: see `read_netx`.

    Raises:
        UnsupportedError: a block that cannot run exactly on the chip; every one is named, with the reason.
        InputError: the module has not seen a batch, or is not one of SLAYER.
    """
    import h5py

    blocks = getattr(module, "blocks", module)
    if not isinstance(blocks, Iterable):
        raise InputError(f"{type(module).__name__} is no SLAYER network: give its blocks in order")
    with h5py.File("slayer", "w", driver="core", backing_store=False) as file:
        layers = file.create_group("layer")
        for i, block in enumerate(blocks):
            _export(block, layers.create_group(str(i)), i)
        return from_open_file(file, input_shape, input_message_bits, spike_exp)


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
