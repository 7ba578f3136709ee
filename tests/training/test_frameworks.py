"""Networks of other frameworks are trained as they are, and tested on the chip's integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_data import SIDE, STEPS, bar_data, bars

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.training import FitConfig, Loss, Optimising, fit, running_of

CONFIG = FitConfig(
    epochs=12,
    batch_size=8,
    chip="loihi2",
    chip_samples=20,
    loss=Loss(scale=1.0),
    optimising=Optimising(learning_rate=0.02),
)


def spikingjelly_network(mode: str) -> nn.Module:
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    torch.manual_seed(0)
    step = {"step_mode": mode}
    network = nn.Sequential(
        layer.Conv2d(2, 6, 3, stride=2, padding=1, bias=False, **step),
        neuron.LIFNode(tau=2.0, decay_input=False, surrogate_function=surrogate.ATan(), **step),
        layer.Flatten(**step),
        layer.Linear(6 * (SIDE // 2) ** 2, 2, bias=False, **step),
        neuron.LIFNode(tau=2.0, decay_input=False, surrogate_function=surrogate.ATan(), **step),
    )
    functional.reset_net(network)
    return _louder(network)


def _louder(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(6).add_(0.05)
    return network


def snntorch_network(loops: bool) -> nn.Module:
    import snntorch

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False), nn.Linear(96, 2, bias=False)
            self.lif1 = snntorch.Leaky(beta=0.9, init_hidden=not loops)
            self.lif2 = snntorch.Leaky(beta=0.9, init_hidden=not loops, output=not loops)

        def forward(self, x: Tensor) -> Any:
            if not loops:
                return self.lif2(self.second(self.lif1(self.first(x)).flatten(1)))
            one, two, sent = self.lif1.init_leaky(), self.lif2.init_leaky(), []
            for frame in x:
                spikes, one = self.lif1(self.first(frame), one)
                spikes, two = self.lif2(self.second(spikes.flatten(1)), two)
                sent.append(spikes)
            return torch.stack(sent), two

    torch.manual_seed(0)
    return _louder(Net())


@pytest.mark.parametrize("mode", ["m", "s"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_spikingjelly(mode: str) -> None:
    pytest.importorskip("spikingjelly.activation_based", exc_type=ImportError)
    _learns(spikingjelly_network(mode), 2)


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_snntorch(loops: bool) -> None:
    pytest.importorskip("snntorch", exc_type=ImportError)
    _learns(snntorch_network(loops), 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_through_the_chip_is_refused_before_the_first_batch() -> None:
    pytest.importorskip("spikingjelly.activation_based", exc_type=ImportError)
    config = replace(CONFIG, through="chip")
    with pytest.raises(UnsupportedError, match=r"layers of SpikingJelly networks cannot be given the chip's spikes"):
        next(fit(spikingjelly_network("m"), bar_data(), config))


def _learns(network: nn.Module, layers: int) -> None:
    """The outputs are the module's own, step by step; the neurons are found; it learns; the chip agrees mostly."""
    running, frames = running_of(network), torch.from_numpy(bars(3).frames).float()
    with torch.no_grad():
        outputs = running.outputs(network, frames)
        assert torch.equal(running.outputs(network, frames), outputs)  # from a fresh state each time
        later = running.outputs(network, torch.cat([frames, frames], 1))
    assert outputs.shape == (3, STEPS, 2)
    assert torch.equal(later[:, :STEPS], outputs)
    assert outputs.sum() > 0
    assert len(running.neurons(network)) == layers
    results = list(fit(network, bar_data(64, 30), CONFIG))
    assert results[-1].loss < results[0].loss
    assert results[-1].test["accuracy"] > 0.75
    assert abs(results[-1].chip["accuracy"] - results[-1].test["accuracy"]) <= 0.25


def test_a_layout_that_shows_no_frames_is_refused() -> None:
    pytest.importorskip("snntorch", exc_type=ImportError)
    with pytest.raises(UnsupportedError, match='layout="static" shows one picture in every step'):
        running_of(snntorch_network(True), "static")


def test_numbers_are_counts() -> None:
    assert np.issubdtype(bars(2).frames.dtype, np.unsignedinteger)
