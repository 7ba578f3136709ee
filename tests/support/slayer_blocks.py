"""Rows of SLAYER blocks with drawn parameters, and what a test asks of them: exact, or refused."""

from __future__ import annotations

import re
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from slayer_beside import agrees, own_output
from slayer_draws import Drawn
from torch import nn

from i2e_deploy.chips.loihi2 import BlockNetwork, from_slayer
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.lava_shim import import_lava

CUBA = {"threshold": 1.0, "current_decay": 0.25, "voltage_decay": 0.1}
DELTA = {"threshold": 0.25, "activation": nn.functional.relu}


def slayer() -> Any:
    import_lava()
    return import_module("lava.lib.dl.slayer")


class Row(nn.Sequential):
    """Blocks one after the other, after one batch."""

    def __init__(self, *blocks: Any, shape: tuple[int, ...] = (8,)) -> None:
        super().__init__(*blocks)
        self.shape = shape
        with torch.no_grad():
            self(torch.zeros(2, *shape, 3))


def frames_for(rng: np.random.Generator, shape: tuple[int, ...], sigma_delta: bool) -> Any:
    size = (2, 24, *shape)
    if sigma_delta:
        return (2 * rng.integers(-24, 24, size) / 64 * (rng.random(size) < 0.4)).astype(np.float32)
    return (rng.random(size) < 0.35).astype(np.float32)


def compared(module: Any, rng: np.random.Generator, sigma_delta: bool, **options: Any) -> BlockNetwork:
    """Read with an example; exact on other frames too, and the module does something."""
    network = from_slayer(module, example=frames_for(rng, module.shape, sigma_delta), **options)
    other, case = frames_for(rng, module.shape, sigma_delta), Drawn(module, module.shape, sigma_delta, "")
    assert agrees(network, case, other)
    assert np.count_nonzero(own_output(module, other)) > 5
    return network


def refused(module: Any, rng: np.random.Generator, sigma_delta: bool, text: str) -> None:
    for example in (frames_for(rng, module.shape, sigma_delta), None):
        with pytest.raises(UnsupportedError, match=re.escape(text)):
            from_slayer(module, module.shape, example=example)


def doubts(network: BlockNetwork) -> str:
    return " | ".join(note.text for note in network.notes if note.doubtful)


def dense_sd(*widths: int, **options: Any) -> Any:
    block, neuron = slayer().block.sigma_delta, {**DELTA, **options}
    dense = [block.Dense(dict(neuron), a, b, weight_scale=2) for a, b in pairwise(widths[:-1])]
    first = {k: v for k, v in neuron.items() if k != "norm"}
    return Row(block.Input(first), *dense, block.Output(first, *widths[-2:], weight_scale=2))


def dense_cuba(*widths: int, delay: bool = False, kind: str = "Dense", **options: Any) -> Any:
    """The last block has no delay."""
    make = getattr(slayer().block.cuba, kind)
    neuron, last = {**CUBA, **options}, len(widths) - 2
    pairs = pairwise(widths)
    return Row(*(make(dict(neuron), a, b, weight_scale=3, delay=delay and i < last) for i, (a, b) in enumerate(pairs)))


def normed(rng: np.random.Generator, module: Any, spread: float, variance: float = 0.0) -> Any:
    """Means of all norms drawn from a spread, and a variance."""
    for part in module.modules():
        if type(part).__name__.endswith("BatchNorm"):
            part.running_mean = torch.from_numpy(rng.uniform(-spread, spread, part.num_features)).float()
            part.running_var = torch.tensor([variance])
        if type(part).__name__ == "Delay":
            part.delay.data = torch.from_numpy(rng.uniform(0, 6, part.delay.shape)).float()
    return module


def mean_norm() -> Any:
    return slayer().neuron.norm.MeanOnlyBatchNorm
