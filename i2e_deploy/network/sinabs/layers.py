"""Sinabs' own modules as float layers, by their attributes, and what its reader takes of torch's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from i2e_deploy.errors import UnsupportedError
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Add, Flatten
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.known import kind_of
from i2e_deploy.network.modules.layers import IGNORED as TORCH_IGNORED
from i2e_deploy.network.modules.layers import READERS, TORCH, Reader, Reading, WideReader, window
from i2e_deploy.network.modules.values import pair_of
from i2e_deploy.network.op import Op, Shape
from i2e_deploy.network.pooling import Pool2d
from i2e_deploy.network.sensor import Sensor
from i2e_deploy.network.sinabs.neurons import LEAVES as NEURON_LEAVES
from i2e_deploy.network.sinabs.neurons import NEURONS, read_neurons

#: Modules without effect at inference, or on batch and time alone.
IGNORED = (*TORCH_IGNORED, "FlattenTime", "UnflattenTime")
#: A module that holds a row of others, and the attribute that holds it.
CONTAINERS: Mapping[str, str] = {"Repeat": "module"}
SENSOR = "sinabs.backend.dynapcnn.dvs_layer.DVSLayer"
SUM_POOL = "sinabs.layers.SumPool2d"
#: Every class that is read, with its package.
LEAVES = (
    *TORCH,
    *NEURON_LEAVES,
    *(f"sinabs.layers.{name}" for name in ("FlattenTime", "Merge", "Repeat", "UnflattenTime")),
    SUM_POOL,
    SENSOR,
)


def _sum_pool(module: Any, given: Sequence[Shape]) -> Op:
    """Sums of windows; where they overlap, as the convolution that computes them."""
    kernel, stride = window(module)
    if module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"sum-pools {kernel} with ceil_mode or another norm than 1: leave both off")
    if stride == kernel:
        return Pool2d(kernel, "sum")
    channels = given[0][0]
    return Conv2d(np.ones((channels, 1, *kernel), np.float32), stride=stride, groups=channels)


def _sensor(module: Any) -> Op:
    """Sinabs' DVSLayer (sinabs 3.1.3 backend/dynapcnn/dvs_layer.py), by its attributes: its package needs samna."""
    package = SENSOR.rpartition(".")[0].rpartition(".")[0]
    crops, flips = f"{package}.crop2d.Crop2d", f"{package}.flipdims.FlipDims"
    parts = {"pool_layer": SUM_POOL, "crop_layer": crops, "flip_layer": flips}
    for name, wanted in parts.items():
        part = getattr(module, name)
        if kind_of(part, (wanted,)) != wanted.rpartition(".")[2]:
            raise UnsupportedError(f"has a {type(part).__name__} as its {name}: use {wanted}, as DVSLayer does")
    pool, crop, flip = _sum_pool(module.pool_layer, [(1, 1, 1)]), module.crop_layer, module.flip_layer
    if not isinstance(pool, Pool2d):
        raise UnsupportedError(f"sum-pools {pool.describe()} with windows that overlap: make stride and kernel equal")
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


def _flatten(module: Any, given: Sequence[Shape], timed: bool) -> Op:
    if module is None:
        return Flatten()
    first, last = (dim - 1 if timed and dim > 0 else dim for dim in (module.start_dim, module.end_dim))
    return READERS["Flatten"](SimpleNamespace(start_dim=first, end_dim=last), given)


def _one(reader: Reader, call: Call, inputs: Sequence[str], given: Sequence[Shape]) -> Reading:
    return Reading((Layer(call.name, reader(call.module, given), tuple(inputs)),))


#: By kind, see `modules.layers.read_op`.
_READERS: Mapping[str, Reader] = {
    **{kind: READERS[kind] for kind in READERS if not kind.startswith("Quant")},
    "DVSLayer": lambda module, _: _sensor(module),
    "Merge": lambda _, __: Add(),
    "SumPool2d": _sum_pool,
}


def readers(timed: bool) -> Mapping[str, WideReader]:
    """By kind, see `modules.layers.read_wide`.

    Args:
        timed: for layers that have batch and time as two axes, else as one.
    """
    found: dict[str, Reader] = {**_READERS, "Flatten": partial(_flatten, timed=timed)}
    return {
        **{kind: partial(_one, reader) for kind, reader in found.items()},
        **dict.fromkeys(NEURONS, read_neurons),
    }
