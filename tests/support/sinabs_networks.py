"""Small Sinabs networks and the oracle built from them: `DynapcnnNetwork`, live, without samna."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def conv(generator: torch.Generator, *args: Any, gain: float = 3.0, **kwargs: Any) -> Any:
    """A convolution with weights drawn from `generator`, `gain` times torch's default spread."""
    return _draw(nn.Conv2d(*args, **{"bias": False, **kwargs}), generator, gain)


def linear(generator: torch.Generator, *args: Any, gain: float = 3.0, **kwargs: Any) -> Any:
    """A linear layer, likewise."""
    return _draw(nn.Linear(*args, **{"bias": False, **kwargs}), generator, gain)


def _draw(module: Any, generator: torch.Generator, gain: float) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            spread = gain / module.weight[0].numel() ** 0.5
            parameter.copy_(spread * (2 * torch.rand(parameter.shape, generator=generator) - 1))
    return module


def neurons(**kwargs: Any) -> Any:
    """IAFSqueeze with a lower bound of -1, and a threshold of its own: Sinabs' default is one tensor for all layers."""
    from sinabs.layers import IAFSqueeze

    own = {"spike_threshold": torch.tensor(1.0)}
    return IAFSqueeze(**{"batch_size": 1, "min_v_mem": -1.0, **own, **kwargs})


def oracle(module: nn.Module, input_shape: tuple[int, int, int], batch_size: int = 1, **kwargs: Any) -> Any:
    """Sinabs' own `DynapcnnNetwork`, discretised."""
    import samna_standin

    samna_standin.install()
    from sinabs.backend.dynapcnn import DynapcnnNetwork

    layers: list[Any] = list(module.modules())
    for layer in layers:
        if hasattr(layer, "num_timesteps"):
            layer.batch_size = batch_size
    return DynapcnnNetwork(module, input_shape=input_shape, batch_size=batch_size, discretize=True, **kwargs)


@torch.no_grad()
def run_oracle(network: Any, frames: Any) -> Any:
    """Frames [B, T, C, H, W] through the oracle: NumPy [B, T, ...]."""
    tensor: Tensor = torch.as_tensor(frames).float()
    return network(tensor.flatten(0, 1)).unflatten(0, tensor.shape[:2]).numpy()
