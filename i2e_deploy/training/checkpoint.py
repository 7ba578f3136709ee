"""A training that can go on: weights, optimiser, schedule and random state in one safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from i2e_deploy.errors import InputError
from i2e_deploy.files import read_tensors, write_tensors

FORMAT = "i2e-deploy-training"
_NETWORK, _OPTIMISER, _RANDOM = "network.", "optimiser.", "random"


@dataclass(frozen=True, eq=False)
class Progress:
    """What changes while a network is trained; `settings` says of which training it is."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    settings: str


def save_checkpoint(progress: Progress, epochs: int, path: Path) -> None:
    """Write the training after `epochs` epochs, whole or not at all.

    Raises:
        InputError: no such folder.
    """
    tensors = {_NETWORK + name: value.detach().cpu().numpy() for name, value in _lasting(progress.network).items()}
    state = progress.optimiser.state_dict()
    for index, values in state["state"].items():
        tensors |= {f"{_OPTIMISER}{index}.{key}": np.asarray(value) for key, value in values.items()}
    tensors[_RANDOM] = progress.generator.get_state().numpy()
    rates = [group["lr"] for group in state["param_groups"]]
    done = {"epochs": epochs, "rates": rates, "schedule": progress.schedule.state_dict()}
    write_tensors(path, tensors, {"format": FORMAT, "settings": progress.settings, "done": done})


def resume(progress: Progress, path: Path) -> int:
    """Put what `save_checkpoint` wrote into the parts of `progress`; the number of epochs done.

    Raises:
        InputError: a checkpoint of another training.
        FileFormatError: not a whole safetensors file.
    """
    tensors, metadata = _read(path)
    if metadata.get("settings") != progress.settings:
        raise InputError(f"{path} is a checkpoint of another training ({metadata.get('settings')}): move it away")
    load_weights(progress.network, path)
    try:
        done = metadata["done"]
        state = progress.optimiser.state_dict()
        for name, value in tensors.items():
            if name.startswith(_OPTIMISER):
                index, key = name.removeprefix(_OPTIMISER).split(".")
                array = np.array(value).reshape(() if key == "step" else value.shape)  # the file has no numbers alone
                state["state"].setdefault(int(index), {})[key] = torch.from_numpy(array)
        progress.optimiser.load_state_dict(state)
        for group, rate in zip(progress.optimiser.param_groups, done["rates"], strict=True):
            group["lr"] = float(rate)
        progress.schedule.load_state_dict(dict(done["schedule"]))
        progress.generator.set_state(torch.from_numpy(np.array(tensors[_RANDOM])))
        return int(done["epochs"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged checkpoint ({error}): move it away") from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint into a network of the same build.

    Raises:
        InputError: no such file, no checkpoint, or of another network.
        FileFormatError: not a whole safetensors file.
    """
    tensors, _ = _read(path)
    given = {n.removeprefix(_NETWORK): v for n, v in tensors.items() if n.startswith(_NETWORK)}
    wanted = _lasting(network)
    if {n: v.shape for n, v in given.items()} != {n: tuple(v.shape) or (1,) for n, v in wanted.items()}:
        raise InputError(f"{path} is a checkpoint of another network: build the one that it was written for")
    with torch.no_grad():
        for name, value in wanted.items():
            value.copy_(torch.from_numpy(np.array(given[name])).reshape(value.shape))


def _lasting(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and running statistics, without the states that neurons have at the moment."""
    statistics = {name: value for name, value in network.named_buffers() if "running_" in name}
    return dict(network.named_parameters()) | statistics


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of a training (format {metadata.get('format')!r})")
    return tensors, metadata
