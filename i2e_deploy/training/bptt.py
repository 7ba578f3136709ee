"""How Sinabs networks are run in training; `training.loop` has the loop."""

from __future__ import annotations

from sinabs.layers import StatefulLayer
from torch import Tensor, nn


def spike_counts(network: nn.Module, frames: Tensor) -> Tensor:
    """Output spikes summed over the steps, from a fresh state: [B, T, C, H, W] -> float [B, classes].

    The network takes float frames [B * T, C, H, W], batch outermost.
    """
    for layer in network.modules():
        if isinstance(layer, StatefulLayer) and layer.is_state_initialised():
            layer.reset_states()
    counts: Tensor = network(frames.float().flatten(0, 1)).unflatten(0, frames.shape[:2]).sum(1)
    return counts
