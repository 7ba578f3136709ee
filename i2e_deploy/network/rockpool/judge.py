"""A Rockpool module as the judge of what was read from it: a copy evolves, and records what each module gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.graph import INPUT, Network
from i2e_deploy.network.judge import judge
from i2e_deploy.network.modules.read import SAMPLES, STEPS
from i2e_deploy.network.run import as_frames
from i2e_deploy.text import one_line

if TYPE_CHECKING:
    from torch import Tensor


def judged(network: Network, module: Any, example: Any, stands_for: Mapping[str, str]) -> Network:
    """The network with a note of what was compared; see `judge`.

    Args:
        network: as it was read.
        example: frames [B, T, N] or of one sample [T, N]; None: drawn ones.
        stands_for: the layer that gives what a module gives, by the module's place.

    Raises:
        UnsupportedError: the module's own evolution fails or gives something else.
        InputError: frames that are none of the network's.
    """
    drawn = example is None
    if drawn:
        example = np.random.default_rng(0).poisson(0.7, (SAMPLES, STEPS, *network.input_shape))
    single = getattr(example, "ndim", 0) == len(network.input_shape) + 1
    frames = as_frames(example[None] if single else example, network.input_shape)
    title = f"{type(module).__name__}.evolve"
    found = {}
    for place, tensor in _evolved(module, frames, title):
        layer = stands_for[place] if place else network.outputs[-1]
        if layer != INPUT:
            found[layer] = tensor.cpu() if tensor.dtype.itemsize > 4 else tensor.cpu().float()
    judgement = judge(network, frames, found, title)
    said = judgement.note(title)
    if drawn:
        said = replace(said, text=f"{said.text}; the frames were drawn: give example=frames of your data")
    return replace(network, notes=(*network.notes, said))


def _evolved(module: Any, frames: Tensor, title: str) -> list[tuple[str, Tensor]]:
    """Places and what the module there gave, [B, T, N]; the place of the whole is ""."""
    import torch
    from torch import nn

    own = deepcopy(module)
    weight = next((p for p in nn.Module.parameters(own)), frames) if isinstance(own, nn.Module) else frames
    given = frames.to(weight) if isinstance(own, nn.Module) else frames.double().numpy()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            if isinstance(own, nn.Module):
                nn.Module.eval(own)
            own.reset_state()
            returned, _, record = own.evolve(given, record=True)
        except Exception as error:  # whatever an evolution raises
            raise UnsupportedError(f"{title} fails on the example: {one_line(error)}") from error
    return [(place, torch.as_tensor(array)) for place, array in (*_recorded(own, record, ""), ("", returned))]


def _recorded(module: Any, record: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    """What the modules of a row gave: Rockpool records it beside the states (`SequentialMixin.evolve`)."""
    for name in module._submodulenames:
        path = f"{place}.{name}" if place else name
        if f"{name}_output" in record:
            yield path, record[f"{name}_output"]
            yield from _recorded(getattr(module, name), record.get(name, {}), path)
