"""Losses on the output of every step, and the activity that a chip's rates allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr

Kind = Literal["cross_entropy", "tet", "mse", "mae"]
Readout = Literal["spikes", "membrane"]
Limits = Literal["given", "chip"]
#: The kinds that learn values and not classes.
REGRESSION: tuple[Kind, ...] = ("mse", "mae")


@dataclass(frozen=True)
class Loss:
    """What is made small.

    Args:
        kind: `cross_entropy` of the outputs summed over the steps; `tet`, the mean over the steps of the cross entropy
            of each step's outputs (temporal efficient training, Deng et al. 2022, equation 9); `mse` or `mae`, the
            squared or absolute error of a value per sample (outputs summed over the steps) or per step.
        readout: what the outputs are: the `spikes` (or values) that the last layer sends, or its `membrane` potential
            (classes: after the last step; a value per step: after each).
        scale: an output is multiplied by it: before the softmax, or to become a value.
        label_smoothing: share of the target spread over all classes, 0 to below 1.
        tet_share: of the loss of `tet`, 0 to 1, that goes to the squared distance of every scaled output from
            `tet_level`, the regulariser of its equation 10.
        tet_level: see `tet_share`.
        activity: weight of the activity beyond its limits: of every layer the squared relative excess, summed; 0: free.
        spike_limit: spikes a neuron and step, as a mean over the layer; 0: every spike is beyond the limit.
        synop_limit: synaptic operations of a layer a step; None: not looked at. A chip's rate (a second) times the
            duration of a step (seconds) is its limit.
        limits: whose limits count: those that are `given`, or those of the `chip`, for every layer what the core under
            it can do in a step, see `limits.limits_of`; spikes are then limited by their operations alone.

    Raises:
        InputError: an unknown kind, or a value out of range.
    """

    kind: Kind = "cross_entropy"
    readout: Readout = "spikes"
    scale: float = 0.25
    label_smoothing: float = 0.05
    tet_share: float = 0.0
    tet_level: float = 1.0
    activity: float = 0.0
    spike_limit: float = 0.0
    synop_limit: float | None = None
    limits: Limits = "given"

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind) or self.readout not in get_args(Readout):
            known = f"{', '.join(get_args(Kind))}; readouts are {', '.join(get_args(Readout))}"
            raise InputError(f"loss {self.kind!r} of {self.readout!r}: kinds are {known}")
        if not self.scale > 0:
            raise InputError(f"loss: scale is {self.scale}: give a number above 0")
        if not 0 <= self.label_smoothing < 1 or not 0 <= self.tet_share <= 1:
            given = f"label_smoothing {self.label_smoothing}, tet_share {self.tet_share}"
            raise InputError(f"loss: {given}: each is a share, from 0 to 1")
        if self.activity < 0 or self.spike_limit < 0 or (self.synop_limit is not None and self.synop_limit <= 0):
            given = f"activity {self.activity}, spike_limit {self.spike_limit}, synop_limit {self.synop_limit}"
            raise InputError(f"loss: {given}: the first two are 0 or more, the last above 0")
        if self.limits not in get_args(Limits):
            raise InputError(f"loss: limits {self.limits!r}: choose one of {', '.join(get_args(Limits))}")
        if self.limits == "chip" and (self.spike_limit or self.synop_limit is not None or not self.activity):
            raise InputError("loss: limits of the chip need a weight of activity, and take no limits beside them")
        if self.kind == "tet" and self.readout == "membrane":
            raise InputError("loss: tet judges every step by what is sent in it: take the readout 'spikes'")

    @property
    def regression(self) -> bool:
        """Whether it learns values and not classes."""
        return self.kind in REGRESSION

    def predicted(self, outputs: Tensor, steps: int | None = None) -> Tensor:
        """Logits [B, N], or values [B, V], with `steps` [B, steps, V], of outputs [B, T, N].

        Args:
            outputs: of a network that runs on for a while after its input the first are of no sample's step: of more
                than `steps` the last count.
            steps: of a regression with a value per step; None: a value per sample.
        """
        if steps is not None:
            return self.scale * outputs[:, -steps:]
        return self.scale * (outputs[:, -1] if self.readout == "membrane" else outputs.sum(1))

    def of_samples(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each sample, [B], of outputs [B, T, N] and targets int64 [B] or float [B, V] or [B, T, V]."""
        if self.regression:
            error = self.predicted(outputs, targets.shape[1] if targets.ndim == 3 else None) - targets
            return (error.square() if self.kind == "mse" else error.abs()).flatten(1).mean(1)
        if self.kind == "cross_entropy":
            return self._entropy(self.predicted(outputs), targets)
        batch, steps = outputs.shape[:2]
        each = self.scale * steps * outputs.flatten(0, 1)  # so that the mean over the steps is `predicted`
        entropy = self._entropy(each, targets.repeat_interleave(steps)).view(batch, steps).mean(1)
        level = (each - self.tet_level).square().mean(1).view(batch, steps).mean(1)
        return (1 - self.tet_share) * entropy + self.tet_share * level

    def _entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, reduction="none", label_smoothing=self.label_smoothing)

    def of_activity(
        self, spikes: Mapping[str, Tensor], synops: Mapping[str, Tensor], chips: Mapping[str, float]
    ) -> Tensor:
        """The weighted excess of a batch, a number.

        Args:
            spikes: of each layer, a neuron and step.
            synops: of each layer of weights, a step.
            chips: with the limits of the chip, those by layer.
        """
        if self.limits == "chip":
            return self.activity * torch.stack([self._excess(synops[n], limit) for n, limit in chips.items()]).sum()
        excess = [self._excess(rate, self.spike_limit) for rate in spikes.values()]
        if self.synop_limit is not None:
            excess += [self._excess(rate, self.synop_limit) for rate in synops.values()]
        return self.activity * torch.stack(excess).sum()

    @staticmethod
    def _excess(rate: Tensor, limit: float) -> Tensor:
        return F.relu(rate / limit - 1).square() if limit else rate
