"""How lava-dl SLAYER networks are run: in training, in evaluation, and beside the program they become.

SLAYER's tensors have time last: [B, C, H, W, T] in, [B, classes, T] out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.chips.abilities import TakesIntegers, require
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.training.running import Running

#: What persists between forward passes of SLAYER's neurons and recurrent blocks (slayer/block/base.py:1457).
_STATES = ("current_state", "voltage_state", "spike_state")


@dataclass(frozen=True)
class Timing:
    """How the steps and numbers of a SLAYER network meet those of its program.

    Args:
        silence: empty steps after the frames; a CUBA spike takes one step from layer to layer in both.
        late: the program's outputs come so many steps later. Sigma-Delta layers of SLAYER take no time.
        input_scale: integers of the program for an input of 1.0.
        output_scale: integers of the program for an output of 1.0.
    """

    silence: int = 0
    late: int = 0
    input_scale: int = 1
    output_scale: int = 1


class SlayerNetwork(nn.Sequential):
    """SLAYER blocks in a row on frames (2, H, W), and their `timing`."""

    def __init__(self, blocks: list[nn.Module], timing: Timing) -> None:
        super().__init__(*blocks)
        self.timing = timing

    def spikes(self, frames: Tensor) -> Tensor:
        """Output of every step from a fresh state: frames [B, T, C, H, W] -> float [B, classes, T + silence]."""
        for part in self.modules():
            for name in _STATES:
                if isinstance(state := getattr(part, name, None), Tensor):
                    setattr(part, name, torch.zeros_like(state))
        late = F.pad(frames.float().permute(0, 2, 3, 4, 1), (0, self.timing.silence))
        output: Tensor = self(late)
        return output


def outputs(network: nn.Module, frames: Tensor) -> Tensor:
    """Output spikes (Sigma-Delta: values) of each step: [B, T, C, H, W] -> float [B, T + silence, N]."""
    return _own(network).spikes(frames).flatten(1, -2).transpose(1, 2)


def spike_counts(network: nn.Module, frames: Tensor) -> Tensor:
    """Output spikes (Sigma-Delta: output values) summed over the steps: [B, T, C, H, W] -> float [B, classes]."""
    return outputs(network, frames).sum(1)


def neurons(network: nn.Module) -> Sequence[nn.Module]:
    """The neurons of its blocks, in network order."""
    return [part for part in network.modules() if ".slayer.neuron." in type(part).__module__]


def _own(network: nn.Module) -> SlayerNetwork:
    """A network that says its timing; any other module of SLAYER's blocks runs without silence."""
    if isinstance(network, SlayerNetwork):
        return network
    raise UnsupportedError(
        f"{type(network).__name__} does not say how its steps meet those of its program: put its blocks into a "
        "training.SlayerNetwork, with their training.Timing"
    )


def _read(network: nn.Module, input_shape: tuple[int, ...], example: Any, chip: Chip) -> AnyNetwork:
    return require(chip, TakesIntegers, "a SLAYER network").from_module(network, input_shape, example)


def _program_frames(network: nn.Module, frames: NDArray[Any]) -> NDArray[Any]:
    return program_frames(_own(network), frames)


def _program_output(network: nn.Module, output: NDArray[Any]) -> NDArray[np.float64]:
    own = _own(network)
    return np.asarray(aligned(own, output) / own.timing.output_scale, np.float64)


@torch.no_grad()
def slayer_output(network: SlayerNetwork, frames: NDArray[np.uint8], batch_size: int = 100) -> NDArray[np.int64]:
    """Outputs in evaluation mode, in the program's integers: uint8 [M, T, C, H, W] -> int64 [M, T + silence, N]."""
    network.eval()
    parts = [network.spikes(torch.from_numpy(frames[i : i + batch_size])) for i in range(0, len(frames), batch_size)]
    scaled: NDArray[Any] = torch.cat(parts).permute(0, 2, 1).double().numpy() * network.timing.output_scale
    return np.asarray(np.rint(scaled), np.int64)


def program_frames(network: SlayerNetwork, frames: NDArray[np.uint8]) -> NDArray[np.int16]:
    """What the program of `network` takes for `frames` [M, T, C, H, W]: scaled, with as much silence as it needs."""
    timing = network.timing
    steps = timing.silence + timing.late
    padded = np.pad(frames.astype(np.int16), ((0, 0), (0, steps), (0, 0), (0, 0), (0, 0)))
    scaled: NDArray[np.int16] = padded * np.int16(timing.input_scale)
    return scaled


def aligned(network: SlayerNetwork, output: NDArray[Any]) -> NDArray[Any]:
    """The program's output [M, T, classes] at the steps of SLAYER's."""
    late: NDArray[Any] = output[:, network.timing.late :]
    return late


@contextmanager
def float_weights(network: nn.Module) -> Iterator[None]:
    """While it lasts, synapses use their weights as trained, off the chip's grid.

    Decays and thresholds stay on theirs, and SLAYER rounds states to 1/4096 either way.
    """
    synapses: list[Any] = [part for part in network.modules() if hasattr(part, "_pre_hook_fx")]
    hooks = [part.pre_hook_fx for part in synapses]
    try:
        for part in synapses:
            part.pre_hook_fx = None
        yield
    finally:
        for part, hook in zip(synapses, hooks, strict=True):
            part.pre_hook_fx = hook


SLAYER = Running("SLAYER", outputs, _read, neurons, _program_frames, _program_output)
