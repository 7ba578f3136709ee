"""Numbers out of torch tensors, with no doubt about what they are: float32 arrays, one number, whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Note
from i2e_deploy.network.op import Array, Pair, Shape


def array_of(module: Any, name: str) -> Array | None:
    """A tensor of a module as float32, on any device and in any floating-point dtype; None: the module has none.

    Raises:
        InputError: no values (device `meta`), no plain tensor (a quantised one, a subclass), no floating point, or
            computed anew with another result each time.
    """
    import torch

    tensor = getattr(module, name)
    if tensor is None:
        return None
    _check_plain(tensor, f"{name} is")
    held = name in module._parameters or name in module._buffers or name in vars(module)
    if not held and not torch.equal(tensor, getattr(module, name)):
        raise InputError(f"{name} is computed with another result each time: fix it, e.g. assign one result")
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy(), np.float32)


def doubles_of(holder: Any, name: str) -> NDArray[np.float64]:
    """A number or an array of numbers as float64, without leading axes of one value: it spreads over neurons as before.

    Raises:
        InputError: it holds no numbers.
    """
    import torch

    value = getattr(holder, name)
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.is_complex():
            raise InputError(f"{name} is a {value.dtype} on device {value.device}: give numbers")
        value = value.detach().cpu().double().numpy()
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is {value!r}: give a number, or one a neuron") from None
    while found.ndim and len(found) == 1:
        found = found[0]
    return np.asarray(found)


def number_of(value: Any, what: str) -> float:
    """One number, or a tensor or array in which all are equal.

    Raises:
        UnsupportedError: they differ; the message begins with a verb.
        InputError: it is none, see also `array_of`.
    """
    import torch

    if isinstance(value, torch.Tensor):
        _check_plain(value, f"the {what} is", whole=True)
        value = value.detach().cpu().double().numpy()
    try:
        values = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the {what} is {value!r}: give a number") from None
    if not values.size:
        raise InputError(f"the {what} is empty: give a number")
    if values.size > 1 and not (values == values.flat[0]).all():
        raise UnsupportedError(
            f"has {values.size} {what}s, from {values.min():.6g} to {values.max():.6g}: "
            "the neurons of a layer share one; make them equal"
        )
    return float(values.flat[0])


def whole(value: Any, what: str) -> int:
    """A whole number, NumPy's too.

    Raises:
        InputError: it is none.
    """
    try:
        number = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = None
    if number is None:
        raise InputError(f"the {what} is {value!r}: give a whole number")
    return number


def pair_of(value: Any, what: str) -> Pair:
    """(vertical, horizontal) of two whole numbers, or of one for both; see `whole`."""
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2:
        raise InputError(f"the {what} is {value!r}: give one or two whole numbers")
    return whole(both[0], what), whole(both[1], what)


def shape_of(value: Sequence[Any]) -> Shape:
    """A shape of whole numbers, NumPy's too, in any sequence."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise InputError(f"the input shape is {value!r}: give (C, H, W)")
    return tuple(whole(side, "input shape") for side in value)


def _check_plain(tensor: Any, what: str, whole: bool = False) -> None:
    import torch

    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"{what} a {type(tensor).__name__}, not a tensor: give the module of floats")
    if tensor.is_meta:
        raise InputError("the module's weights are on device 'meta': they have no values; load them first")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter) or tensor.layout != torch.strided or tensor.is_quantized:
        raise InputError(
            f"{what} a {type(tensor).__name__} of {tensor.dtype}, {tensor.layout}: "
            "its numbers are not what a layer computes with; make it a plain tensor of floats"
        )
    if not (tensor.is_floating_point() or (whole and not tensor.is_complex())):
        raise InputError(f"{what} {tensor.dtype}: give floating-point numbers")


def precision_note(layer: str, module: Any) -> list[Note]:
    """What becomes of weights, thresholds and bounds that are not float32: the network computes in float32."""
    import torch

    notes = []
    for name in ("weight", "spike_threshold", "min_v_mem"):
        tensor = getattr(module, name, None)
        if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point() or not tensor.ndim:
            continue  # torch gives the dtype of one number without dimensions to no result
        dtype = tensor.dtype
        if dtype.itemsize > 4:
            notes.append(Note(layer, f"{name} is {dtype}: rounded to float32, in which the network computes"))
        elif dtype.itemsize < 4:
            text = f"{name} is {dtype}: read exactly, but sums are float32, where the module rounds them to {dtype}"
            notes.append(Note(layer, text, doubtful=True))
    return notes
