"""Leaky integrate-and-fire neurons with all time steps in one pass on the CPU, forward and backward.

`training.ms_resnet.LIF` written as tensor operations keeps some ten arrays a step for the backward pass. The forward
pass here gives the same bits, operation by operation; gradients agree but for the order of two sums. Importing this
module needs numba alone beside torch.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def fused_lif(inputs: Tensor, tau: float, threshold: float) -> Tensor:
    """Spikes of `LIF` with a hard reset to 0 and the surrogate gradient of arctan, from `v = 0` on.

    Args:
        inputs: float32 [B, T, ...] on the CPU; channels may be innermost in memory, and stay so.
        tau: time constant in steps.
        threshold: of the membrane potential.
    """
    spikes: Tensor = _Fused.apply(inputs, tau, threshold)  # type: ignore[no-untyped-call]
    return spikes


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, tau: float, threshold: float) -> Tensor:
        given = _dense(inputs.detach())
        charged, spikes = torch.empty_like(given), torch.empty_like(given)
        ctx.options = np.float32(tau), np.float32(threshold)
        _forward(*(_flat(array) for array in (given, charged, spikes)), *ctx.options)
        ctx.save_for_backward(charged)
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (charged,) = ctx.saved_tensors
        grad = grad.contiguous() if charged.is_contiguous() else _channels_innermost(grad)
        out = torch.empty_like(charged)
        _backward(*(_flat(array) for array in (charged, grad, out)), *ctx.options)
        return out, None, None


def _channels_innermost(tensor: Tensor) -> Tensor:
    """[B, T, C, H, W] as it is stored [B, T, H, W, C]."""
    return tensor.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def _dense(tensor: Tensor) -> Tensor:
    """As it is where channels are innermost, else in the order of its axes."""
    inner = tensor.ndim == 5 and tensor.permute(0, 1, 3, 4, 2).is_contiguous()
    return tensor if inner else tensor.contiguous()


def _flat(tensor: Tensor) -> NDArray[np.float32]:
    """The memory of a dense tensor [B, T, ...] as [B, T, N], in whatever order its layout has."""
    ordered = tensor if tensor.is_contiguous() else tensor.permute(0, 1, 3, 4, 2)
    array: NDArray[np.float32] = ordered.view(*tensor.shape[:2], -1).numpy()
    return array


@numba.njit(cache=True)
def _forward(given, charged, spikes, tau, threshold):  # type: ignore[no-untyped-def]
    """Arrays [B, T, N] of float32: leak, charge, fire at the threshold, reset to 0."""
    one, zero = np.float32(1), np.float32(0)
    for b in range(given.shape[0]):
        state = np.zeros(given.shape[2], np.float32)
        for t in range(given.shape[1]):
            for i in range(given.shape[2]):
                v = state[i] - state[i] / tau + given[b, t, i]
                fired = one if v - threshold >= zero else zero
                charged[b, t, i] = v
                spikes[b, t, i] = fired
                state[i] = v * (one - fired)


@numba.njit(cache=True)
def _backward(charged, grad, out, tau, threshold):  # type: ignore[no-untyped-def]
    """Backwards in time; the reset is a constant to the gradient, the surrogate is 1 / (1 + (pi x)^2)."""
    one, zero, pi = np.float32(1), np.float32(0), np.float32(np.pi)
    for b in range(charged.shape[0]):
        carry = np.zeros(charged.shape[2], np.float32)
        for t in range(charged.shape[1] - 1, -1, -1):
            for i in range(charged.shape[2]):
                x = charged[b, t, i] - threshold
                kept = zero if x >= zero else carry[i]
                through = kept + grad[b, t, i] / (one + (pi * x) * (pi * x))
                carry[i] = through - through / tau
                out[b, t, i] = through
