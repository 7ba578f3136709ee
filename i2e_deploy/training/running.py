"""How the networks of a framework are run in training, and read once they are trained: a record of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.text import record_repr


def _as_they_are(_: nn.Module, frames: NDArray[Any]) -> NDArray[Any]:
    return frames


def _as_floats(_: nn.Module, output: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(output, np.float64)


@dataclass(frozen=True, eq=False)
class Running:
    """How one kind of network runs.

    Args:
        name: of the framework, for messages.
        outputs: (network, float frames [B, T, C, H, W]) to what it sends, float [B, T', N], from a fresh state; T' may
            be more than T where spikes are still on their way.
        read: (network, (C, H, W), example frames or None, chip) to what the chip takes.
        neurons: the parts whose output is spikes, in network order.
        program_frames: (network, integer frames [B, T, C, H, W]) to those that its program takes.
        program_output: (network, what its program sends, integers [B, T', N]) to float [B, T, N] in units of `outputs`.
        membranes: as `outputs`, potentials of the last layer after every step; None: they are not seen.
        spikes_like: (spikes of the chip [B, T, ...], what a part of `neurons` gave) to the former in the shape of the
            latter; None: its layers cannot be given the chip's spikes.
        voters: neighbouring outputs of its program that are added up to one of `outputs`.
    """

    name: str
    outputs: Callable[[nn.Module, Tensor], Tensor]
    read: Callable[[nn.Module, tuple[int, ...], Any, Chip], AnyNetwork]
    neurons: Callable[[nn.Module], Sequence[nn.Module]]
    program_frames: Callable[[nn.Module, NDArray[Any]], NDArray[Any]] = _as_they_are
    program_output: Callable[[nn.Module, NDArray[Any]], NDArray[np.float64]] = _as_floats
    membranes: Callable[[nn.Module, Tensor], Tensor] | None = None
    spikes_like: Callable[[Tensor, Tensor], Tensor] | None = None
    voters: int = 1

    __repr__ = record_repr
