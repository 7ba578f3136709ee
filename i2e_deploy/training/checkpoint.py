"""A training that can go on: weights, optimiser and what was found so far, in one safetensors file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from i2e_deploy.errors import InputError
from i2e_deploy.files import read_tensors, write_tensors
from i2e_deploy.network.checkpoint import read_checkpoint
from i2e_deploy.text import listed

#: Version 1 kept its settings as one text, and its random state; nothing random is left over between epochs now.
FORMAT, VERSION = "i2e-deploy-training", 2
_NETWORK, _OPTIMISER = "network.", "optimiser."
SUFFIX = ".safetensors"
#: Last parts of the names of what a file of torch must not hold beyond the network's: these are no states of neurons.
_KINDS = ("weight", "bias", "running_mean", "running_var")
#: Settings that a message names at most.
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Progress:
    """What changes while a network is trained; `settings` say by name of which training it is, as JSON holds it."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    settings: Mapping[str, Any]


def save_checkpoint(progress: Progress, history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the training after as many epochs as `history` has rows, whole or not at all.

    Raises:
        InputError: no such folder.
    """
    tensors = _weights(progress.network)
    for index, values in progress.optimiser.state_dict()["state"].items():
        found = {key: value for key, value in values.items() if isinstance(value, torch.Tensor)}
        tensors |= {f"{_OPTIMISER}{index}.{key}": value.detach().cpu().numpy() for key, value in found.items()}
    head = {"format": FORMAT, "version": VERSION, "settings": dict(progress.settings), "history": list(history)}
    write_tensors(path, tensors, head)


def save_weights(network: nn.Module, path: Path, notes: Mapping[str, Any]) -> None:
    """Write the weights alone, as `load_weights` reads them."""
    write_tensors(path, _weights(network), {"format": FORMAT, "version": VERSION, "notes": dict(notes)})


def resume(progress: Progress, path: Path) -> list[dict[str, Any]]:
    """Put what `save_checkpoint` wrote into the parts of `progress`; the rows of its history.

    Raises:
        InputError: a checkpoint of another training; the message names what differs.
        FileFormatError: not a whole safetensors file.
    """
    tensors, metadata = _read(path)
    was, now = metadata.get("settings"), dict(progress.settings)
    if not isinstance(was, Mapping):
        raise InputError(
            f"{path} is a checkpoint of an earlier trainer, or of weights alone, and cannot go on: take its weights "
            f"as the start of a new training with --init {path} and another --out"
        )
    differ = [f"{key} was {was[key]} and is {now[key]}" for key in now if key in was and was[key] != now[key]]
    if differ:
        more = f" (and {len(differ) - _NAMED} more)" if len(differ) > _NAMED else ""
        raise InputError(
            f"{path} is a checkpoint of another training: {', '.join(differ[:_NAMED])}{more}; give what it had, "
            "another --out, or --restart to begin anew there"
        )
    load_weights(progress.network, path)
    try:
        _load_optimiser(progress.optimiser, tensors)
        return [dict(row) for row in metadata["history"]]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is a damaged checkpoint ({error}): begin anew with --restart") from error


def read_history(path: Path) -> list[dict[str, Any]]:
    """What a checkpoint's training has found so far, a row an epoch.

    Raises:
        InputError: no such file, or no checkpoint.
        FileFormatError: not a whole safetensors file.
    """
    history = _read(path)[1].get("history")
    return [dict(row) for row in history] if isinstance(history, list) else []


def load_weights(network: nn.Module, path: Path, fresh: Sequence[str] = ()) -> None:
    """Put the weights of a checkpoint, or of a file of torch, into a network of the same build.

    Args:
        path: `.safetensors` of a training; or what `torch.save` wrote, read as data (`network.checkpoint`).
        fresh: parameters that stay as they are where the file's have another shape.

    Raises:
        InputError: no such file, no checkpoint, or of another network; the message names the parameters.
        FileFormatError: not a whole safetensors file.
    """
    wanted = _lasting(network)
    given = _given(path, wanted)
    shapes = {name: tuple(value.shape) or (1,) for name, value in wanted.items()}
    missing = sorted(set(wanted) ^ set(given))
    other = [n for n in wanted if n in given and given[n].shape != shapes[n] and n not in fresh]
    if missing or other:
        what = f"only one of the two has {listed(missing)}" if missing else _shapes_differ(other, given, shapes)
        one = any(".parametrizations." in name for name in missing)
        other_way = "; one of the two trains standardised filters: go on from its network.safetensors" if one else ""
        raise InputError(
            f"{path} is a checkpoint of another network: {what}; build the one that it was written for{other_way}"
        )
    with torch.no_grad():
        for name, value in wanted.items():
            if given[name].shape == shapes[name]:
                value.copy_(torch.from_numpy(np.array(given[name])).reshape(value.shape))


def other_shapes(network: nn.Module, path: Path) -> list[str]:
    """Parameters that both have, in different shapes; errors as `load_weights`."""
    wanted = _lasting(network)
    given = _given(path, wanted)
    return [n for n, v in wanted.items() if n in given and given[n].shape != (tuple(v.shape) or (1,))]


def _shapes_differ(names: Sequence[str], given: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> str:
    each = [f"{name} is {list(given[name].shape)} there and {list(shapes[name])} here" for name in names[:_NAMED]]
    return ", ".join(each)


def _given(path: Path, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """Weights by name: of a checkpoint; or of a file of torch, where states of neurons may stand beside them."""
    if path.suffix != SUFFIX:
        found = read_checkpoint(path).weights
        taken = [name for name in found if name in wanted or name.rpartition(".")[2] in _KINDS]
        return {name: np.atleast_1d(found[name]) for name in taken}
    tensors, _ = _read(path)
    return {name.removeprefix(_NETWORK): value for name, value in tensors.items() if name.startswith(_NETWORK)}


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, NDArray[Any]]) -> None:
    state = optimiser.state_dict()
    for name, value in tensors.items():
        if name.startswith(_OPTIMISER):
            index, key = name.removeprefix(_OPTIMISER).split(".")
            array = np.array(value).reshape(() if key == "step" else value.shape)  # the file has no numbers alone
            state["state"].setdefault(int(index), {})[key] = torch.from_numpy(array)
    optimiser.load_state_dict(state)


def _weights(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {_NETWORK + name: value.detach().cpu().numpy() for name, value in _lasting(network).items()}


def _lasting(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and running statistics, without the states that neurons have at the moment."""
    statistics = {name: value for name, value in network.named_buffers() if "running_" in name}
    return dict(network.named_parameters()) | statistics


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of a training (format {metadata.get('format')!r})")
    return tensors, metadata
