"""Hundreds of drawn modules with drawn changes: what is read computes what the module's own forward does, or it is
refused. Nothing is read otherwise."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import sinabs.layers as sl
import torch
from changed_modules import BATCH, CHANGES, SHAPE, STEPS, row
from torch import nn

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import from_sinabs

pytestmark = pytest.mark.filterwarnings("ignore")


def own_forward(module: nn.Module, frames: Any) -> Any:
    """What the module gives from a fresh state in evaluation mode, in which it is left."""
    for part in module.eval().modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()
    with torch.no_grad():
        return module(torch.from_numpy(frames).float().flatten(0, 1)).reshape(BATCH, STEPS, -1).numpy()


def drawn(rng: np.random.Generator, names: set[str]) -> nn.Module:
    module = row(rng)
    for name, change in CHANGES.items():
        if name in names:
            module = change.apply(rng, module) or module  # type: ignore[assignment]
    return module


def difference(network: Any, module: nn.Module, frames: Any) -> float:
    """Share of the numbers that leave the network in which it differs from the module."""
    return float((network.run(frames).output != own_forward(module, frames)).mean())


def reason(error: Exception) -> str:
    """The message without names and numbers."""
    return re.sub(r"'[^']*'|\d+(\.\d+)?", "*", str(error))[:90]


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_read_right_or_refused(name: str) -> None:
    """Agreement as below. What is refused does compute something else than the layers say."""
    changed = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frames = rng.poisson(0.6, (BATCH, STEPS, *SHAPE))
        module = drawn(np.random.default_rng(seed), {name})
        if CHANGES[name].readable:
            assert difference(from_sinabs(module, SHAPE), module, frames) <= (0 if CHANGES[name].exact else 0.01)
        else:
            with pytest.raises(UnsupportedError):
                from_sinabs(module, SHAPE)
            changed.append((own_forward(module, frames) != own_forward(row(np.random.default_rng(seed)), frames)).any())
    assert CHANGES[name].readable or any(changed)


@pytest.mark.parametrize("seed", range(3))
def test_several_changes_at_once_are_read_right_or_refused(seed: int) -> None:
    """Agreement: equal spikes; with weights that float32 rounds, all but 1 %."""
    rng, readable = np.random.default_rng(seed), [name for name, change in CHANGES.items() if change.readable]
    others = [name for name in CHANGES if name not in readable]
    read, refused, wrong = Counter[str](), Counter[str](), []
    for number in range(120):
        chosen = {str(name) for name in rng.choice(readable, rng.integers(2, 5))}
        chosen |= {str(rng.choice(others))} if number % 3 == 0 else set()
        module, frames = drawn(rng, chosen), rng.poisson(0.6, (BATCH, STEPS, *SHAPE))
        try:
            network = from_sinabs(module, SHAPE)
        except (UnsupportedError, InputError) as error:
            refused[reason(error)] += 1
            continue
        apart = difference(network, module, frames)
        if apart > (0.0 if all(CHANGES[name].exact for name in chosen) else 0.01):
            wrong.append((chosen, apart))
        read.update(chosen)
    print(f"read {120 - refused.total()}, refused {refused.total()}:", *refused.most_common(), sep="\n")
    assert not wrong
    assert set(read) == set(readable)
    assert refused.total() == 40
