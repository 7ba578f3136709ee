"""Each of torch's own modules as a float layer, by its attributes: one reader for every importer of torch modules.

Convolutions, linear layers and quantised weights are in `weights.py`, batch norms in `norms.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.graph import Layer
from i2e_deploy.network.layers import Add, Concat, Flatten, Reshape
from i2e_deploy.network.modules.graph import Call
from i2e_deploy.network.modules.hooks import refresh_weights
from i2e_deploy.network.modules.values import pair_of, whole
from i2e_deploy.network.modules.weights import conv1d, conv2d, linear, quantised
from i2e_deploy.network.op import Op, Pair, Shape
from i2e_deploy.network.pooling import MaxPool2d, Pool2d

#: Modules without effect at inference.
IGNORED = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "Identity")
BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d")
#: torch's classes that are read, with their package.
TORCH = (
    *(f"torch.nn.{name}" for name in (*IGNORED, *BATCH_NORMS)),
    "torch.nn.AdaptiveAvgPool2d", "torch.nn.AdaptiveMaxPool2d", "torch.nn.AvgPool1d", "torch.nn.AvgPool2d",
    "torch.nn.Conv1d", "torch.nn.Conv2d", "torch.nn.Flatten", "torch.nn.Linear", "torch.nn.MaxPool2d",
    "torch.nn.Unflatten", "torch.nn.ZeroPad2d",
)  # fmt: skip
#: Classes that quantise their weights in `forward`.
QUANTISING = (
    "torch.ao.nn.qat.Conv2d", "torch.ao.nn.qat.Linear", "brevitas.nn.QuantConv2d", "brevitas.nn.QuantLinear",
)  # fmt: skip


class Reading(NamedTuple):
    """What a module becomes, where that is not one layer without a word to say.

    Args:
        layers: in order; the last is what the module gives, and has its name. Inputs are among those given and
            `layers`; a loop goes through a `Delay` with a shape.
        notes: sentences on what was assumed.
        doubtful: these are warnings, see `Note`.
    """

    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()
    doubtful: bool = False


#: Reads a module whose inputs have these shapes: one layer.
Reader = Callable[[Any, Sequence[Shape]], Op]
#: Reads a call whose inputs are these layers, of these shapes.
WideReader = Callable[[Call, Sequence[str], Sequence[Shape]], Reading]

#: What to do instead of a module that has no counterpart, by its class.
WAY_OUT: Mapping[str, str] = {
    "ReLU": "a spiking network has neurons in its place: convert it with sinabs.from_torch.from_model, or train with "
    "the neurons of your framework",
    "Sigmoid": "a spiking network has neurons in its place",
    "Softmax": "leave it out: it changes no decision by the largest value",
    "LogSoftmax": "leave it out: it changes no decision by the largest value",
    "LayerNorm": "its statistics are of the running input: use batch norm, which becomes fixed factors",
    "GroupNorm": "its statistics are of the running input: use batch norm, which becomes fixed factors",
    "InstanceNorm2d": "its statistics are of the running input: use batch norm, which becomes fixed factors",
    "MaxPool1d": "use MaxPool2d on (C, 1, L)",
    "ConvTranspose2d": "use Conv2d",
    "Upsample": "use Conv2d",
    "LSTM": "train leaky neurons in its place",
    "GRU": "train leaky neurons in its place",
    "RNN": "train leaky neurons in its place",
}


def read_op(name: str, kind: str, module: Any, given: Sequence[Shape], readers: Mapping[str, Reader]) -> Op:
    """One module, in evaluation mode, as what it computes; its weights are those that its next forward would use.

    Args:
        name: of the layer, for errors.
        kind: `known.kind_of` the module, or a function's.
        module: None for a function.
        given: shapes of its inputs, without batch and time.
        readers: by kind, e.g. `{**READERS, "IAF": ...}`.

    Raises:
        UnsupportedError: it has no exact counterpart.
        InputError: values that mean nothing.
    """
    read: Op = _guarded(name, kind, module, readers, lambda reader: reader(module, given))
    return read


def read_wide(call: Call, inputs: Sequence[str], given: Sequence[Shape], readers: Mapping[str, WideReader]) -> Reading:
    """The same of a module that becomes several layers, or needs a word."""
    read: Reading = _guarded(call.name, call.kind, call.module, readers, lambda reader: reader(call, inputs, given))
    return read


def _guarded(name: str, kind: str, module: Any, readers: Mapping[str, Any], read: Callable[[Any], Any]) -> Any:
    """What `read` makes with the reader of that kind; its errors name the layer."""
    if kind not in readers:
        known = ", ".join(sorted((*readers, *BATCH_NORMS)))
        out = WAY_OUT.get(kind.partition(" ")[0])
        raise UnsupportedError(
            f"layer {name!r} is a {kind}: no exact counterpart here; {f'{out}. Or ' if out else ''}use one of {known}, "
            "or say stands_for = 'NAME' in a class whose forward computes what NAME does"
        )
    try:
        if module is not None:
            refresh_weights(module)
        return read(readers[kind])
    except UnsupportedError as error:  # begins with a verb
        raise UnsupportedError(f"layer {name!r} {error}") from error
    except InputError as error:
        raise InputError(f"layer {name!r}: {error}") from error
    except AttributeError as error:
        raise UnsupportedError(f"layer {name!r} stands for {kind}, but {error}: give it what {kind} has") from error


def shape_after(layer: Layer, given: Sequence[Shape]) -> Shape:
    """Shape of what a layer gives for inputs of these shapes; InputError names the layer."""
    try:
        return layer.op.output_shape(given)
    except InputError as error:
        raise InputError(f"layer {layer.name!r} {error}") from error


def window(module: Any) -> tuple[Pair, Pair]:
    """Kernel and stride of a pooling."""
    kernel = pair_of(module.kernel_size, "kernel")
    return kernel, kernel if module.stride is None else pair_of(module.stride, "stride")


def average_pool(module: Any, given: Sequence[Shape]) -> Op:
    """torch's AvgPool2d: a pooling where windows do not overlap, else the convolution that computes the same."""
    kernel, stride = window(module)
    padding, divisor = pair_of(module.padding, "padding"), module.divisor_override
    image = _image(given)
    _check_ceil(module.ceil_mode, image[1:], kernel, stride, padding)
    if padding != (0, 0) and not module.count_include_pad:
        raise UnsupportedError("averages without its padding (count_include_pad=False): set it True, or pad nothing")
    if stride == kernel and padding == (0, 0) and divisor in (None, 1, prod(kernel)):
        return Pool2d(kernel, "sum" if divisor == 1 and prod(kernel) > 1 else "average")
    share = 1 / (prod(kernel) if divisor is None else whole(divisor, "divisor"))
    weight = np.full((image[0], 1, *kernel), share, np.float32)
    return Conv2d(weight, stride=stride, padding=padding, groups=image[0])


