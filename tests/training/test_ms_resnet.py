"""The paper's networks: against SpikingJelly's layers and neurons with the same weights, forward and backward."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2e_deploy.errors import InputError
from i2e_deploy.training.ms_resnet import LIF, ms_resnet


def test_weights_have_the_names_and_shapes_of_the_authors_checkpoints() -> None:
    """11.18 million weights at depth 18 with 10 classes, 21.8 million at depth 34 with 1000: as published."""
    small, large = ms_resnet(18, 10), ms_resnet(34, 1000)
    assert round(sum(p.numel() for p in small.parameters()) / 1e6, 2) == 11.18
    assert round(sum(p.numel() for p in large.parameters()) / 1e6, 1) == 21.8
    shapes = {name: tuple(value.shape) for name, value in small.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 2, 7, 7)
    assert shapes["fc.bias"] == (10,)
    assert shapes["layer2.0.downsample.1.weight"] == (128, 64, 1, 1)
    assert shapes["layer2.0.downsample.2.running_var"] == (128,)
    assert shapes["layer4.1.bn2.weight"] == (512,)
    assert "layer1.0.downsample.1.weight" not in shapes
    assert len([name for name in large.state_dict() if name.startswith("layer3.")]) == 6 * 12 + 6


def _theirs(weights: dict[str, Tensor], blocks: tuple[int, ...], frames: Tensor) -> Tensor:
    """The authors' order of work, from the weights, with SpikingJelly's multi-step neurons; time is outermost."""
    neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate: Any = pytest.importorskip("spikingjelly.activation_based.surrogate")
    steps = frames.shape[1]

    def fire(x: Tensor) -> Tensor:
        node = neuron.LIFNode(2.0, False, 1.0, 0.0, surrogate.ATan(), detach_reset=True, step_mode="m")
        spikes: Tensor = node(x.reshape(steps, -1, *x.shape[1:])).flatten(0, 1)
        return spikes

    def conv(name: str, x: Tensor, stride: int = 1, padding: int = 1) -> Tensor:
        return nn.functional.conv2d(x, weights[f"{name}.weight"], None, stride, padding)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
        return nn.functional.batch_norm(x, mean, variance, weights[f"{name}.weight"], weights[f"{name}.bias"])

    x = norm("bn1", conv("conv1", frames.transpose(0, 1).flatten(0, 1), 2, 3))
    x = nn.functional.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        for index in range(count):
            name, stride = f"layer{stage}.{index}", 2 if stage > 1 and index == 0 else 1
            out = norm(f"{name}.bn1", conv(f"{name}.conv1", fire(x), stride))
            out = norm(f"{name}.bn2", conv(f"{name}.conv2", fire(out)))
            if f"{name}.downsample.1.weight" in weights:
                x = norm(f"{name}.downsample.2", conv(f"{name}.downsample.1", fire(x), stride, 0))
            x = x + out
    x = fire(x.mean((2, 3)))
    logits = nn.functional.linear(x, weights["fc.weight"], weights["fc.bias"])
    return logits.reshape(steps, -1, logits.shape[1]).mean(0)


@pytest.mark.parametrize("seed", range(6))
def test_computes_what_spikingjellys_neurons_compute_in_the_authors_order(seed: int) -> None:
    """Logits and gradients of every weight; drawn blocks, widths, sizes, weights and running statistics."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    blocks = tuple(int(n) for n in rng.integers(1, 3, size=rng.integers(1, 4)))
    network = ms_resnet(blocks, int(rng.integers(2, 6)), width=int(rng.integers(2, 6)), generator=generator).double()
    for name, value in network.named_buffers():
        if "running" in name:
            value.copy_(torch.rand(value.shape, generator=generator) + (0.2 if "var" in name else -0.5))
    network.eval()
    batch, steps, height, width = (int(n) for n in rng.integers((1, 1, 9, 9), (4, 6, 30, 30)))
    frames = torch.randint(0, 3, (batch, steps, 2, height, width), generator=generator).double()
    weights = {n: v.detach().clone().requires_grad_(v.is_floating_point()) for n, v in network.state_dict().items()}
    weights |= {n: v.detach() for n, v in weights.items() if "running" in n}
    wanted = _theirs(weights, blocks, frames)
    given = network(frames).mean(1)
    torch.testing.assert_close(given, wanted, rtol=1e-9, atol=1e-12)
    pull = torch.randn(given.shape, generator=generator, dtype=torch.float64)
    torch.autograd.backward((given * pull).sum())
    torch.autograd.backward((wanted * pull).sum())
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-7, atol=1e-10)


def test_neurons_are_spikingjellys() -> None:
    """One layer of neurons: spikes and gradients, drawn time constants and thresholds."""
    neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate: Any = pytest.importorskip("spikingjelly.activation_based.surrogate")
    rng, generator = np.random.default_rng(5), torch.Generator().manual_seed(5)
    for _ in range(20):
        tau, threshold = float(rng.uniform(1.1, 5)), float(rng.uniform(0.2, 2))
        mine = torch.randn((3, int(rng.integers(1, 9)), 4), generator=generator, dtype=torch.float64) * 2
        other = mine.clone().requires_grad_()
        mine.requires_grad_()
        node = neuron.LIFNode(tau, False, threshold, 0.0, surrogate.ATan(), detach_reset=True, step_mode="m")
        given, wanted = LIF(tau, threshold)(mine), node(other.transpose(0, 1)).transpose(0, 1)
        assert torch.equal(given, wanted)
        pull = torch.randn(given.shape, generator=generator, dtype=torch.float64)
        torch.autograd.backward((given * pull).sum())
        torch.autograd.backward((wanted * pull).sum())
        torch.testing.assert_close(mine.grad, other.grad)


def test_a_generator_gives_the_same_weights_and_other_depths_are_refused() -> None:
    first, second = (ms_resnet((1, 1), 3, width=4, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for depth, classes in ((19, 10), ((), 10), ((2, 0), 10), (18, 0)):
        with pytest.raises(InputError, match="depth"):
            ms_resnet(depth, classes)


def test_a_small_stem_keeps_the_size() -> None:
    network = ms_resnet((1, 1), 3, width=4, small_stem=True)
    assert network(torch.zeros(2, 3, 2, 8, 8)).shape == (2, 3, 3)
