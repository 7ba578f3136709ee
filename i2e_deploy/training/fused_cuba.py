"""SLAYER's CUBA neurons with all time steps in one pass, forward and backward.

On the CPU lava-dl 0.6.0 runs some twenty tensor operations a step over arrays whose time is innermost, which takes most
of the time of a small network. The forward pass gives the same bits (slayer/neuron/dynamics/leaky_integrator.py:210,
slayer/spike/spike.py:54); gradients agree but for the order of rounding.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor, nn


def fuse(network: nn.Module) -> None:
    """Let every CUBA neuron of `network` that can run fused do so; the others stay as they are.

    Can: decays shared and not trained, no norm, no dropout, no graded spikes, no state kept between passes.
    """
    for part in network.modules():
        kind = f"{type(part).__module__}.{type(part).__name__}"
        if kind.endswith("slayer.neuron.cuba.Neuron") and _plain(part):
            part.forward = partial(_forward, part)


def _plain(neuron: Any) -> bool:
    extras = (neuron.norm is None, neuron.drop is None, not neuron.graded_spike, not neuron.persistent_state)
    return bool(neuron.shared_param and not neuron.requires_grad and all(extras))


def _forward(neuron: Any, current: Tensor) -> Tensor:
    """[B, ..., T] to spikes of the same shape, from a fresh state."""
    if current.device.type != "cpu":
        return torch.as_tensor(type(neuron).forward(neuron, current))
    if neuron.shape is None:
        neuron.shape = current.shape[1:-1]
        neuron.num_neurons = int(np.prod(neuron.shape))
    decays = [int(torch.round(decay)) for decay in (neuron.current_decay, neuron.voltage_decay)]
    threshold = float(neuron.threshold + neuron.threshold_eps)
    module = sys.modules[type(neuron).__module__]  # it widens and lowers what its user gives
    gradient = (neuron.tau_rho * module.TAU_RHO_MULT, neuron.scale_rho * module.SCALE_RHO_MULT)
    spikes = _Cuba.apply(current, *decays, neuron.s_scale, threshold, *gradient)  # type: ignore[no-untyped-call]
    return torch.as_tensor(spikes)


class _Cuba(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, given: Tensor, du: int, dv: int, scale: int, threshold: float, slope: float, height: float
    ) -> Tensor:
        x = given.detach().contiguous()
        voltage, spikes = torch.empty_like(x), torch.empty_like(x)
        arguments: list[Any] = [array.view(-1, x.shape[-1]).numpy() for array in (x, voltage, spikes)]
        arguments += [du, dv, np.float32(scale), threshold * scale, np.float32(threshold)]
        _integrate(*arguments)
        ctx.save_for_backward(voltage)
        ctx.options = (du, dv, threshold, slope, height)
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (voltage,) = ctx.saved_tensors
        du, dv, threshold, slope, height = ctx.options
        out = torch.empty_like(voltage)
        tensors = (grad.contiguous(), voltage, out)
        options = (1 - du / 4096, 1 - dv / 4096, threshold, slope, height / 2 / slope)
        arguments: list[Any] = [tensor.view(-1, voltage.shape[-1]).numpy() for tensor in tensors]
        _differentiate(*arguments, *map(np.float32, options))
        return out, None, None, None, None, None, None


@numba.njit(cache=True)
def _decay(x, lost):  # type: ignore[no-untyped-def]
    """Of 4096 parts `lost` are lost, rounding toward zero."""
    return (x * (4096 - lost)) >> 12 if x >= 0 else -((-x * (4096 - lost)) >> 12)


@numba.njit(cache=True)
def _integrate(given, voltage, spikes, du, dv, scale, limit, threshold):  # type: ignore[no-untyped-def]
    """[M, T] float32. States are integers of 1/scale; each pass through float32 between the two is SLAYER's."""
    for i in range(given.shape[0]):
        u = v = np.int64(0)
        for t in range(given.shape[1]):
            u = _decay(u, du) + np.int64(scale * given[i, t])
            v = _decay(v, dv) + np.int64(scale * (np.float32(u) / scale))
            now = np.float32(v) / scale
            voltage[i, t] = now
            spikes[i, t] = np.float32(1) if now >= threshold else np.float32(0)
            if v >= limit:
                v = np.int64(0)


@numba.njit(cache=True)
def _differentiate(grad, voltage, out, kept_u, kept_v, threshold, slope, height):  # type: ignore[no-untyped-def]
    """Backwards in time through both integrators; the surrogate is height * exp(-|v - threshold| / slope)."""
    for i in range(grad.shape[0]):
        u = v = np.float32(0)
        for t in range(grad.shape[1] - 1, -1, -1):
            v = kept_v * v + grad[i, t] * height * np.exp(-abs(voltage[i, t] - threshold) / slope)
            u = kept_u * u + v
            out[i, t] = u