def _average_row(module: Any, given: Sequence[Shape]) -> Op:
    (size,), (stride,), (padding,) = module.kernel_size, module.stride, module.padding
    channels, length = given[0]
    _check_ceil(module.ceil_mode, (length,), (size,), (stride,), (padding,))
    if padding and not module.count_include_pad:
        raise UnsupportedError("averages without its padding (count_include_pad=False): set it True, or pad nothing")
    weight = np.full((channels, 1, size), 1 / size, np.float32)
    return Conv1d(weight, stride=stride, padding=padding, groups=channels)


def _max_pool(module: Any, given: Sequence[Shape]) -> Op:
    kernel, stride = window(module)
    padding = pair_of(module.padding, "padding")
    _check_ceil(module.ceil_mode, _image(given)[1:], kernel, stride, padding)
    if pair_of(module.dilation, "dilation") != (1, 1) or module.return_indices:
        raise UnsupportedError("takes the maximum with dilation, or returns places: use neither")
    return MaxPool2d(kernel, stride, padding)


def _adaptive(make: Callable[[Pair], Op]) -> Reader:
    """Pooling to a given size, where that divides its input's: then all windows are equal."""

    def read(module: Any, given: Sequence[Shape]) -> Op:
        size = _image(given)[1:]
        wanted = module.output_size if isinstance(module.output_size, tuple | list) else (module.output_size,) * 2
        out = [n if k is None else whole(k, "output size") for n, k in zip(size, wanted, strict=True)]
        if any(k < 1 or n % k for n, k in zip(size, out, strict=True)):
            raise UnsupportedError(
                f"pools {size[0]}x{size[1]} pixels to {out[0]}x{out[1]}: its windows differ in size; choose an output "
                "size that divides the input's"
            )
        return make((size[0] // out[0], size[1] // out[1]))

    return read


def _check_ceil(
    ceil: Any, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> None:
    """A window that hangs over the border is not ours."""
    rows = zip(size, kernel, stride, padding, strict=True)
    if ceil and any((n + 2 * p - k) % s for n, k, s, p in rows):
        raise UnsupportedError("pools with ceil_mode windows that hang over the border: leave it off, or crop or pad")


def _image(given: Sequence[Shape]) -> tuple[int, int, int]:
    if len(given) != 1 or len(given[0]) != 3:
        raise InputError(f"it needs an input (C, H, W) and is given {list(map(list, given))}")
    channels, height, width = given[0]
    return channels, height, width


def flatten(module: Any, given: Sequence[Shape]) -> Op:
    """torch's Flatten of any axes but that of the batch."""
    shape = given[0]
    first = module.start_dim if module.start_dim >= 0 else module.start_dim + len(shape) + 1
    last = module.end_dim if module.end_dim >= 0 else module.end_dim + len(shape) + 1
    if first < 1:
        raise UnsupportedError(
            f"flattens dimensions {module.start_dim} to {module.end_dim}: use nn.Flatten(), which keeps the batch "
            "and flattens the rest"
        )
    if (first, last) == (1, len(shape)):
        return Flatten()
    return Reshape((*shape[: first - 1], prod(shape[first - 1 : last]), *shape[last:]))


def _unflatten(module: Any, given: Sequence[Shape]) -> Op:
    shape = given[0]
    axis = module.dim if isinstance(module.dim, int) else None
    if axis is None or axis == 0 or axis <= -len(shape) - 1:
        raise UnsupportedError(f"unflattens dimension {module.dim!r}: give the number of one behind the batch")
    place = (axis if axis > 0 else axis + len(shape) + 1) - 1
    known = prod(n for n in module.unflattened_size if n != -1)
    sizes = (n if n != -1 else shape[place] // known for n in module.unflattened_size)
    return Reshape((*shape[:place], *(whole(n, "size") for n in sizes), *shape[place + 1 :]))


READERS: Mapping[str, Reader] = {
    "AdaptiveAvgPool2d": _adaptive(lambda kernel: Pool2d(kernel, "average")),
    "AdaptiveMaxPool2d": _adaptive(lambda kernel: MaxPool2d(kernel, kernel)),
    "Add": lambda _, __: Add(),
    "AvgPool1d": _average_row,
    "AvgPool2d": average_pool,
    "Concat": lambda _, __: Concat(),
    "Conv1d": lambda module, _: conv1d(module),
    "Conv2d": lambda module, _: quantised(module) if hasattr(module, "weight_fake_quant") else conv2d(module),
    "Flatten": flatten,
    "Linear": lambda module, _: quantised(module) if hasattr(module, "weight_fake_quant") else linear(module),
    "MaxPool2d": _max_pool,
    "QuantConv2d": lambda module, _: quantised(module),
    "QuantLinear": lambda module, _: quantised(module),
    "Unflatten": _unflatten,
}
