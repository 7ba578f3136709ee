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


def own_forward(module: nn.Module, frames: torch.Tensor) -> Any:
    """What the module gives from a fresh state in evaluation mode, which is then put back."""
    modes = [(part, part.training) for part in module.modules()]
    for part in module.eval().modules():
        if isinstance(part, sl.StatefulLayer):
            part.reset_states()
    with torch.no_grad():
        out = module(frames.flatten(0, 1)).reshape(BATCH, STEPS, -1).numpy()
    for part, training in modes:
        part.training = training
    return out


def drawn(rng: np.random.Generator, names: list[str]) -> nn.Module:
    """A row with these changes, those of its parts first."""
    module: nn.Module = row(rng)
    for name in sorted(names, key=["nested", "in a class", "a row with another forward"].__contains__):
        if isinstance(module, nn.Sequential):
            module = CHANGES[name].apply(rng, module) or module
    return module


def reason(error: Exception) -> str:
    """The message without names and numbers."""
    return re.sub(r"'[^']*'|\d+(\.\d+)?", "*", str(error))[:90]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(4))
def test_drawn_modules_are_read_right_or_refused(seed: int) -> None:
    """Agreement: equal spikes; with weights that float32 rounds, all but 1 %."""
    rng, names = np.random.default_rng(seed), list(CHANGES)
    read, refused, wrong, alone = Counter[str](), Counter[str](), [], Counter[str]()
    for number in range(120):
        chosen = [names[number % len(names)], *rng.choice(names, rng.integers(0, 3))]
        chosen = list(dict.fromkeys(map(str, chosen)))
        module, frames = drawn(rng, chosen), rng.poisson(0.6, (BATCH, STEPS, *SHAPE))
        try:
            network = from_sinabs(module, SHAPE)
        except (UnsupportedError, InputError) as error:
            refused[reason(error)] += 1
            alone.update(chosen if len(chosen) == 1 else [])
            continue
        theirs = own_forward(module, torch.from_numpy(frames).float())
        apart = float((network.run(frames).output != theirs).mean())
        if apart > (0.0 if all(CHANGES[name].exact for name in chosen) else 0.01):
            wrong.append((chosen, apart))
        read.update(chosen)
    print(f"read {sum(read.values())}, refused {sum(refused.values())}", *refused.most_common(), sep="\n")
    assert not wrong
    readable = {name for name, change in CHANGES.items() if change.readable}
    assert set(read) == readable
    assert set(alone) <= set(names) - readable
    assert sum(refused.values()) > 30
