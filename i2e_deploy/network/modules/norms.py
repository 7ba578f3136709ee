"""Batch norms of every kind as fixed factors and offsets: in the weights of the layer before, or a layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Linear, Scale
from i2e_deploy.network.modules.hooks import refresh_weights
from i2e_deploy.network.modules.values import array_of
from i2e_deploy.network.op import Shape

#: A factor and an offset of each channel, float64.
Affine = tuple[NDArray[np.float64], NDArray[np.float64]]


def affine(name: str, norm: Any, gain: float = 1.0) -> Affine:
    """What a batch norm does at inference: `x * factor + offset` of each channel.

    Args:
        name: of the layer, for errors.
        norm: a module with running_mean, running_var, weight, bias and eps.
        gain: the norm's own factor beside its weight (tdBN: alpha * threshold), before its bias is added.

    Raises:
        UnsupportedError: no running statistics.
    """
    try:
        refresh_weights(norm)
        names = ("running_mean", "running_var", "weight", "bias")
        found = {what: array_of(norm, what) for what in names}
        mean, variance, gamma, beta = (None if a is None else a.astype(np.float64) for a in found.values())
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error
    if mean is None or variance is None:
        raise UnsupportedError(f"layer {name!r} has no running statistics: train with track_running_stats=True")
    factor = gain * (1.0 if gamma is None else gamma) / np.sqrt(variance + norm.eps)
    return factor, (0.0 if beta is None else beta) - mean * factor


def folded(name: str, norm: Affine, layer: Layer | None) -> Layer:
    """The layer with the batch norm `norm` after it folded into its weights.

    Raises:
        UnsupportedError: `layer` is none with weights.
        InputError: another number of channels.
    """
    if layer is None or not isinstance(layer.op, Conv1d | Conv2d | Linear):
        raise UnsupportedError(f"layer {name!r} normalises something else than a convolution or linear layer: move it")
    factor, offset = norm
    channels = layer.op.weight.shape[0]
    if factor.size != channels:
        raise InputError(f"layer {name!r} normalises {factor.size} channels of {channels}")
    weight = layer.op.weight * factor.reshape(-1, *[1] * (layer.op.weight.ndim - 1))
    bias = (0.0 if layer.op.bias is None else layer.op.bias) * factor + offset
    return replace(layer, op=replace(layer.op, weight=weight.astype(np.float32), bias=bias.astype(np.float32)))


def scale(name: str, norm: Affine, shape: Shape) -> Scale:
    """A batch norm as a layer of its own.

    Raises:
        InputError: another number of channels.
    """
    factor, offset = norm
    if factor.size != shape[0]:
        raise InputError(f"layer {name!r} normalises {factor.size} channels of {shape[0]}")
    spread = (-1, *[1] * (len(shape) - 1))
    return Scale(factor.reshape(spread).astype(np.float32), offset.reshape(spread).astype(np.float32))
