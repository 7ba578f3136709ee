"""MS-ResNet from its state dict: against SpikingJelly's layers and neurons, the torch modules, and bad weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from i2e_deploy.errors import InputError
from i2e_deploy.network.ms_resnet import from_ms_resnet, is_ms_resnet
from i2e_deploy.training.ms_resnet import MSResNet, ms_resnet


def drawn_module(seed: int, small_stem: bool = False) -> MSResNet:
    """Of drawn blocks, width and running statistics, in float64."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    blocks = tuple(int(n) for n in rng.integers(1, 3, size=rng.integers(1, 4)))
    module = ms_resnet(blocks, 4, width=int(rng.integers(2, 6)), small_stem=small_stem, generator=generator)
    for name, value in module.named_buffers():
        if "running" in name:
            value.copy_(torch.rand(value.shape, generator=generator) + (0.2 if "var" in name else -0.5))
    return module.double().eval()


def drawn_frames(seed: int, steps: int = 5, size: int = 24) -> Tensor:
    return torch.randint(0, 3, (2, steps, 2, size, size), generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("seed", range(6))
def test_the_network_computes_what_the_module_computes(seed: int) -> None:
    """In float64; weights are float32 once folded, so potentials differ by that, which may move a spike."""
    module, frames = drawn_module(seed, seed % 3 == 2), drawn_frames(seed)
    state = dict(module.state_dict())
    network = from_ms_resnet({"i2e.weight": torch.ones(8, 1, 3, 3), **state}, (2, 24, 24))
    with torch.no_grad():
        wanted = module(frames).numpy()
    got = network.run(frames, dtype="float64").output
    assert np.abs(wanted).max() > 0
    assert (np.abs(got - wanted).max(axis=2) > 1e-4).mean() <= 0.05
    assert is_ms_resnet(state)
    assert "holds no strides and no neurons" in network.notes[0].text


@pytest.mark.parametrize("seed", range(4))
def test_spikingjelly_computes_what_the_network_computes(seed: int) -> None:
    """Oracle: SpikingJelly 2.0.0, its multi-step LIF nodes, with these weights in the authors' order."""
    layer: Any = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
    module, frames = drawn_module(seed), drawn_frames(seed)
    parts = dict(module.named_modules())

    def fire(x: Tensor) -> Tensor:
        spikes: Tensor = neuron.LIFNode(2.0, False, 1.0, 0.0, step_mode="m")(x)
        return spikes

    def whole(part: nn.Module) -> Any:
        return layer.SeqToANNContainer(part).eval()

    x = whole(nn.Sequential(module.conv1, module.bn1, module.maxpool))(frames.transpose(0, 1))
    for name in [name for name in parts if name.count(".") == 1 and name.startswith("layer")]:
        block: Any = parts[name]
        out = whole(nn.Sequential(block.conv1, block.bn1))(fire(x))
        out = whole(nn.Sequential(block.conv2, block.bn2))(fire(out))
        x = out + (x if block.downsample is None else whole(block.downsample[1:])(fire(x)))
    wanted = whole(module.fc)(fire(whole(module.avgpool)(x)).flatten(2)).transpose(0, 1).detach().numpy()
    got = from_ms_resnet(module.state_dict(), (2, 24, 24)).run(frames, dtype="float64").output
    assert np.abs(wanted).max() > 0
    assert (np.abs(got - wanted).max(axis=2) > 1e-4).mean() <= 0.05


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.pop("layer1.0.bn2.bias"), r"there is no layer1\.0\.bn2\.bias"),
        (lambda s: s.update({"head.weight": torch.ones(2, 2)}), r"weights head\.weight are none of an MS-ResNet's"),
        (lambda s: s.update({"bn1.running_var": -s["bn1.running_var"]}), r"bn1\.running_var is -"),
        (lambda s: s.update({"bn1.bias": s["bn1.bias"] * np.nan}), r"bn1\.bias is float64 \[\d\]: finite"),
        (lambda s: s.update({"fc.bias": torch.ones(3, dtype=torch.int64)}), r"fc\.bias is int64 \[3\]: finite"),
        (lambda s: s.update({"bn1.weight": torch.ones(9)}), "bn1 has 9 channels and conv1"),
        (lambda s: s.update({"layer5.0.conv1.weight": torch.ones(1, 1, 3, 3)}), "are not numbered"),
        (lambda s: s.update({"fc.weight": torch.ones(3)}), r"fc\.weight has shape \[3\]: 2 axes"),
    ],
)
def test_weights_that_are_none_are_refused_in_one_line(change: Any, text: str) -> None:
    state = dict(drawn_module(1).state_dict())
    change(state)
    with pytest.raises(InputError, match=text) as found:
        from_ms_resnet(state, (2, 24, 24))
    assert "\n" not in str(found.value)


def test_an_image_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match=r"input shape|leaves nothing|kernel"):
        from_ms_resnet(drawn_module(1).state_dict(), (2, 0, 0))
