"""How Sinabs networks are run in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sinabs.layers import StatefulLayer
from torch import Tensor, nn

from i2e_deploy.chips import AnyNetwork, Chip
from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network import from_sinabs
from i2e_deploy.training.running import Running


def outputs(network: nn.Module, frames: Tensor) -> Tensor:
    """What the network sends in each step, from a fresh state: [B, T, C, H, W] -> float [B, T, N].

    Where its neurons have batch and time in one axis, they are told how many steps there are; the network then takes
    float frames [B * T, C, H, W], batch outermost, else [B, T, C, H, W].
    """
    joint = False
    for layer in neurons(network):
        if layer.is_state_initialised():
            layer.reset_states()
        if hasattr(layer, "num_timesteps"):
            layer.batch_size, layer.num_timesteps, joint = -1, frames.shape[1], True
    given = frames.float()
    found: Tensor = network(given.flatten(0, 1)).unflatten(0, frames.shape[:2]) if joint else network(given)
    return found.flatten(2)


def spike_counts(network: nn.Module, frames: Tensor) -> Tensor:
    """Output spikes summed over the steps: [B, T, C, H, W] -> float [B, classes]; see `outputs`."""
    return outputs(network, frames).sum(1)


def neurons(network: nn.Module) -> Sequence[Any]:
    """The layers of neurons, in the order in which the module has them."""
    return [layer for layer in network.modules() if isinstance(layer, StatefulLayer)]


def membranes(network: nn.Module, frames: Tensor) -> Tensor:
    """Potentials of the last layer of neurons after each step, with their gradient: float [B, T, N].

    Raises:
        UnsupportedError: the last layer runs fused, and shows no states.
    """
    last = neurons(network)[-1]
    if type(last).forward is not _plain_forward(last):
        raise UnsupportedError(
            f"the membrane of {type(last).__name__} is not seen in training: let the last layer be a plain IAFSqueeze"
        )
    recorded, last.record_states = last.record_states, True
    try:
        outputs(network, frames)
    finally:
        last.record_states = recorded
    potentials: Tensor = last.recordings["v_mem"]
    return potentials.flatten(2)


def _plain_forward(layer: Any) -> Any:
    """The forward of the Sinabs class that a layer is, or inherits from."""
    own: Any = next(base for base in type(layer).__mro__ if base.__module__.startswith("sinabs."))
    return own.forward


def _read(network: nn.Module, input_shape: tuple[int, ...], example: Any, chip: Chip) -> AnyNetwork:
    """Training starts each batch from zero: what the last one left in the module is no start."""
    return from_sinabs(network, input_shape, example, states="zero")


def _spikes_like(spikes: Tensor, given: Tensor) -> Tensor:
    return spikes.reshape(given.shape)


SINABS = Running("Sinabs", outputs, _read, neurons, membranes=membranes, spikes_like=_spikes_like)
