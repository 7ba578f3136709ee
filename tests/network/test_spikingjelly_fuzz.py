"""Drawn networks of SpikingJelly: what is read computes what the module's own forward does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from numpy.random import Generator
from torch import nn

from i2e_deploy.network import from_spikingjelly

functional: Any = pytest.importorskip("spikingjelly.activation_based.functional")
layer: Any = pytest.importorskip("spikingjelly.activation_based.layer")
neuron: Any = pytest.importorskip("spikingjelly.activation_based.neuron")

BATCH, STEPS, SHAPE = 2, 6, (2, 8, 8)


def neurons(rng: Generator) -> Any:
    """Lively ones, of any class that is read, in step mode "s"."""
    given: dict[str, Any] = {"v_threshold": float(rng.uniform(0.1, 0.5))}
    given["v_reset"] = [None, 0.0, float(rng.uniform(0, 0.05))][rng.integers(3)]
    leaky = {"tau": float(rng.uniform(1.1, 4)), "decay_input": bool(rng.integers(2)), **given}
    return [
        lambda: neuron.IFNode(**given),
        lambda: neuron.LIFNode(**leaky),
        lambda: neuron.KLIFNode(scale_reset=bool(rng.integers(2)), **leaky),
        lambda: neuron.ParametricLIFNode(init_tau=2.5, **given),
        lambda: neuron.HalfThresholdIFNode(given["v_threshold"]),
    ][rng.integers(5)]()


class Residual(nn.Module):
    """Two branches, added in one of the ways that people write, or side by side."""

    def __init__(self, rng: Generator, width: int) -> None:
        super().__init__()
        self.way = int(rng.integers(4))
        self.conv, self.norm = layer.Conv2d(width, width, 3, padding=1, bias=False), layer.BatchNorm2d(width)
        self.short, self.fire = layer.Conv2d(width, width, 1), neurons(rng)
        self.mix = layer.Conv2d(2 * width, width, 1)

    def forward(self, x: Any) -> Any:
        out = self.norm(self.conv(x))
        if self.way == 0:
            out += x
        elif self.way == 1:
            out = out + self.short(x)
        elif self.way == 2:
            out = self.mix(torch.cat([out, x], dim=-3))
        return self.fire(out)


def drawn(rng: Generator) -> tuple[Any, bool]:
    """A network, and whether it takes all steps at once."""
    width, whole = int(rng.integers(2, 5)), bool(rng.integers(2))
    parts: list[Any] = [layer.Conv2d(2, width, 3, padding=1, bias=bool(rng.integers(2)))]
    parts += [layer.BatchNorm2d(width)] if rng.integers(2) else []
    parts += [neurons(rng), [layer.MaxPool2d(2), layer.AvgPool2d(2), layer.AvgPool2d(2, 2)][rng.integers(3)]]
    parts += [Residual(rng, width)] if rng.integers(2) else []
    parts += [layer.Delay(int(rng.integers(0, 3)))] if rng.random() < 0.3 else []
    parts += [layer.Dropout(0.5), layer.Flatten(), layer.Linear(width * 16, 12)]
    if rng.random() < 0.3:
        parts.append(layer.LinearRecurrentContainer(neurons(rng), 12, 12))
    else:
        parts.append(neurons(rng))
    parts += [layer.VotingLayer(4)] if rng.random() < 0.3 else [layer.Linear(12, 5)] if rng.random() < 0.3 else []
    net = nn.Sequential(*parts)
    functional.set_step_mode(net, "m" if whole else "s")
    for part in net.modules():
        if isinstance(part, layer.LinearRecurrentContainer):  # which set_step_mode leaves what it holds as it is
            part.step_mode = "m" if whole else "s"
        if isinstance(part, nn.BatchNorm2d):
            with torch.no_grad():
                part.running_var.uniform_(0.05, 0.3)  # type: ignore[union-attr]
                part.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
    return net, whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_drawn_networks_compute_what_their_own_forward_does(seed: int) -> None:
    """25 a seed: outputs equal but for what the last bit of float32 decides, in 1 of 100 networks at most."""
    apart, seen = 0, Counter[str]()
    for number in range(25):
        rng = np.random.default_rng([seed, number])
        torch.manual_seed(1000 * seed + number)
        net, whole = drawn(rng)
        frames = rng.poisson(0.7, (BATCH, STEPS, *SHAPE)).astype(np.float32)
        network = from_spikingjelly(net, SHAPE, frames)
        assert not any(note.doubtful for note in network.notes)
        functional.reset_net(net.eval())
        steps = torch.from_numpy(frames).transpose(0, 1)
        with torch.no_grad():
            out = net(steps) if whole else torch.stack([net(x) for x in steps])
        theirs = out.transpose(0, 1).reshape(BATCH, STEPS, -1).numpy()
        ours = network.run(frames).output
        apart += bool((np.abs(ours - theirs) > 1e-4 * max(1.0, np.abs(theirs).max())).any())
        seen.update(["fires"] * bool(theirs.any()), **{type(part.op).__name__: 1 for part in network.layers})
    assert apart <= 1, f"{apart} of 25 networks differ"
    assert seen["fires"] > 15
    assert {"Add", "Concat", "Conv2d", "Delay", "LeakyIntegrateAndFire", "Linear", "MaxPool2d", "Pool2d"} <= set(seen)
