"""A trained Sinabs network as float layers. Works on the modules alone: `samna` is not needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.graph import INPUT, Layer, Network
from i2e_deploy.network.layers import Add, Conv2d, Flatten, IntegrateAndFire, Linear, Pool2d
from i2e_deploy.network.op import Array, Op, Pair, Shape
from i2e_deploy.network.sensor import Sensor
from i2e_deploy.network.sinabs_judge import judged
from i2e_deploy.network.torch_graph import calls

if TYPE_CHECKING:
    from torch import nn

#: Modules without effect at inference.
IGNORED = ("Dropout", "Dropout2d", "Identity")
BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d")
MERGES = ("Add", "Merge")
NEURONS = ("IAF", "IAFSqueeze")


def from_sinabs(module: nn.Module, input_shape: Shape, example: Any = None) -> Network:
    """Read a Sinabs network.

    Args:
        module: `nn.Sequential`, nested or not, or a module whose `forward` combines layers (branches, `+` or
            Sinabs' Merge, several outputs), or what `sinabs.from_torch.from_model` returns. Layers: Conv2d, Linear,
            AvgPool2d, Sinabs SumPool2d, Flatten, IAF / IAFSqueeze, DVSLayer (first); batch norm is folded into
            the weights before it (eps included); dropout and identity are ignored.
        input_shape: (C, H, W).
        example: frames [B, T, C, H, W] or [T, C, H, W] on which the module's own forward is run and compared with what
            was read, layer by layer (`network.judge`); a few samples that make every layer fire. The module is left as
            it was. None: nothing is compared, which a note says and `check` shows.

    Membrane potentials that a forward pass has left in the module are not part of the network: it starts from
    zero. (Sinabs would quantise them too, which can change the scale of the weights: reset the states first.)

    Raises:
        UnsupportedError: a module that has no exact counterpart, or, with an example, one that computes something else
            than its layers say; the message names the layer.
        InputError: shapes that do not fit.
    """
    layers: dict[str, Layer] = {}
    stands_for = {INPUT: INPUT}
    norms: dict[str, tuple[str, ...]] = {INPUT: ()}  # on the way from the layer that a name stands for
    reads: list[tuple[str, str]] = []
    neurons: dict[int, str] = {}
    leaves = (*IGNORED, *BATCH_NORMS, *MERGES, *_READERS)
    found, outputs = calls(module, leaves)
    for name, leaf, kind, sources, _ in found:
        inputs = tuple(stands_for[source] for source in sources)
        stands_for[name], norms[name] = name, ()
        if kind in IGNORED or kind in BATCH_NORMS:
            (stands_for[name],) = inputs
            norms[name] = norms[sources[0]]
            if kind in BATCH_NORMS:
                layers[inputs[0]] = _folded(name, leaf, layers.get(inputs[0]))
                norms[name] += (name,)
            continue
        if kind in NEURONS and neurons.setdefault(id(leaf), name) != name:
            raise UnsupportedError(
                f"layer {neurons[id(leaf)]!r} is used twice: its states are one; give each use its own"
            )
        if kind in MERGES:
            layers[name] = Layer(name, Add(), inputs)
        elif kind in _READERS:
            layers[name] = Layer(name, _read(name, kind, leaf), inputs)
        else:
            known = ", ".join(sorted((*_READERS, *BATCH_NORMS, "Merge")))
            raise UnsupportedError(f"layer {name!r} is a {kind}: no exact counterpart here; use one of {known}")
        reads += [(name, source) for source in sources]
    if not layers:
        raise InputError("the module holds no layers: give the trained network")
    _check_norms(reads, stands_for, norms)
    _check_outputs([stands_for[name] for name in outputs], {stands_for[source] for _, source in reads})
    network = Network(input_shape, tuple(layers.values()))
    folded = [call.name for call in found if call.kind in BATCH_NORMS]
    return judged(network, module, example, found, stands_for, folded, outputs)


def _check_norms(
    reads: Sequence[tuple[str, str]], stands_for: Mapping[str, str], norms: Mapping[str, tuple[str, ...]]
) -> None:
    """A layer with batch norm folded in serves only those that read it after the norm."""
    folded: dict[str, set[str]] = {}
    for name, passed in norms.items():
        folded.setdefault(stands_for[name], set()).update(passed)
    for reader, source in reads:
        layer = stands_for[source]
        missed = folded[layer] - set(norms[source])
        if missed:
            raise UnsupportedError(
                f"layer {reader!r} takes {layer!r} without the batch norm {sorted(missed)} that another branch puts "
                "after it: give each branch a convolution of its own"
            )


def _read(name: str, kind: str, module: Any) -> Op:
    """One module as a float layer; errors name it."""
    try:
        return _READERS[kind](name, module)
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error


def _check_outputs(outputs: Sequence[str], read: Collection[str]) -> None:
    """An output is a layer without consumers here, so what leaves the network must feed nothing else."""
    for name in outputs:
        if name in read or name == INPUT or outputs.count(name) > 1:
            other = "as two outputs" if name not in read and name != INPUT else "and feeds a layer too"
            raise UnsupportedError(f"layer {name!r} leaves the network {other}: give the output a layer of its own")


def _folded(name: str, norm: Any, layer: Layer | None) -> Layer:
    """The layer with the batch norm `norm` after it folded into its weights: w * f, (b - mean) * f + beta."""
    if layer is None or not isinstance(layer.op, Conv2d | Linear):
        raise UnsupportedError(f"layer {name!r} normalises something else than a convolution or linear layer: move it")
    if norm.running_var is None:
        raise UnsupportedError(f"layer {name!r} has no running statistics: train with track_running_stats=True")
    if norm.num_features != layer.op.weight.shape[0]:
        raise InputError(f"layer {name!r} normalises {norm.num_features} channels of {layer.op.weight.shape[0]}")
    mean, variance = _array(norm.running_mean).astype(np.float64), _array(norm.running_var).astype(np.float64)
    gamma = 1.0 if norm.weight is None else _array(norm.weight).astype(np.float64)
    beta = 0.0 if norm.bias is None else _array(norm.bias).astype(np.float64)
    factor = gamma / np.sqrt(variance + norm.eps)
    weight = layer.op.weight * factor.reshape(-1, *[1] * (layer.op.weight.ndim - 1))
    bias = ((0.0 if layer.op.bias is None else layer.op.bias) - mean) * factor + beta
    return replace(layer, op=replace(layer.op, weight=weight.astype(np.float32), bias=bias.astype(np.float32)))


def _array(tensor: Any) -> Array:
    if tensor.is_meta:
        raise InputError("the module's weights are on device 'meta': they have no values; load them first")
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy(), np.float32)


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


def _sensor(name: str, module: Any) -> Op:
    """Sinabs' DVSLayer (sinabs 3.1.3 backend/dynapcnn/dvs_layer.py), by its attributes: its package needs samna."""
    crop, flip = module.crop_layer, module.flip_layer
    edges = (crop.top_crop, crop.bottom_crop), (crop.left_crop, crop.right_crop)
    return Sensor(
        pool=_pair(module.pool_layer.kernel_size),
        crop=(_pair(edges[0]), _pair(edges[1])),
        merge_polarities=bool(module.merge_polarities),
        flip_y=bool(flip.flip_y),
        flip_x=bool(flip.flip_x),
        swap_xy=bool(flip.swap_xy),
        pixel_array=not module.disable_pixel_array,
    )


def _flatten(name: str, module: Any) -> Op:
    if module is not None and (module.start_dim, module.end_dim) != (1, -1):
        raise UnsupportedError(
            f"layer {name!r} flattens dimensions {module.start_dim} to {module.end_dim}: use nn.Flatten(), which keeps "
            "the batch and flattens the rest"
        )
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
        reset=_reset(name, module.reset_fn),
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


def _reset(name: str, function: Any) -> Any:
    kind = type(function).__name__
    if kind == "MembraneSubtract" and function.subtract_value is None:  # Sinabs does not scale an explicit value
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
    "DVSLayer": _sensor,
    "IAF": _iaf,
    "IAFSqueeze": _iaf,
}
