"""Families of spiking networks from SpikingJelly on Loihi 2: each is lowered, or refused by layer with the reason."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from i2e_deploy.chips import get
from i2e_deploy.chips.loihi2.lowering.lower import beside
from i2e_deploy.chips.loihi2.relay import Relay
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import Network, from_spikingjelly

functional: Any = pytest.importorskip("spikingjelly.activation_based.functional")
layer: Any = pytest.importorskip("spikingjelly.activation_based.layer")
neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")
CHIP = get("loihi2")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its package of networks, which needs of torchvision a function that downloads weights."""
    if importlib.util.find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.models", "torchvision.models.utils"):
            stand_in: Any = ModuleType(name)
            stand_in.load_state_dict_from_url = None
            monkeypatch.setitem(sys.modules, name, stand_in)
    return lambda name: importlib.import_module(f"spikingjelly.activation_based.model.{name}")


def read(module: nn.Module, shape: tuple[int, ...]) -> tuple[Network, Any]:
    """With drawn batch norms; and frames of events."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            with torch.no_grad():
                part.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
                part.running_var.uniform_(0.1, 0.6)  # type: ignore[union-attr]
                part.bias.normal_(0.1, 0.2)
    functional.set_step_mode(module, "m")
    frames = (np.random.default_rng(0).random((1, 4, *shape)) < 0.2).astype(np.uint8)
    return from_spikingjelly(module.eval(), shape, frames.astype(np.float32)), frames


def close_at_first(network: Network, frames: Any, layers: int) -> dict[str, type]:
    """Lowered, its first layers spike as in float but for rounding; kinds of neurons by block."""
    found = beside(network, frames)
    spiking = [loss.spikes for loss in found.losses if loss.spikes is not None]
    for spikes in spiking[:layers]:
        assert spikes.wanted > 50
        assert spikes.differing < 0.1 * spikes.wanted
    return {block.name: type(block.neuron) for block in found.network.blocks}


def test_sew_resnet_adds_spikes_by_synapses_and_needs_no_values(models: Any) -> None:
    sew = models("sew_resnet")
    net = sew.SEWResNet(sew.BasicBlock, [1, 1, 1, 1], num_classes=4, cnf="ADD", spiking_neuron=neuron.LIFNode,
                        v_threshold=0.3)  # fmt: skip
    kinds = close_at_first(*read(net, (3, 32, 32)), 2)
    assert Relay not in kinds.values()
    assert "maxpool" in kinds  # of spikes without values: standard neurons


def test_spiking_resnet_is_lowered_too(models: Any) -> None:
    plain = models("spiking_resnet")
    net = plain.SpikingResNet(plain.BasicBlock, [1, 1, 1, 1], num_classes=4, spiking_neuron=neuron.LIFNode,
                              v_threshold=0.3)  # fmt: skip
    assert Relay not in close_at_first(*read(net, (3, 32, 32)), 2).values()


def test_ms_resnet_of_spikingjelly_carries_its_sums(models: Any) -> None:
    """Its own LIF (tau 4/3, threshold 0.5), three stages, and the maximum of values in its stem."""
    ms = models("ms_resnet")
    net = ms.MSResNet(T=4, in_channels=2, num_classes=4, layers=(2, 1, 1), base_channels=8, stem_pool=True)
    body = nn.Sequential(net.stem, net.layer1, net.layer2, net.layer3, net.head_lif, layer.Flatten(), nn.Identity())
    network, frames = read(body, (2, 32, 32))
    kinds = close_at_first(network, frames, 1)
    carried = [name for name, kind in kinds.items() if kind is Relay and name.endswith("carried")]
    assert len(carried) >= 2


def vgg() -> nn.Module:
    """VGG-SNN: convolutions with neurons, average pooling between."""
    parts: list[nn.Module] = []
    for given, made in ((2, 8), (8, 16)):
        parts += [layer.Conv2d(given, made, 3, padding=1), layer.BatchNorm2d(made), neuron.LIFNode(v_threshold=0.3)]
        parts += [layer.AvgPool2d(2)]
    return nn.Sequential(*parts, layer.Flatten(), layer.Linear(16 * 4 * 4, 4))


def test_vgg_is_lowered() -> None:
    kinds = close_at_first(*read(vgg(), (2, 16, 16)), 2)
    assert list(kinds) == ["0", "4", "9"]


class Block(nn.Module):
    """A spike-driven block on tokens that are places of an image; attention is left out or SpikingJelly's."""

    def __init__(self, channels: int, attention: Any) -> None:
        super().__init__()
        self.embed = nn.Sequential(layer.Conv2d(2, channels, 3, stride=2, padding=1), layer.BatchNorm2d(channels))
        self.attention = attention
        self.first, self.wide = neuron.LIFNode(v_threshold=0.3), layer.Conv2d(channels, 2 * channels, 1)
        self.second, self.narrow = neuron.LIFNode(v_threshold=0.3), layer.Conv2d(2 * channels, channels, 1)
        self.last = neuron.LIFNode(v_threshold=0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        if self.attention is not None:
            x = x + self.attention(x)
        out: torch.Tensor = self.last(x + self.narrow(self.second(self.wide(self.first(x)))))
        return out


def test_of_a_spike_driven_block_the_mlp_is_lowered_and_attention_refused_by_name(models: Any) -> None:
    """Products of spikes have no synapse: the layer is named, with what it does."""
    network, frames = read(Block(16, None), (2, 16, 16))
    kinds = close_at_first(network, frames, 2)
    assert sum(kind is not Relay for kind in kinds.values()) == 3
    attention = models("spike_driven_transformer").SpikeDrivenSelfAttention
    with pytest.raises(UnsupportedError, match="'attention' is a SpikeDrivenSelfAttention, which multiplies spikes"):
        read(Block(16, attention(16, 2)), (2, 16, 16))
