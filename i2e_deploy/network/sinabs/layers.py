"""Sinabs' own modules as float layers, by their attributes, and what its reader takes of torch's own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.layers import Add, Flatten
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import BATCH_NORMS, READERS, Reader, window
from i2e_deploy.network.modules.values import number_of, pair_of, whole
from i2e_deploy.network.neurons import IntegrateAndFire, ResetMode
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.network.sensor import Sensor

#: Modules without effect at inference.
IGNORED = ("Dropout", "Dropout2d", "Identity")
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


def _conv(module: Any, given: Sequence[Shape]) -> Op:
    if isinstance(module.padding, str):  # no chip that Sinabs trains for has it
        raise UnsupportedError(f"pads by {module.padding!r} with {module.padding_mode!r}: pad by a number, with zeros")
    return READERS["Conv2d"](module, given)


def _average_pool(module: Any, given: Sequence[Shape]) -> Op:
    kernel, stride = window(module)
    padded = pair_of(module.padding, "padding") != (0, 0)
    if stride != kernel or padded or module.ceil_mode or module.divisor_override:
        raise UnsupportedError(
            f"pools {kernel} with stride {stride}, padding {module.padding}: "
            "windows must not overlap (stride = kernel, no padding, no ceil_mode, no divisor)"
        )
    return READERS["AvgPool2d"](module, given)


def _sum_pool(module: Any) -> Op:
    kernel, stride = window(module)
    if stride != kernel or module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"sum-pools {kernel} with stride {stride}: make them equal, without ceil_mode")
    return Pool2d(kernel, "sum")


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


def _flatten(module: Any, given: Sequence[Shape]) -> Op:
    return Flatten() if module is None else READERS["Flatten"](module, given)


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


#: By kind, see `modules.layers.read_op`.
SINABS_READERS: Mapping[str, Reader] = {
    "Add": lambda _, __: Add(),
    "AvgPool2d": _average_pool,
    "Conv2d": _conv,
    "DVSLayer": lambda module, _: _sensor(module),
    "Flatten": _flatten,
    "IAF": lambda module, _: _iaf(module),
    "IAFSqueeze": lambda module, _: _iaf(module),
    "Linear": READERS["Linear"],
    "Merge": lambda _, __: Add(),
    "SumPool2d": lambda module, _: _sum_pool(module),
}
