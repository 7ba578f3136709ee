"""A trained Sinabs network (`nn.Sequential`) as float layers. Works on the modules alone: `samna` is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import Network, chain
from i2e_deploy.network.layers import Array, Conv2d, Flatten, IntegrateAndFire, Linear, Op, Pair, Pool2d, Shape

if TYPE_CHECKING:
    from torch import nn

#: Modules without effect at inference.
IGNORED = ("Dropout", "Dropout2d", "Identity")


def from_sinabs(module: nn.Module, input_shape: Shape) -> Network:
    """Read a Sinabs network.

    Args:
        module: `nn.Sequential`, nested or not, of Conv2d, Linear, AvgPool2d, Sinabs SumPool2d, Flatten,
            IAF / IAFSqueeze; dropout and identity are ignored.
        input_shape: (C, H, W).

    Raises:
        UnsupportedError: a module that has no exact counterpart; the message names it.
        InputError: shapes that do not fit.
    """
    ops: dict[str, Op] = {}
    for name, leaf in _leaves(module, ""):
        kind = next((c.__name__ for c in type(leaf).__mro__ if c.__name__ in (*_READERS, *IGNORED)), "")
        if kind in IGNORED:
            continue
        if not kind:
            raise UnsupportedError(
                f"layer {name!r} is a {type(leaf).__name__}: no exact counterpart here; use one of {sorted(_READERS)}"
            )
        ops[name] = _READERS[kind](name, leaf)
    if not ops:
        raise InputError("the module holds no layers: give the trained nn.Sequential")
    return chain(input_shape, ops)


def _leaves(module: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    from torch import nn

    if not isinstance(module, nn.Sequential):
        yield prefix or "0", module
        return
    for name, child in module.named_children():
        yield from _leaves(child, f"{prefix}.{name}" if prefix else name)


def _array(tensor: Any) -> Array:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def _pair(value: Any) -> Pair:
    first, second = value if isinstance(value, tuple) else (value, value)
    return int(first), int(second)


def _conv(name: str, module: Any) -> Op:
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise UnsupportedError(
            f"layer {name!r} pads by {module.padding!r} with {module.padding_mode!r}: pad by a number, with zeros"
        )
    return Conv2d(
        _array(module.weight),
        None if module.bias is None else _array(module.bias),
        _pair(module.stride),
        _pair(module.padding),
        _pair(module.dilation),
        int(module.groups),
    )


def _linear(name: str, module: Any) -> Op:
    return Linear(_array(module.weight), None if module.bias is None else _array(module.bias))


def _average_pool(name: str, module: Any) -> Op:
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    if stride != kernel or _pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override:
        raise UnsupportedError(
            f"layer {name!r} pools {kernel} with stride {stride}, padding {module.padding}: "
            "windows must not overlap (stride = kernel, no padding, no ceil_mode, no divisor)"
        )
    return Pool2d(kernel, "average")


def _sum_pool(name: str, module: Any) -> Op:
    kernel = _pair(module.kernel_size)
    stride = kernel if module.stride is None else _pair(module.stride)
    if stride != kernel or module.ceil_mode or module.norm_type != 1:
        raise UnsupportedError(f"layer {name!r} sum-pools {kernel} with stride {stride}: make them equal")
    return Pool2d(kernel, "sum")


def _flatten(name: str, module: Any) -> Op:
    return Flatten()


def _iaf(name: str, module: Any) -> Op:
    if module.tau_syn is not None:
        raise UnsupportedError(f"layer {name!r} has a synaptic time constant: the chip has none; use tau_syn=None")
    threshold = module.spike_threshold
    if threshold.numel() != 1:
        raise UnsupportedError(f"layer {name!r} has {threshold.numel()} thresholds: a core has one; make them equal")
    minimum = module.min_v_mem
    return IntegrateAndFire(
        threshold=float(threshold),
        min_v=None if minimum is None else float(minimum),
        max_spikes=_max_spikes(name, module.spike_fn),
        reset=_reset(name, module.reset_fn, float(threshold)),
    )


def _max_spikes(name: str, function: Any) -> int | None:
    kind = getattr(function, "__name__", type(function).__name__)
    if kind == "MultiSpike":
        return None
    if kind == "SingleSpike":
        return 1
    if kind == "MaxSpike":
        return None if function.max_num_spikes_per_bin is None else int(function.max_num_spikes_per_bin)
    raise UnsupportedError(f"layer {name!r} spikes by {kind}: use MultiSpike, SingleSpike or MaxSpike")


def _reset(name: str, function: Any, threshold: float) -> Any:
    kind = type(function).__name__
    if kind == "MembraneSubtract" and function.subtract_value in (None, threshold):
        return "subtract"
    if kind == "MembraneReset" and function.reset_value == 0:
        return "zero"
    raise UnsupportedError(
        f"layer {name!r} resets by {function}: use MembraneSubtract() (takes the threshold off) or MembraneReset()"
    )


_READERS = {
    "Conv2d": _conv,
    "Linear": _linear,
    "AvgPool2d": _average_pool,
    "SumPool2d": _sum_pool,
    "Flatten": _flatten,
    "IAF": _iaf,
    "IAFSqueeze": _iaf,
}
