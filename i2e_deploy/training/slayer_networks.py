"""SLAYER networks for I2E digits that deploy as they are: no bias, so spike for spike what the chip computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

import torch
from torch import nn

from i2e_deploy.errors import InputError
from i2e_deploy.lava_shim import import_lava
from i2e_deploy.training.config import FitConfig
from i2e_deploy.training.digit_data import SIZE, STEPS
from i2e_deploy.training.fused_cuba import fuse
from i2e_deploy.training.losses import Loss
from i2e_deploy.training.optimising import Optimising
from i2e_deploy.training.slayer import SlayerNetwork, Timing

#: See `SlayerConfig`.
SlayerKind = Literal["conv", "dense", "recurrent", "sigma_delta"]
#: Longest delay before training, in steps.
MAX_DELAY = 4.0


@dataclass(frozen=True)
class CubaNeurons:
    """Current-based leaky integrate-and-fire neurons.

    Args:
        threshold: of the voltage, in units of the weights; those reach from -4 to 3.97.
        current_decay: share of the current that a step takes, 0 to 1. With `own_decays` the middle of the range.
        voltage_decay: the same of the voltage.
        own_decays: each channel has decays of its own, drawn from half to one and a half times the two above (at most
            1), and trained.
        slope: width of the surrogate gradient in thresholds, `exp(-|v / threshold - 1| / slope)`.
        height: of the surrogate gradient.
    """

    threshold: float = 1.0
    current_decay: float = 0.5
    voltage_decay: float = 0.05
    own_decays: bool = False
    slope: float = 0.5
    height: float = 1.0

    def parameters(self) -> dict[str, Any]:
        """As SLAYER's blocks take them."""
        decays = {"current_decay": self.current_decay, "voltage_decay": self.voltage_decay}
        ranges = {name: (0.5 * decay, min(1.0, 1.5 * decay)) for name, decay in decays.items()}
        # slayer/neuron/cuba.py:20 makes tau_grad 100 times wider and scale_grad 10 times lower; spike.py:20 halves it.
        gradient = {"tau_grad": self.slope / 100, "scale_grad": 20 * self.slope * self.threshold * self.height}
        return {
            "threshold": self.threshold, **gradient, "shared_param": not self.own_decays,
            "requires_grad": self.own_decays, **(ranges if self.own_decays else decays),
        }  # fmt: skip


@dataclass(frozen=True)
class SlayerConfig:
    """What to build.

    Args:
        kind: `conv`: three convolutions and a dense layer; `dense`: two dense layers; `recurrent`: the first of them
            also feeds itself; `sigma_delta`: a convolution and two dense layers of Sigma-Delta neurons.
        hidden: channels of the convolutions, and neurons of the hidden dense layer.
        neurons: of all layers but Sigma-Delta ones.
        delays: each hidden neuron of a dense layer has an axonal delay, which is trained.
        seed: of weights, decays and delays.
        classes: outputs.
    """

    kind: SlayerKind = "conv"
    channels: tuple[int, int, int] = (16, 32, 64)
    hidden: int = 512
    neurons: CubaNeurons = CubaNeurons()
    delays: bool = False
    seed: int = 0
    classes: int = 10


def build_slayer(config: SlayerConfig) -> SlayerNetwork:
    """An untrained network on frames [B, T, 2, 32, 32].

    Raises:
        MissingDependency: lava-dl is not installed.
        InputError: no such kind, or delays where a `.net` file cannot hold them.
    """
    if config.kind not in _BUILDERS:
        raise InputError(f"kind of network {config.kind!r}: choose one of {', '.join(_BUILDERS)}")
    if config.delays and config.kind != "dense":
        raise InputError(f"delays in a {config.kind} network: netx loads them in dense layers only")
    import_lava("training with SLAYER")
    with torch.random.fork_rng(devices=[]):  # SLAYER draws from the global generator, some of it in the first pass
        torch.manual_seed(config.seed)
        network = _BUILDERS[config.kind](config, import_module("lava.lib.dl.slayer").block)
        with torch.no_grad():
            network.spikes(torch.zeros(1, STEPS, 2, SIZE, SIZE))
            for part in network.modules():
                if isinstance(delay := getattr(part, "delay", None), nn.Parameter):  # SLAYER starts below one step
                    delay.copy_(MAX_DELAY * torch.rand(delay.shape))
    fuse(network)
    return network


