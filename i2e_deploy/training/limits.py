"""What a chip's cores can do, as limits of a training: synaptic operations of every layer a step."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from i2e_deploy.chips import Chip, Injection, Program
from i2e_deploy.chips.abilities import LimitsRates, require
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.text import listed
from i2e_deploy.training.activity import watched
from i2e_deploy.training.running import Running
from i2e_deploy.training.samples import Batch


def limits_of(chip: Chip, program: Program, read: AnyNetwork, batch: Batch, step_us: int | None) -> dict[str, float]:
    """Synaptic operations a step that the core of every layer of the program can do.

    Args:
        program: of the network `read`.
        batch: typical samples: layers are placed on cores by what they do on them.
        step_us: duration of a step; None: the data do not say it.

    Raises:
        UnsupportedError: the chip has no such rates, or no cores for the network.
        InputError: the duration of a step is not known.
    """
    able = require(chip, LimitsRates, "--limits chip")
    if step_us is None:
        raise InputError("--limits chip: a rate needs the duration of a step, and the data do not say it: --step-us")
    rates = able.synop_rates(read, program, batch.frames, Injection(step_us=step_us))
    return {name: rate * step_us * 1e-6 for name, rate in rates.items()}


def check_limited(network: nn.Module, running: Running, limits: Mapping[str, float], frames: Tensor) -> None:
    """Raise UnsupportedError unless training can hold every layer under its limit, as far as these frames say.

    Every layer with a limit must be one whose operations are counted. What a layer behind the input does rests on the
    input and not on weights: it must be under its limit already.

    Args:
        frames: float [B, T, C, H, W], where the network is.
    """
    with watched(network, running, frames.shape[1], len(frames)) as activity:
        running.outputs(network, frames)
    if unseen := sorted(set(limits) - set(activity.synops)):
        raise UnsupportedError(
            f"--limits chip: synaptic operations of {listed(unseen)} are not counted in training: they are those of "
            "torch's Conv2d and Linear, called as modules; give --synop-limit"
        )
    for name, limit in limits.items():
        rate = activity.synops[name]
        if not rate.requires_grad and float(rate) > limit:
            raise UnsupportedError(
                f"--limits chip: layer {name!r} is fed by the input alone and does {float(rate):,.0f} operations a "
                f"step, where its core can do {limit:,.0f}: training cannot change that; take a larger stride, fewer "
                "channels or a smaller kernel there, or longer steps (--step-us)"
            )


def shares_of(synops: Mapping[str, Tensor], limits: Mapping[str, float]) -> Tensor:
    """Operations of every limited layer as shares of its limit, in the order of the limits: [L]."""
    return torch.stack([synops[name].detach() / limit for name, limit in limits.items()]) if limits else torch.zeros(0)
