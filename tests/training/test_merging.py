"""Merged epochs are for networks that do the same with the sum of their steps; others are refused by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sinabs.activation import Heaviside, MembraneReset, SingleSpike
from sinabs.layers import IAFSqueeze, LIFSqueeze
from torch import nn
from training_data import STEPS, bar_data

from i2e_deploy.errors import InputError
from i2e_deploy.training import FitConfig, fit

OPTIONS: dict[str, Any] = {"num_timesteps": STEPS, "surrogate_grad_fn": Heaviside(window=1.0)}


def network(first: nn.Module, *between: nn.Module, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    neurons = IAFSqueeze(min_v_mem=-1.0, **OPTIONS)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=bias), *between, first, nn.Flatten(), nn.LazyLinear(2, bias=False),
        neurons,
    )  # fmt: skip


def adding(**options: Any) -> nn.Module:
    neurons: nn.Module = IAFSqueeze(min_v_mem=-1.0, **OPTIONS, **options)
    return neurons


@pytest.mark.parametrize(
    ("build", "why"),
    [
        (lambda: network(adding(), bias=True), "a bias in every step"),
        (lambda: network(adding(), nn.BatchNorm2d(6)), "batch norm"),
        (lambda: network(adding(reset_fn=MembraneReset())), "a reset to 0"),
        (lambda: network(adding(spike_fn=SingleSpike)), "at most 1 spike a step"),
        (lambda: network(LIFSqueeze(tau_mem=5.0, norm_input=False, **OPTIONS)), "neurons that leak"),
        (lambda: network(nn.Sequential(adding(spike_fn=SingleSpike), nn.MaxPool2d(2))), "a maximum"),
    ],
    ids=["bias", "norm", "reset", "single", "leak", "maximum"],
)
def test_what_sees_steps_apart_is_refused(build: Callable[[], nn.Module], why: str) -> None:
    data = bar_data(8, 8)
    module = build()
    module(torch.zeros(STEPS, *data.input_shape))
    config = FitConfig(epochs=2, batch_size=4, merged=0.5, chip="loihi2")
    with pytest.raises(InputError, match=why):
        next(iter(fit(module, data, config)))


def test_neurons_that_only_add_are_taken() -> None:
    data = bar_data(8, 8)
    module = network(adding())
    module(torch.zeros(STEPS, *data.input_shape))
    config = FitConfig(epochs=1, batch_size=4, merged=1.0, chip="loihi2", chip_samples=2)
    assert len(list(fit(module, data, config))) == 1
