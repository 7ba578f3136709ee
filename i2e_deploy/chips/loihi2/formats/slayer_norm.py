"""The norm of a SLAYER block as integers: a bias, and a power of two that divides what both make.

From what `forward` of lava-dl 0.6.0 does (neuron/norm.py, neuron/cuba.py), not from what `export_hdf5` writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from i2e_deploy.chips.loihi2.formats.netx_synapse import check_exponent, divided
from i2e_deploy.chips.loihi2.neuron import Ints
from i2e_deploy.errors import UnsupportedError


def norm_bias(neuron: Any) -> Ints | None:
    """Of neuron/norm.py, int64 [C]: what `forward` subtracts, before it divides; None: no norm."""
    norm = neuron.norm
    if norm is None:
        return None
    if type(norm).__name__ not in ("MeanOnlyBatchNorm", "WgtScaleBatchNorm"):
        raise UnsupportedError(f"norm {type(norm).__name__}: known are SLAYER's MeanOnlyBatchNorm, WgtScaleBatchNorm")
    mean = norm.pre_hook_fx(norm.running_mean).detach().double().numpy().reshape(-1) * neuron.w_scale
    if (mean != np.round(mean)).any():
        raise UnsupportedError("the norm's mean is not rounded to the chip's integers: leave its pre_hook_fx alone")
    bias: Ints = np.broadcast_to(-np.rint(mean).astype(np.int64), (neuron.shape or neuron.delta.shape)[:1]).copy()
    return bias


def cuba_bias(block: Any, kind: str) -> Ints | None:
    """Where SLAYER integrates it as the chip does: on the voltage."""
    neuron = block.neuron
    if neuron.complex and (neuron.real_norm is not None or neuron.imag_norm is not None):
        raise UnsupportedError("a norm of resonators: netx drops it; train without")
    bias = None if neuron.complex else norm_bias(neuron)
    if bias is None:
        return None
    if kind == "Input":
        raise UnsupportedError("a norm in an input block: put it into the first block with synapses")
    if kind == "Recurrent" and (exponent_of(neuron.norm) or bias.any()) and set(current_decays(neuron)) != {4096}:
        # neuron/cuba.py:345-357: with one step a call, the current that is kept for the next has the bias in it.
        raise UnsupportedError(
            "a norm in a recurrent block: SLAYER keeps its bias in the current from step to step, the chip adds it to "
            "the voltage; they agree only where the current decays fully: use current_decay=1 or no norm"
        )
    return bias


def exponent_of(norm: Any) -> int:
    """WgtScaleBatchNorm divides by this power of two, whose exponent it limits (neuron/norm.py:158)."""
    if type(norm).__name__ != "WgtScaleBatchNorm":
        return 0
    return int(torch.log2(norm.std(norm.running_var)).item())


def current_decays(neuron: Any) -> tuple[int, ...]:
    """Of the current, of 4096 parts; what `forward` rounds to."""
    decay = neuron.current_decay.detach().round().clamp(0, 4096)
    return tuple(sorted({int(value) for value in decay.reshape(-1)}))


def scaled(group: Any, bias: Ints | None, exponent: int, decays: tuple[int, ...]) -> Ints | None:
    """Weights and bias divided by 2^exponent, as WgtScaleBatchNorm divides the current that both make."""
    check_exponent(exponent, decays)
    for name in [name for name in ("weight", "weight_rec") if name in group]:
        weight = divided(np.rint(group[name][()]).astype(np.int64), exponent)
        del group[name]
        group[name] = weight
    return None if bias is None else divided(bias, exponent)
