"""Sinabs' integrate-and-fire layer with all time steps in one pass, forward and backward: on the CPU, or in Triton.

Sinabs runs some ten tensor operations a step and keeps each for the backward pass; on small networks that, not
the convolutions, takes most of the time. The forward pass gives the same bits, operation by operation
(sinabs 3.1.3 layers/functional/lif.py `lif_forward_single`); gradients agree but for the order of summation.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from sinabs.activation import Heaviside, MembraneSubtract, MultiSpike
from sinabs.layers import IAFSqueeze
from torch import Tensor

from i2e_deploy.errors import UnsupportedError


class FusedIAF(IAFSqueeze):  # type: ignore[misc]
    """A drop-in for `sinabs.layers.IAFSqueeze`; any other code sees an IAFSqueeze.

    Fused on the CPU, and on a GPU where Triton is installed; elsewhere Sinabs' own operations run.

    Shape: float32 [B * T, ...] -> float32 [B * T, ...], batch outermost.

    Raises:
        UnsupportedError: other options than MultiSpike, MembraneSubtract, Heaviside, a min_v_mem below 0 and
            no tau_syn.
    """

    #: What importers may take it for.
    stands_for = "IAFSqueeze"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._check()

    def _check(self) -> None:
        """Sinabs' layers may be given other options later: these would be read, and not computed."""
        plain = (
            self.spike_fn is MultiSpike
            and self.reset_fn == MembraneSubtract()
            and isinstance(self.surrogate_grad_fn, Heaviside)
            and self.tau_syn is None
            and self.min_v_mem is not None
            and float(self.min_v_mem) < 0
        )
        if not plain:
            raise UnsupportedError(
                f"{self}: the fused layer does MultiSpike, MembraneSubtract, Heaviside, min_v_mem < 0; use IAFSqueeze"
            )

    def forward(self, input_data: Tensor) -> Tensor:
        """See the class; starts from `v_mem` and leaves the final state there, as IAFSqueeze does."""
        self._check()
        if passes_of(input_data.device.type) is None:
            return torch.as_tensor(super().forward(input_data))
        input_data = input_data.float()  # autocast gives bfloat16
        batch = self.batch_size if self.batch_size > 0 else len(input_data) // self.num_timesteps
        shape = (batch, *input_data.shape[1:])
        if not self.is_state_initialised() or not self.state_has_shape(shape):
            self.init_state_with_shape(shape)
        options = (float(self.spike_threshold), float(self.min_v_mem), float(self.surrogate_grad_fn.window))
        state = self.v_mem.detach()  # type: ignore[has-type]
        spikes, self.v_mem = _IntegrateAndFire.apply(input_data, state, *options)  # type: ignore[no-untyped-call]
        return torch.as_tensor(spikes)


class _IntegrateAndFire(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, current: Tensor, v_mem: Tensor, threshold: float, min_v: float, window: float
    ) -> tuple[Tensor, Tensor]:
        passes = passes_of(current.device.type)
        assert passes is not None
        layout = _layout(current)
        current = current.detach().contiguous(memory_format=layout)
        charged, spikes = torch.empty_like(current), torch.empty_like(current)
        state = v_mem.clone(memory_format=layout)
        passes[0](current, charged, spikes, state, len(state), threshold, min_v)
        ctx.save_for_backward(charged)
        ctx.options = (len(state), threshold, min_v, float(np.float32(threshold) - np.float32(window)))
        ctx.passes = passes
        ctx.mark_non_differentiable(state)
        return spikes, state

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None, None, None]:
        (charged,) = ctx.saved_tensors
        grad, out = grad.contiguous(memory_format=_layout(charged)), torch.empty_like(charged)
        ctx.passes[1](charged, grad, out, *ctx.options)
        return out, None, None, None, None


def passes_of(device: str) -> tuple[Callable[..., None], Callable[..., None]] | None:
    """Forward and backward pass on a type of device, see `fused_triton`; None: there are none."""
    if device == "cpu":
        return _forward_cpu, _backward_cpu
    if device == "cuda" and find_spec("triton") is not None:
        from i2e_deploy.training import fused_triton

        return fused_triton.forward, fused_triton.backward
    return None


def _forward_cpu(
    current: Tensor, charged: Tensor, spikes: Tensor, state: Tensor, batch: int, threshold: float, min_v: float
) -> None:
    arguments: list[Any] = [_flat(tensor, batch) for tensor in (current, charged, spikes, state)]
    arguments += [np.float32(threshold), np.float32(min_v)]
    _forward(*arguments)


def _backward_cpu(
    charged: Tensor, grad: Tensor, out: Tensor, batch: int, threshold: float, min_v: float, lowest: float
) -> None:
    arguments: list[Any] = [_flat(tensor, batch) for tensor in (charged, grad, out)]
    arguments += [np.float32(threshold), np.float32(min_v), np.float32(lowest)]
    _backward(*arguments)


def _layout(tensor: Tensor) -> torch.memory_format:
    """Channels-last tensors stay so: convolutions are faster on them."""
    last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _flat(tensor: Tensor, batch: int) -> NDArray[np.float32]:
    """The memory of a dense tensor [B * T, ...] as [B, T, N], in whatever order its layout has."""
    ordered = tensor.permute(0, 2, 3, 1) if _layout(tensor) is torch.channels_last else tensor
    array: NDArray[np.float32] = ordered.view(batch, len(tensor) // batch, -1).numpy()
    return array


@numba.njit(cache=True)
def _forward(current, charged, spikes, state, threshold, min_v):  # type: ignore[no-untyped-def]
    """Arrays [B, T, N], state [B, 1, N], all float32: charge, fire as often as the threshold fits, reset, clamp."""
    zero = np.float32(0)
    for b in range(current.shape[0]):
        for t in range(current.shape[1]):
            for i in range(current.shape[2]):
                v = state[b, 0, i] + current[b, t, i]
                charged[b, t, i] = v
                n = np.trunc(v / threshold) if v > zero else zero
                spikes[b, t, i] = n
                state[b, 0, i] = max(v - n * threshold - min_v, zero) + min_v


@numba.njit(cache=True)
def _backward(charged, grad, out, threshold, min_v, lowest):  # type: ignore[no-untyped-def]
    """Backwards in time: the clamp blocks, the surrogate passes 1 / threshold where v >= threshold - window."""
    for b in range(charged.shape[0]):
        carry = np.zeros(charged.shape[2], np.float32)
        for t in range(charged.shape[1] - 1, -1, -1):
            for i in range(charged.shape[2]):
                v = charged[b, t, i]
                through = carry[i] if v > min_v else np.float32(0)
                if v >= lowest:
                    through += (grad[b, t, i] - through * threshold) / threshold
                carry[i] = through
                out[b, t, i] = through
