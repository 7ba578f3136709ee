"""How weights move: optimiser, schedule, clipping, and parts that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn.utils import parametrize

from i2e_deploy.errors import InputError
from i2e_deploy.text import listed, record_repr

Optimiser = Literal["adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine", "constant"]
#: One-cycle: learning rate at the first step and at the last, as shares of the peak (Smith and Topin 2018).
FIRST, LAST = 0.1, 1e-3


@dataclass(frozen=True)
class Optimising:
    """How weights move.

    Args:
        optimiser: `adamw`, or `sgd` with Nesterov momentum.
        learning_rate: the peak of the schedule.
        schedule: `one_cycle`: up from a tenth and down to a thousandth of the peak, both along a cosine; `cosine`: up
            from 0 along a line, then down to 0 along a cosine; `constant` after the same warm-up.
        warm_up: share of all steps on the way up, 0 to below 1.
        weight_decay: decoupled (AdamW), or of the gradient (SGD).
        momentum: of SGD, 0 to below 1.
        clip: the largest norm of the gradient of all weights together; None: free.
        feedback_rate: learning rate of recurrent weights (SLAYER's) as a share of the others'. Adam's steps are as
            large, and their effect adds up over time: at 1 the recurrent digits network ends at 53 %, not above 90 %.
        freeze: parameters, by their names or the beginning of these (`0`, `features.conv1`), that stay as they are;
            statistics of batch norms there too.
        weight_limit: weights of convolutions and linear layers are held within plus and minus this after every step;
            None: free. Where a threshold is 1 and this 0.25, one event takes a neuron a quarter of its way at most, and
            the order of events matters less.

    Raises:
        InputError: an unknown name, or a value out of range.
    """

    optimiser: Optimiser = "adamw"
    learning_rate: float = 1e-2
    schedule: Schedule = "one_cycle"
    warm_up: float = 0.25
    weight_decay: float = 0.02
    momentum: float = 0.9
    clip: float | None = None
    feedback_rate: float = 0.02
    freeze: tuple[str, ...] = ()
    weight_limit: float | None = None

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.optimiser not in get_args(Optimiser) or self.schedule not in get_args(Schedule):
            known = f"{', '.join(get_args(Optimiser))}; schedules are {', '.join(get_args(Schedule))}"
            raise InputError(f"optimiser {self.optimiser!r} with schedule {self.schedule!r}: optimisers are {known}")
        positive = (self.learning_rate, self.feedback_rate, self.clip or 1.0, self.weight_limit or 1.0)
        if not all(value > 0 for value in positive) or self.clip == 0 or self.weight_limit == 0:
            names = "learning_rate, feedback_rate, clip and weight_limit"
            raise InputError(f"{self!r}: {names} must be above 0")
        if not 0 <= self.warm_up < 1 or not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise InputError(f"{self!r}: warm_up and momentum are from 0 to below 1, weight_decay 0 or more")

    def factor(self, step: int, steps: int) -> float:
        """Share of the peak learning rate at a step, 0 to `steps` - 1."""
        rise = self.warm_up * steps
        if self.schedule == "one_cycle":
            if step < rise:
                return _between(FIRST, 1.0, step / rise)
            return _between(1.0, LAST, (step - rise) / max(steps - 1 - rise, 1e-9))
        if step < rise:
            return (step + 1) / (rise + 1)
        return 1.0 if self.schedule == "constant" else _between(1.0, 0.0, (step - rise) / max(steps - rise, 1e-9))


def _between(start: float, end: float, share: float) -> float:
    """Along half a cosine."""
    return end + (start - end) * (1 + cos(pi * min(max(share, 0.0), 1.0))) / 2


def freeze(network: nn.Module, names: Sequence[str]) -> tuple[nn.Module, ...]:
    """Take parameters out of the training; the modules that are wholly frozen, to be kept in evaluation mode.

    Raises:
        InputError: a name that is the beginning of no parameter's, or nothing is left to train.
    """
    parameters = dict(network.named_parameters())
    for name in names:
        found = [own for own in parameters if own == name or own.startswith(f"{name}.")]
        if not found:
            raise InputError(f"nothing to freeze is called {name!r}: parameters are {listed(list(parameters), 12)}")
        for own in found:
            parameters[own].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise InputError("the network has no weights to train" + (": all of them are frozen" if names else ""))
    return tuple(module for path, module in network.named_modules() if any(_below(path, name) for name in names))


def _below(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def make_optimiser(network: nn.Module, chosen: Optimising) -> torch.optim.Optimizer:
    """The optimiser of what is not frozen, recurrent weights (SLAYER's) apart; each group knows its `peak`.

    Raises:
        InputError: a limit for weights that are computed from other parameters.
    """
    computed = [name for name, layer in network.named_modules() if parametrize.is_parametrized(layer, "weight")]
    if chosen.weight_limit is not None and computed:
        raise InputError(
            f"weight_limit is {chosen.weight_limit}, and the weights of {listed(computed)} are computed from other "
            "parameters (standardised filters, or another parametrization): take no limit, or plain layers"
        )
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    feedback = [parameter for name, parameter in named if "recurrent_synapse" in name]
    others = [parameter for name, parameter in named if "recurrent_synapse" not in name]
    peak = chosen.learning_rate
    groups: list[dict[str, Any]] = [{"params": others, "peak": peak}] if others else []
    groups += [{"params": feedback, "peak": peak * chosen.feedback_rate}] if feedback else []
    if chosen.optimiser == "adamw":
        return torch.optim.AdamW(groups, peak, weight_decay=chosen.weight_decay)
    nesterov = chosen.momentum > 0
    return torch.optim.SGD(groups, peak, chosen.momentum, weight_decay=chosen.weight_decay, nesterov=nesterov)


def step(network: nn.Module, optimiser: torch.optim.Optimizer, chosen: Optimising, now: int, steps: int) -> float:
    """One step of so many, with the gradients that are there; the learning rate that it had."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * chosen.factor(now, steps)
    if chosen.clip is not None:
        trained = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        nn.utils.clip_grad_norm_(trained, chosen.clip)
    optimiser.step()
    if chosen.weight_limit is not None:
        limit_weights(network, chosen.weight_limit)
    return chosen.learning_rate * chosen.factor(now, steps)


@torch.no_grad()
def limit_weights(network: nn.Module, limit: float) -> None:
    """Hold weights of convolutions and linear layers within plus and minus the limit, but for frozen ones."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.requires_grad:
            layer.weight.clamp_(-limit, limit)
