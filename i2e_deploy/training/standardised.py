"""Convolutions whose filters are held at mean 0, each with one trained length.

Between the layers of deep integrate-and-fire networks stand no norms: a chip has none, and a bias would cost an
asynchronous one events in every step. What batch norm does for training is done to the weights: the mean of every
filter is taken off, and its length is a parameter of its own (weight standardisation, Qiao et al. 2019, arXiv
1903.10520, with a gain for each filter as Brock et al. 2021, arXiv 2101.08692). Chips and readers see plain weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

#: The least length that a filter is divided by: one of zeros stays one.
SMALLEST = 1e-6


class Standardised(nn.Module):
    """Weights [O, I, H, W] by a direction [O, I, H, W] and a length [O, 1, 1, 1], for `torch.nn.utils.parametrize`."""

    def forward(self, direction: Tensor, length: Tensor) -> Tensor:
        """Filters of mean 0 with these lengths, in the memory format of `direction`."""
        centred = _centred(direction)
        return centred * (length / _length(centred))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Of weights whose filters have a mean of 0."""
        return weight, _length(_centred(weight))


def centre(weight: Tensor) -> None:
    """Take the mean off every filter of [O, I, H, W], in place."""
    with torch.no_grad():
        weight.copy_(_centred(weight))


def standardise(layer: nn.Conv2d) -> None:
    """Train its filters so from now on; those of mean 0 stay as they are."""
    parametrize.register_parametrization(layer, "weight", Standardised())


def _centred(weight: Tensor) -> Tensor:
    return weight - weight.mean((1, 2, 3), keepdim=True)


def _length(centred: Tensor) -> Tensor:
    return centred.square().sum((1, 2, 3), keepdim=True).clamp(min=SMALLEST**2).sqrt()  # at 0 a root has no slope
