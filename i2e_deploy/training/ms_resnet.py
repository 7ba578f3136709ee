"""MS-ResNet18 and 34, the networks of the I2E paper, as plain torch modules.

Names and shapes of the weights are those of the authors' checkpoints (without `module.` in front): `conv1`, `bn1`,
`layer1.0.conv1`, ..., `layer2.0.downsample.1`, `fc`. Settings: their `MSNet_I2E.py`; a checkpoint also holds
`i2e.weight`, the kernels of the conversion, which here come before the network.
"""

from __future__ import annotations

from itertools import pairwise
from math import pi, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from i2e_deploy.errors import InputError

#: Blocks of each stage, by depth.
BLOCKS: dict[int, tuple[int, ...]] = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class ATan(torch.autograd.Function):
    """Spike where `x >= 0`; the gradient is that of arctan(pi x) / pi (SpikingJelly's `ATan`, alpha 2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Zeros and ones."""
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """Of the surrogate."""
        (x,) = ctx.saved_tensors
        gradient: Tensor = grads[0] / (1 + (pi * x).square())
        return gradient


class LIF(nn.Module):
    """Leaky integrate-and-fire neurons: `v = (1 - 1 / tau) v + x`, a spike at `v >= threshold`, then `v = 0`.

    SpikingJelly's `LIFNode(tau, decay_input=False, v_threshold, v_reset=0, surrogate_function=ATan(),
    detach_reset=True)` in multi-step mode. Every call starts from `v = 0`.

    Args:
        tau: time constant in steps.
        threshold: of the membrane potential.
    """

    def __init__(self, tau: float = 2.0, threshold: float = 1.0) -> None:
        super().__init__()
        self.tau, self.threshold = tau, threshold

    def forward(self, inputs: Tensor) -> Tensor:
        """[B, T, ...] to spikes [B, T, ...]; all steps in one pass on the CPU, with the same bits."""
        if inputs.device.type == "cpu" and inputs.dtype is torch.float32:
            from i2e_deploy.training.fused_lif import fused_lif  # numba, at first use

            return fused_lif(inputs, self.tau, self.threshold)
        return self.stepwise(inputs)

    def stepwise(self, inputs: Tensor) -> Tensor:
        """The same as tensor operations, step by step: on any device, and what the fused pass is tested with."""
        potential, spikes = torch.zeros_like(inputs[:, 0]), []
        for given in inputs.unbind(1):
            potential = potential - potential / self.tau + given
            fired: Tensor = ATan.apply(potential - self.threshold)  # type: ignore[no-untyped-call]
            potential = potential * (1 - fired.detach())
            spikes.append(fired)
        return torch.stack(spikes, 1)

    def extra_repr(self) -> str:
        """For `print`."""
        return f"tau={self.tau}, threshold={self.threshold}"


class Block(nn.Module):
    """Two convolutions on spikes; the shortcut adds membrane inputs, real values, not spikes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.sn1 = LIF()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.sn2 = LIF()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels:
            project = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.downsample = nn.Sequential(LIF(), project, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C, H, W] to [B, T, C', H', W']."""
        out = each_step(self.bn1, each_step(self.conv1, self.sn1(x)))
        out = each_step(self.bn2, each_step(self.conv2, self.sn2(out)))
        if self.downsample is not None:
            neurons, project, norm = self.downsample
            x = each_step(norm, each_step(project, neurons(x)))
        return out + x


class MSResNet(nn.Module):
    """A residual network whose shortcuts carry membrane inputs (MS-ResNet), see `ms_resnet`."""

    def __init__(self, blocks: tuple[int, ...], classes: int, in_channels: int, width: int, small_stem: bool) -> None:
        super().__init__()
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool: nn.Module = nn.Identity() if small_stem else nn.MaxPool2d(3, 2, 1)
        widths = [width, *(width << stage for stage in range(len(blocks)))]
        self.stages = len(blocks)
        for stage, (before, after) in enumerate(pairwise(widths)):
            first = Block(before, after, 2 if stage else 1)
            rest = (Block(after, after, 1) for _ in range(1, blocks[stage]))
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.sn1 = LIF()
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B, T, C, H, W] to logits of each step [B, T, classes]; the network's logits are their mean over T."""
        frames = frames.flatten(0, 1).contiguous(memory_format=torch.channels_last).view(frames.shape)
        x = each_step(self.maxpool, each_step(self.bn1, each_step(self.conv1, frames)))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        logits: Tensor = self.fc(self.sn1(each_step(self.avgpool, x)).flatten(2))
        return logits


def ms_resnet(
    depth: int | tuple[int, ...],
    classes: int,
    in_channels: int = 2,
    width: int = 64,
    *,
    small_stem: bool = False,
    generator: torch.Generator | None = None,
) -> MSResNet:
    """An untrained MS-ResNet on frames [B, T, C, H, W] of any H and W.

    Args:
        depth: 18 or 34, or the blocks of each stage for a network of another depth.
        classes: outputs.
        in_channels: C.
        width: channels of the stem and the first stage; each stage after it has twice as many.
        small_stem: a 3x3 convolution of stride 1 without pooling in place of the 7x7 of stride 2 with a 3x3 maximum.
            The paper's networks have the latter.
        generator: of the weights; None: torch's own.

    Raises:
        InputError: another depth, or a number below 1.
    """
    blocks = BLOCKS.get(depth) if isinstance(depth, int) else depth
    if not blocks or min(*blocks, classes, in_channels, width) < 1:
        raise InputError(
            f"depth {depth}, {classes} classes, {in_channels} channels, width {width}: the depth is one of "
            f"{', '.join(map(str, BLOCKS))} or the blocks of each stage, all numbers at least 1"
        )
    network = MSResNet(blocks, classes, in_channels, width, small_stem)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
    nn.init.kaiming_uniform_(network.fc.weight, sqrt(5), generator=generator)
    bound = 1 / sqrt(network.fc.in_features)
    nn.init.uniform_(network.fc.bias, -bound, bound, generator=generator)
    return network


def each_step(module: nn.Module, x: Tensor) -> Tensor:
    """`module` on every step: [B, T, ...] to [B, T, ...]."""
    done: Tensor = module(x.flatten(0, 1))
    return done.reshape(*x.shape[:2], *done.shape[1:])