def _conv(config: SlayerConfig, block: Any) -> SlayerNetwork:
    cuba, (a, b, c) = block.cuba, config.channels
    neuron, t = config.neurons.parameters(), config.neurons.threshold
    blocks: list[nn.Module] = [
        cuba.Conv(neuron, 2, a, 5, stride=2, padding=2, weight_scale=3 * t),
        cuba.Conv(neuron, a, b, 3, stride=2, padding=1, weight_scale=3 * t),
        cuba.Conv(neuron, b, c, 3, stride=2, padding=1, weight_scale=3 * t),
        cuba.Flatten(),
        cuba.Dense(neuron, c * (SIZE // 8) ** 2, config.classes, weight_scale=2 * t),
    ]
    return SlayerNetwork(blocks, Timing(silence=6))


def _dense(config: SlayerConfig, block: Any) -> SlayerNetwork:
    cuba, neuron, t = block.cuba, config.neurons.parameters(), config.neurons.threshold
    first = cuba.Recurrent if config.kind == "recurrent" else cuba.Dense
    blocks: list[nn.Module] = [
        cuba.Flatten(),
        first(dict(neuron), 2 * SIZE**2, config.hidden, weight_scale=3 * t, delay=config.delays),
        cuba.Dense(neuron, config.hidden, config.classes, weight_scale=2 * t),
    ]
    if config.kind == "recurrent":  # SLAYER draws both matrices alike; such feedback drowns the input
        with torch.no_grad():
            blocks[1].recurrent_synapse.weight.mul_(0.1)  # type: ignore[union-attr, operator]
    return SlayerNetwork(blocks, Timing(silence=6 + int(MAX_DELAY) * config.delays))


def _sigma_delta(config: SlayerConfig, block: Any) -> SlayerNetwork:
    """Values on the grid of 1/64 in, of 1/64 per layer of weights out (docs/loihi2.md)."""
    neuron = sigma_delta_neuron()
    sdnn, channels = block.sigma_delta, config.channels[0]
    blocks: list[nn.Module] = [
        sdnn.Input({**neuron, "threshold": 0.0}),
        sdnn.Conv(neuron, 2, channels, 5, stride=2, padding=2, weight_scale=2),
        sdnn.Flatten(),
        sdnn.Dense(neuron, channels * (SIZE // 2) ** 2, 128, weight_scale=2),
        sdnn.Output(neuron, 128, config.classes, weight_scale=2),
    ]
    return SlayerNetwork(blocks, Timing(late=3, input_scale=64, output_scale=64**3))


def sigma_delta_neuron() -> dict[str, Any]:
    """Of Sigma-Delta layers, as SLAYER's blocks take it."""
    return {"threshold": 0.1, "tau_grad": 0.1, "scale_grad": 1.0, "requires_grad": False,
            "activation": torch.nn.functional.relu}  # fmt: skip


_BUILDERS: dict[str, Callable[[SlayerConfig, Any], SlayerNetwork]] = {
    "conv": _conv, "dense": _dense, "recurrent": _dense, "sigma_delta": _sigma_delta,
}  # fmt: skip

_CONV, _DENSE = CubaNeurons(4.0, 0.75, slope=1.0), CubaNeurons(8.0, 0.75, slope=2.0)
_TRAIN = FitConfig(epochs=12, loss=Loss(scale=1.0), optimising=Optimising(learning_rate=0.02))
_VALUES = replace(_TRAIN, loss=Loss(scale=0.5), optimising=Optimising(learning_rate=3e-3))
#: By name: what to build, and how to train it.
RECIPES: dict[str, tuple[SlayerConfig, FitConfig]] = {
    "conv": (SlayerConfig("conv", neurons=_CONV), _TRAIN),
    "dense": (SlayerConfig("dense", neurons=_DENSE), replace(_TRAIN, epochs=30)),
    "recurrent": (SlayerConfig("recurrent", hidden=128, neurons=_DENSE), _TRAIN),
    "delays": (SlayerConfig("dense", hidden=128, neurons=_DENSE, delays=True), _TRAIN),
    "channel_decays": (SlayerConfig("dense", hidden=128, neurons=replace(_DENSE, own_decays=True)), _TRAIN),
    "sigma_delta": (SlayerConfig("sigma_delta"), _VALUES),
}
