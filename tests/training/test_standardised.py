"""Standardised filters: plain weights for everyone who reads them, mean 0 and a length of their own in training."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.errors import InputError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training import sized
from i2e_deploy.training.arrays import FrameSamples, data_of
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.loop import CHECKPOINT, fit
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.standardised import centre, standardise
from i2e_deploy.training.starting import take_weights

SHAPE, STEPS = (2, 24, 24), 3


def convolution(seed: int, size: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(3, 5, size, bias=False)
    nn.init.normal_(layer.weight, 0.3, 1.0, generator=torch.Generator().manual_seed(seed))
    return layer


def deep_network(seed: int = 0) -> nn.Sequential:
    plan, network = sized.sized_network("speck2f", "large", SHAPE, 3, STEPS, seed)
    assert plan.standardised
    assert isinstance(network, nn.Sequential)
    return network


def filters(network: nn.Sequential) -> list[Tensor]:
    return [layer.weight.detach() for layer in network if isinstance(layer, nn.Conv2d)]


def some_frames(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 2, (count, STEPS, *SHAPE)).astype(np.uint8)


@given(seed=st.integers(0, 2**31), size=st.integers(1, 5))
def test_filters_have_a_mean_of_0_and_start_as_they_were(seed: int, size: int) -> None:
    layer = convolution(seed, size)
    centre(layer.weight)
    before = layer.weight.detach().clone()
    standardise(layer)
    torch.testing.assert_close(layer.weight, before, rtol=1e-5, atol=1e-6)  # float32: divided and multiplied again
    direction, length = layer.parameters()
    with torch.no_grad():
        direction.add_(0.7)  # what a step may do
        length.mul_(3)
    weight = layer.weight.detach().double()
    assert weight.mean((1, 2, 3)).abs().max() < 1e-6
    lengths = weight.square().sum((1, 2, 3)).sqrt()
    torch.testing.assert_close(lengths, length.detach().flatten().double(), rtol=1e-5, atol=0)


def test_a_filter_of_zeros_stays_one_and_has_a_gradient() -> None:
    layer = convolution(0)
    with torch.no_grad():
        layer.weight.zero_()
    standardise(layer)
    layer(torch.ones(1, 3, 4, 4)).sum().backward()
    assert (layer.weight == 0).all()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in layer.parameters())


def test_readers_see_plain_weights_and_an_equal_forward() -> None:
    network = deep_network()
    read = from_sinabs(network, SHAPE, some_frames(2))  # its own forward is compared with what was read
    weights = [layer.op.weight for layer in read.layers if hasattr(layer.op, "weight")]
    held = [module.weight for module in network if isinstance(module, nn.Conv2d | nn.Linear)]
    for found, own in zip(weights, held, strict=True):
        np.testing.assert_array_equal(np.asarray(found).ravel(), own.detach().numpy().ravel())


def test_all_but_the_last_layer_keep_to_it_while_they_learn(tmp_path: Path) -> None:
    """Through a resume too: the same bits as without one."""
    samples = FrameSamples(some_frames(12), np.arange(12) % 3)
    data = data_of(samples, samples, ("a", "b", "c"))
    config = FitConfig(epochs=2, batch_size=4, merged=0.5, chip="speck2f", chip_samples=2)
    network, again = deep_network(), deep_network()
    start = deepcopy(filters(network))
    list(fit(network, data, config, tmp_path / "whole"))
    next(iter(fit(again, data, config, tmp_path / "parts")))
    resumed = deep_network()
    list(fit(resumed, data, config, tmp_path / "parts"))
    assert all(map(torch.equal, network.parameters(), resumed.parameters()))
    assert not any(map(torch.equal, start, filters(network)))
    assert all(weight.mean((1, 2, 3)).abs().max() < 1e-6 for weight in filters(network))
    other = deep_network(seed=1)
    take_weights(other, tmp_path / "whole" / CHECKPOINT)
    assert all(map(torch.equal, network.parameters(), other.parameters()))


def test_a_limit_of_computed_weights_is_refused() -> None:
    samples = FrameSamples(some_frames(3), np.arange(3))
    config = FitConfig(optimising=Optimising(weight_limit=0.25))
    with pytest.raises(InputError, match=r"weight_limit is 0\.25, and the weights of 0, 2.* are computed"):
        next(iter(fit(deep_network(), data_of(samples, samples, ("a", "b", "c")), config)))
