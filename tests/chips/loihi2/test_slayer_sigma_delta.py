"""Sigma-Delta blocks and sums with drawn values: exact as the program computes, or refused, live against SLAYER."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from children import needs_lava
from slayer_beside import lateness
from slayer_blocks import (
    CUBA,
    DELTA,
    Row,
    compared,
    dense_sd,
    doubts,
    frames_for,
    mean_norm,
    normed,
    refused,
    slayer,
)  # fmt: skip
from torch import nn

import i2e_deploy as i2e
from i2e_deploy.chips.loihi2 import from_slayer, read_netx, write_netx
from i2e_deploy.chips.loihi2.program import SigmaDelta
from i2e_deploy.errors import UnsupportedError

pytestmark = needs_lava


@pytest.mark.parametrize("seed", range(5))
def test_set_bias_is_read(seed: int, tmp_path: Path) -> None:
    """Agreement: exact, alone and with a norm; `.net` files hold it; a value off the grid is refused."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = normed(rng, dense_sd(8, 10, 6, 3, norm=mean_norm() if seed % 2 else None), 0.05)
    for block in list(module)[1:-1]:
        bias = torch.from_numpy(rng.integers(-9, 9, tuple(block.neuron.shape)) / 64).float()
        block.neuron.set_bias(bias)
    network = compared(module, rng, True)
    assert all(block.bias is not None and block.bias.any() for block in network.blocks[1:-1])
    assert lateness(network) == 3
    write_netx(network, tmp_path / "bias.net")
    again = read_netx(tmp_path / "bias.net")
    for block, other in zip(network.blocks, again.blocks, strict=True):
        assert (block.bias is None and other.bias is None) or np.array_equal(block.bias, other.bias)  # type: ignore[arg-type]
    module[1].neuron.set_bias(bias := torch.full((10,), 0.1))
    refused(module, rng, True, "set_bias holds 0.1")
    module[1].neuron.set_bias(torch.round(bias * 64) / 64)
    compared(module, rng, True)


@pytest.mark.parametrize("seed", range(3))
def test_set_bias_of_every_neuron_of_an_image(seed: int, tmp_path: Path) -> None:
    """Agreement: exact. A bias a neuron stands in no `.net` file, one a channel does."""
    rng, block = np.random.default_rng(seed), slayer().block.sigma_delta
    torch.manual_seed(seed)
    conv = block.Conv(DELTA, 2, 4, 3, padding=1, weight_scale=3)
    blocks = [block.Input(DELTA), conv, block.Flatten(), block.Output(DELTA, 4 * 5 * 3, 3, weight_scale=2)]
    module: Any = Row(*blocks, shape=(2, 5, 3))
    conv.neuron.set_bias(torch.from_numpy(rng.integers(-9, 9, (4, 5, 3)) / 64).float())
    network = compared(module, rng, True)
    assert network.blocks[1].bias.shape == (60,)  # type: ignore[union-attr]
    folder = tmp_path / "bundle"
    i2e.bundle.write(folder, i2e.chips.get("loihi2"), network, np.zeros((1, 4, 2, 5, 3), np.int64))
    assert i2e.bundle.verify(i2e.bundle.read(folder)).exact
    with pytest.raises(UnsupportedError, match="bias of its own for each neuron"):
        write_netx(network, tmp_path / "x.net")
    conv.neuron.bias.data = torch.from_numpy(rng.integers(-9, 9, (4, 1, 1)) / 64).float()
    network = compared(module, rng, True)
    assert network.blocks[1].bias.shape == (4,)  # type: ignore[union-attr]
    write_netx(network, tmp_path / "x.net")


