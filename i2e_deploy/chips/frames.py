"""Checks of what goes into a program: frames, and states of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from i2e_deploy.chips.trace import Integers, States
from i2e_deploy.errors import InputError

#: Most events of one pixel in one step: far above any camera, and sums of them stay exact.
MAX_COUNT = 2**20


def check_array(given: object) -> None:
    """Raise InputError unless frames (or events) are a NumPy array."""
    if not isinstance(given, np.ndarray):
        own = type(given)
        raise InputError(
            f"frames are a {own.__module__}.{own.__name__}: give a NumPy array of integers, e.g. tensor.cpu().numpy()"
        )


def check_frames(frames: Integers, input_shape: tuple[int, ...]) -> None:
    """Raise InputError unless `frames` is integers >= 0 of shape [B, T, *input_shape]."""
    check_array(frames)
    wanted = f"[B, T, {', '.join(map(str, input_shape))}]"
    if frames.ndim != 2 + len(input_shape) or frames.shape[2:] != tuple(input_shape):
        raise InputError(f"frames have shape {list(frames.shape)}: this program takes {wanted}")
    if 0 in frames.shape:
        raise InputError(f"frames have shape {list(frames.shape)}: give at least one sample and one step")
    if frames.dtype.kind not in "bui":
        raise InputError(f"frames have dtype {frames.dtype}: event counts are integers; cast them first")
    if frames.dtype.kind == "i" and frames.min() < 0:
        raise InputError(f"frames hold {frames.min()}: event counts are not negative")
    if frames.dtype.itemsize > 2 and frames.max() > MAX_COUNT:
        raise InputError(f"frames hold {frames.max()}: at most {MAX_COUNT} events a pixel and step")


def check_states(states: States, shapes: Mapping[str, Mapping[str, tuple[int, ...]]], batch: int) -> None:
    """Raise InputError unless `states` has, per layer and variable of `shapes`, integers of shape [batch, *shape]."""
    for layer, variables in shapes.items():
        for name, shape in variables.items():
            value = states.get(layer, {}).get(name)
            if value is None:
                raise InputError(
                    f"states lack {name!r} of layer {layer!r}: give the `states` of a trace of this program"
                )
            if value.shape != (batch, *shape) or value.dtype.kind not in "iu":
                raise InputError(
                    f"state {name!r} of layer {layer!r} is {value.dtype} {list(value.shape)}, "
                    f"expected integers {[batch, *shape]}"
                )
