"""What a training starts from: a user's own file, or weights that were trained before."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from i2e_deploy.errors import I2EDeployError, InputError
from i2e_deploy.text import listed, one_line
from i2e_deploy.training.checkpoint import load_weights, other_shapes
from i2e_deploy.training.samples import TrainingData


def network_of(place: str, data: TrainingData, seed: int) -> nn.Module:
    """What a function in a user's own file builds. The file is run: it can do whatever its user can.

    Args:
        place: `FILE.py:FUNCTION`.
        data: the function is given what its arguments ask for by name, of `input_shape` (C, H, W), `steps`, `classes`
            (their number; of a regression the values a sample) and `seed`.
        seed: also of torch's generator while the function runs.

    Raises:
        InputError: no such file or function, one that fails, or one that gives no torch module.
    """
    function, name = _function(place)
    values = len(data.classes) or int(data.test.batch(_first(), None).targets.shape[-1])
    known = {"input_shape": data.input_shape, "steps": data.steps, "classes": values, "seed": seed}
    asked = inspect.signature(function).parameters.values()
    unknown = [p.name for p in asked if p.name not in known and p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if unknown:
        raise InputError(f"{place}: {name} asks for {listed(unknown)}: it is given {', '.join(known)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            made = function(**{p.name: known[p.name] for p in asked if p.name in known})
        except I2EDeployError:
            raise
        except Exception as error:  # whatever a user's code raises
            raise InputError(f"{place} fails: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{place} gives {type(made).__name__}: let it return a torch module")
    return made


def _first() -> Any:
    import numpy as np

    return np.zeros(1, np.int64)


def _function(place: str) -> tuple[Callable[..., Any], str]:
    found = re.fullmatch(r"(.+\.py):([A-Za-z_]\w*)", place)
    if found is None:
        raise InputError(f"--network {place}: write FILE.py:FUNCTION, the function that builds the network")
    path, name = Path(found[1]), found[2]
    if not path.is_file():
        raise InputError(f"--network {place}: no such file: {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's code raises
        raise InputError(f"--network {place} fails: {type(error).__name__}: {one_line(error)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"--network {place}: {path} has no function {name}")
    return function, name


def take_weights(network: nn.Module, path: Path) -> list[str]:
    """Start from the weights of a checkpoint; the parameters that stay new, those of the last layer, as its size says.

    Raises:
        InputError: no such file, no checkpoint, or of another network.
        FileFormatError: not a whole safetensors file.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    last = names[-1].rpartition(".")[0]
    other = other_shapes(network, path)
    fresh = [name for name in other if name.rpartition(".")[0] == last]
    load_weights(network, path, fresh)
    return fresh