@pytest.mark.parametrize("seed", range(4))
def test_a_bias_that_reaches_the_threshold_is_a_warning_or_refused(seed: int) -> None:
    """It is sent at t = 1, before SLAYER's layer j starts at 1 + j."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = normed(rng, dense_sd(8, 10, 6, 3, norm=mean_norm()), 0.2)  # below the threshold of 0.25
    assert "bias alone" not in doubts(compared(module, rng, True))
    normed(rng, module, 0.6)
    network = from_slayer(module)
    assert re.search(r"bias alone sends \d+ channels? in the first 1 step.*bias alone sends \d+", doubts(network))
    with pytest.raises(UnsupportedError, match="the bias alone sends"):
        from_slayer(module, example=frames_for(rng, module.shape, True))


@pytest.mark.parametrize("seed", range(4))
def test_learned_thresholds(seed: int) -> None:
    """Agreement: exact on the grid of 1/64; an input's is rounded up, which is exact; others off it are refused."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = dense_sd(8, 10, 6, 3)
    for block, value in zip(module, (rng.uniform(0.01, 0.3), *rng.integers(3, 30, 2) / 64, 0.7), strict=True):
        block.neuron.delta.threshold.data = torch.tensor([float(value)])
    network = compared(module, rng, True)
    assert isinstance(network.blocks[1].neuron, SigmaDelta)
    assert network.blocks[1].neuron.threshold == 64 * module[1].neuron.delta.threshold.item()
    module[2].neuron.delta.threshold.data = torch.tensor([0.1234])
    refused(module, rng, True, "threshold 0.1234 is between steps of 1/64, and Lava would take 7/64")


def test_thresholds_of_each_channel() -> None:
    rng = np.random.default_rng(0)
    module = dense_sd(8, 10, 6, 3, shared_param=False)
    compared(module, rng, True)
    module[1].neuron.delta.threshold.data[3] = 0.5
    refused(module, rng, True, "2 thresholds from 16/64 to 32/64 (shared_param=False)")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scale": 32}, "scale=32"),
        ({"activation": torch.sigmoid}, "activation 'sigmoid'"),
    ],
)
def test_sigma_delta_that_the_chip_does_not_have(options: dict[str, Any], text: str) -> None:
    refused(dense_sd(8, 10, 3, **options), np.random.default_rng(0), True, text)


class Skips(nn.Module):
    """Sums over ways of different length, in one family of blocks."""

    def __init__(self, sigma_delta: bool, shifts: Any) -> None:
        super().__init__()
        block = slayer().block.sigma_delta if sigma_delta else slayer().block.cuba
        neuron, self.shape = (DELTA if sigma_delta else CUBA), (2, 5, 4)
        extra = [{} if shift is None else {"delay_shift": bool(shift)} for shift in shifts]
        self.start = block.Input(neuron) if sigma_delta else nn.Identity()
        self.a = block.Conv(neuron, 2, 4, 3, padding=1, weight_scale=3, **extra[0])
        self.b = block.Conv(neuron, 4, 4, 3, padding=1, weight_scale=2, **extra[1])
        self.c = block.Conv(neuron, 4, 4, 3, padding=1, weight_scale=2, groups=2, **extra[2])
        self.flat = block.Flatten()
        self.d = block.Dense(neuron, 80, 80, weight_scale=2, **extra[3])
        self.e = block.Dense(neuron, 80, 5, weight_scale=2)
        with torch.no_grad():
            self(torch.zeros(2, *self.shape, 3))

    def forward(self, x: Any) -> Any:
        x = self.a(self.start(x))
        y = self.b(x)
        x = self.flat(x + y + self.c(y))
        return self.e(x + self.d(x))


class Beside(nn.Module):
    """Frames beside an input block that turns them into other numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.shape, block = (8,), slayer().block.cuba
        self.start, self.a = block.Input(CUBA), block.Dense(CUBA, 8, 5, weight_scale=3)
        with torch.no_grad():
            self(torch.zeros(2, 8, 3))

    def forward(self, x: Any) -> Any:
        return self.a(x + self.start(x))


def test_frames_beside_an_input_block_are_refused() -> None:
    refused(Beside(), np.random.default_rng(0), False, "takes the frames that feed an Input block with neurons too")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sigma_delta", [True, False])
def test_sums_meet_whatever_the_delay_shift(sigma_delta: bool, seed: int) -> None:
    """Agreement: exact; delay_shift=False is what every Sigma-Delta block has if not told otherwise."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    shifts = [None] * 4 if seed == 0 else rng.integers(0, 2, 4)
    compared(Skips(sigma_delta, shifts), rng, sigma_delta)
