"""Going on from a network file: its layers as a Sinabs module, with a new last layer where the classes are others."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from i2e_deploy.chips.models import NETWORK, read_model
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.files import read_tensors
from i2e_deploy.network.file import FORMAT
from i2e_deploy.network.graph import Network
from i2e_deploy.network.sinabs.export import to_sinabs
from i2e_deploy.text import shape_text
from i2e_deploy.training.samples import TrainingData
from i2e_deploy.training.start_active import start_active

#: Files of weights: they need the module that they belong to.
OF_TORCH = (".pt", ".pth", ".tar")
#: Samples on which a new layer is scaled.
LOOKED_AT = 16
MODULE = "train a module (--network FILE.py:FUNCTION, or a recipe) from its weights (best.safetensors, .pt)"


def is_network(path: Path) -> bool:
    """Whether a file says what its layers are; else it holds weights alone.

    Raises:
        InputError: no such file.
        FileFormatError: a safetensors file that is damaged.
    """
    if path.is_dir():
        raise InputError(f"--init {path} is a folder: name a file in it (network.safetensors, best.safetensors)")
    if path.suffix != NETWORK:
        return path.suffix not in OF_TORCH
    return bool(read_tensors(path)[1].get("format") == FORMAT)


def module_of(path: Path, data: TrainingData, seed: int) -> tuple[nn.Module, list[str]]:
    """A network file as a Sinabs module with its weights, its neurons fused where they can be.

    The surrogate gradient is that of the recipes: 1 / threshold wherever the membrane is above 0.

    Args:
        path: `.safetensors` of ours, `.nir`, or another that `chips.read_model` reads.
        data: what it will be trained on; with another number of classes than the network has outputs, the last layer
            of weights is a new one, drawn by `seed` and scaled until its neurons fire (`start_active`).

    Returns:
        The module; and what there is to say of it, a line each: what its reader assumed, and that a layer is new.

    Raises:
        UnsupportedError: a network that cannot be trained on; the message says what can.
        InputError: no such file, or a network for other inputs.
        FileFormatError: damaged, or of no kind that is known.
    """
    network = read_model(path)
    if not isinstance(network, Network):
        raise UnsupportedError(
            f"--init {path} holds a chip's integers ({network.title}), and integers have no gradient: {MODULE}"
        )
    if network.input_shape != data.input_shape:
        raise InputError(
            f"--init {path} takes {shape_text(network.input_shape)}, and the data are {shape_text(data.input_shape)}: "
            "prepare them so (--size, and pictures or recordings with two polarities)"
        )
    try:
        module = to_sinabs(network, data.steps, _neurons)
    except UnsupportedError as error:
        raise UnsupportedError(f"--init {path}: {error}; else {MODULE}") from error
    said = [f"{path.name}: {note.text}" for note in network.notes if note.doubtful]
    wanted, have = len(data.classes), _outputs(network, path)
    if wanted in (0, have):
        return module, said
    name = _renew(module, have, data, seed, path)
    return module, [*said, f"{path.name} has {have} outputs and the data {wanted} classes: layer {name} is new"]


def _neurons(**options: Any) -> nn.Module:
    """Fused where the options allow it."""
    from sinabs.activation import Heaviside
    from sinabs.layers import IAFSqueeze

    from i2e_deploy.training.fused_iaf import FusedIAF

    options["surrogate_grad_fn"] = Heaviside(window=float(options["spike_threshold"]))
    try:
        return FusedIAF(**options)
    except UnsupportedError:
        layer: nn.Module = IAFSqueeze(**options)
        return layer


def _outputs(network: Network, path: Path) -> int:
    """Values that leave the network in a step."""
    consumers = network.consumers()
    last = [layer.name for layer in network.layers if not consumers[layer.name]]
    if len(last) != 1:
        raise UnsupportedError(f"--init {path} has {len(last)} outputs ({', '.join(last)}): training reads one")
    return int(torch.Size(network.shapes()[last[0]]).numel())


def _renew(module: nn.Module, outputs: int, data: TrainingData, seed: int, path: Path) -> str:
    """Put a new layer in the place of the last one with weights, which has so many outputs; its name."""
    from i2e_deploy.training import bptt

    weighted: list[tuple[str, nn.Linear | nn.Conv2d]] = [
        (n, part) for n, part in module.named_modules() if isinstance(part, nn.Linear | nn.Conv2d)
    ]
    name, old = weighted[-1]
    if len(old.weight) != outputs:
        raise UnsupportedError(
            f"--init {path}: the network has {outputs} outputs and the data {len(data.classes)} classes, and its last "
            f"layer of weights, {name}, gives {len(old.weight)}: {MODULE}"
        )
    new = _like(old, len(data.classes), torch.Generator().manual_seed(seed))
    module.register_module(name, new)
    some = data.train.batch(np.arange(min(LOOKED_AT, len(data.train)), dtype=np.int64), None).frames
    start_active(module, bptt.spike_counts, [(new, bptt.neurons(module)[-1])], torch.from_numpy(some))
    return name


def _like(old: nn.Module, outputs: int, generator: torch.Generator) -> nn.Linear | nn.Conv2d:
    """The same kind of layer with another number of outputs."""
    if isinstance(old, nn.Linear):
        new: nn.Linear | nn.Conv2d = nn.Linear(old.in_features, outputs, bias=old.bias is not None)
    else:
        assert isinstance(old, nn.Conv2d)
        new = nn.Conv2d(
            old.in_channels, outputs, old.kernel_size, old.stride, old.padding, old.dilation,  # type: ignore[arg-type]
            bias=old.bias is not None,
        )  # fmt: skip
    nn.init.normal_(new.weight, 0, 1 / sqrt(new.weight[0].numel()), generator=generator)
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    return new
