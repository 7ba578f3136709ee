"""Each kind of Sinabs and torch module as a float layer, by its attributes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Add, Flatten, Linear
from i2e_deploy.network.modules.hooks import refresh_weights
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.values import array_of, number_of, pair_of, whole
from i2e_deploy.network.neurons import IntegrateAndFire, ResetMode
from i2e_deploy.network.op import Array, Op, Pair
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.network.sensor import Sensor

#: Modules without effect at inference.
IGNORED = ("Dropout", "Dropout2d", "Identity")
BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d")
NEURONS = ("IAF", "IAFSqueeze")
SENSOR = "sinabs.backend.dynapcnn.dvs_layer.DVSLayer"
SUM_POOL = "sinabs.layers.SumPool2d"
#: Every class that is read, with its package.
LEAVES = (
    *(f"torch.nn.{name}" for name in (*IGNORED, *BATCH_NORMS, "AvgPool2d", "Conv2d", "Flatten", "Linear")),
    *(f"sinabs.layers.{name}" for name in (*NEURONS, "Merge")),
    SUM_POOL,
    SENSOR,
)


def read_op(name: str, kind: str, module: Any) -> Op:
    """One module, in evaluation mode, as what it computes; its weights are those that its next forward would use.

    Args:
        name: of the layer, for errors.
        kind: `known.kind_of` the module, or a function's.
        module: None for a function.

    Raises:
        UnsupportedError: it has no exact counterpart.
        InputError: values that mean nothing.
    """
    if kind not in _READERS:
        known = ", ".join(sorted((*_READERS, *BATCH_NORMS)))
        raise UnsupportedError(
            f"layer {name!r} is a {kind}: no exact counterpart here; use one of {known}, or say stands_for = 'NAME' in "
            "a class whose forward computes what NAME does"
        )
    try:
        if module is not None:
            refresh_weights(module)
        return _READERS[kind](module)
    except UnsupportedError as error:  # begins with a verb
        raise UnsupportedError(f"layer {name!r} {error}") from error
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error
    except AttributeError as error:
        raise UnsupportedError(f"layer {name!r} stands for {kind}, but {error}: give it what {kind} has") from error


def folded(name: str, norm: Any, layer: Layer | None) -> Layer:
    """The layer with the batch norm `norm` after it folded into its weights: w * f, (b - mean) * f + beta.

    Raises:
        UnsupportedError: `layer` is none with weights, or the norm has no running statistics.
        InputError: another number of channels.
    """
    if layer is None or not isinstance(layer.op, Conv2d | Linear):
        raise UnsupportedError(f"layer {name!r} normalises something else than a convolution or linear layer: move it")
    try:
        refresh_weights(norm)
        names = ("running_mean", "running_var", "weight", "bias")
        found = {what: array_of(norm, what) for what in names}
        mean, variance, gamma, beta = (None if a is None else a.astype(np.float64) for a in found.values())
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error
    if mean is None or variance is None:
        raise UnsupportedError(f"layer {name!r} has no running statistics: train with track_running_stats=True")
    channels = layer.op.weight.shape[0]
    if mean.size != channels:
        raise InputError(f"layer {name!r} normalises {mean.size} channels of {channels}")
    factor = (1.0 if gamma is None else gamma) / np.sqrt(variance + norm.eps)
    weight = layer.op.weight * factor.reshape(-1, *[1] * (layer.op.weight.ndim - 1))
    bias = (0.0 if layer.op.bias is None else layer.op.bias) - mean
    bias = bias * factor + (0.0 if beta is None else beta)
    return replace(layer, op=replace(layer.op, weight=weight.astype(np.float32), bias=bias.astype(np.float32)))


def _weight(module: Any) -> Array:
    weight = array_of(module, "weight")
    if weight is None:
        raise InputError("it has no weight: give the trained module")
    return weight


def _conv(module: Any) -> Op:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UnsupportedError(f"pads by {module.padding!r} with {module.padding_mode!r}: pad by a number, with zeros")
    return Conv2d(
        _weight(module),
        array_of(module, "bias"),
        pair_of(module.stride, "stride"),
        pair_of(module.padding, "padding"),
        pair_of(module.dilation, "dilation"),
        whole(module.groups, "number of groups"),
    )


def _linear(module: Any) -> Op:
    return Linear(_weight(module), array_of(module, "bias"))


def _average_pool(module: Any) -> Op:
    kernel, stride = _window(module)
    padded = pair_of(module.padding, "padding") != (0, 0)
    if stride != kernel or padded or module.ceil_mode or module.divisor_override:
        raise UnsupportedError(
            f"pools {kernel} with stride {stride}, padding {module.padding}: "
            "windows must not overlap (stride = kernel, no padding, no ceil_mode, no divisor)"
        )
    return Pool2d(kernel, "average")


def _sum_pool(module: Any) -> Op:
    kernel, stride = _window(module)
    if stride != kernel or module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"sum-pools {kernel} with stride {stride}: make them equal, without ceil_mode")
    return Pool2d(kernel, "sum")


def _window(module: Any) -> tuple[Pair, Pair]:
    """Kernel and stride of a pooling."""
    kernel = pair_of(module.kernel_size, "kernel")
    return kernel, kernel if module.stride is None else pair_of(module.stride, "stride")


def _sensor(module: Any) -> Op:
    """Sinabs' DVSLayer (sinabs 3.1.3 backend/dynapcnn/dvs_layer.py), by its attributes: its package needs samna."""
    package = SENSOR.rpartition(".")[0].rpartition(".")[0]
    crops, flips = f"{package}.crop2d.Crop2d", f"{package}.flipdims.FlipDims"
    parts = {"pool_layer": SUM_POOL, "crop_layer": crops, "flip_layer": flips}
    for name, wanted in parts.items():
        part = getattr(module, name)
        if kind_of(part, (wanted,)) != wanted.rpartition(".")[2]:
            raise UnsupportedError(f"has a {type(part).__name__} as its {name}: use {wanted}, as DVSLayer does")
    pool, crop, flip = _sum_pool(module.pool_layer), module.crop_layer, module.flip_layer
    assert isinstance(pool, Pool2d)
    return Sensor(
        pool=pool.kernel,
        crop=(
            pair_of((crop.top_crop, crop.bottom_crop), "crop"),
            pair_of((crop.left_crop, crop.right_crop), "crop"),
        ),
        merge_polarities=bool(module.merge_polarities),
        flip_y=bool(flip.flip_y),
        flip_x=bool(flip.flip_x),
        swap_xy=bool(flip.swap_xy),
        pixel_array=not module.disable_pixel_array,
    )


def _flatten(module: Any) -> Op:
    if module is not None and (module.start_dim, module.end_dim) != (1, -1):
        raise UnsupportedError(
            f"flattens dimensions {module.start_dim} to {module.end_dim}: use nn.Flatten(), which keeps the batch "
            "and flattens the rest"
        )
    return Flatten()


def _iaf(module: Any) -> Op:
    if module.tau_syn is not None or getattr(module, "train_alphas", False):
        raise UnsupportedError("has a synaptic time constant: there is none here; use tau_syn=None")
    if getattr(module, "norm_input", False):
        raise UnsupportedError("scales its input (norm_input): IAF does not; leave it off")
    if module.spike_threshold is None:
        raise InputError("it has no spike_threshold: give a number")
    minimum = module.min_v_mem
    return IntegrateAndFire(
        threshold=number_of(module.spike_threshold, "threshold"),
        min_v=None if minimum is None else number_of(minimum, "lower bound"),
        max_spikes=_max_spikes(module.spike_fn),
        reset=_reset(module.reset_fn),
    )


def _activation(name: str) -> Any:
    """A class of Sinabs', without importing it; where nobody has, no module holds one."""
    return getattr(sys.modules.get("sinabs.activation"), name, object)


def _max_spikes(function: Any) -> int | None:
    if function is _activation("MultiSpike"):
        return None
    if function is _activation("SingleSpike"):
        return 1
    if type(function) is _activation("MaxSpike") and "apply" not in vars(function):
        most = function.max_num_spikes_per_bin
        return None if most is None else whole(most, "largest number of spikes")
    kind = getattr(function, "__qualname__", type(function).__qualname__)
    home = getattr(function, "__module__", type(function).__module__)
    raise UnsupportedError(f"spikes by {kind} of {home}: use MultiSpike, SingleSpike or MaxSpike of sinabs")


def _reset(function: Any) -> ResetMode:
    own = type(function)
    if own is _activation("MembraneSubtract") and function.subtract_value is None:  # Sinabs scales no explicit value
        return "subtract"
    if own is _activation("MembraneReset") and function.reset_value == 0:
        return "zero"
    raise UnsupportedError(
        f"resets by {function}: use MembraneSubtract() (takes the threshold off) or MembraneReset() of sinabs"
    )


_READERS: Mapping[str, Callable[[Any], Op]] = {
    "Add": lambda _: Add(),
    "AvgPool2d": _average_pool,
    "Conv2d": _conv,
    "DVSLayer": _sensor,
    "Flatten": _flatten,
    "IAF": _iaf,
    "IAFSqueeze": _iaf,
    "Linear": _linear,
    "Merge": lambda _: Add(),
    "SumPool2d": _sum_pool,
}
