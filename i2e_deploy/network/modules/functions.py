"""What a function of torch in a user's `forward` stands for: it moves values, is a layer, or something else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from i2e_deploy.errors import UnsupportedError

#: They move values and change none; `Made.codes` go the same way.
MOVES = frozenset((
    "__getitem__", "view", "view_as", "reshape", "reshape_as", "flatten", "unflatten", "ravel", "permute", "transpose",
    "t", "swapaxes", "swapdims", "moveaxis", "movedim", "squeeze", "unsqueeze", "select", "narrow", "unbind", "chunk",
    "split", "tensor_split", "stack", "expand", "expand_as", "repeat", "tile", "index_select", "T", "mT", "flip",
    "hstack", "vstack", "dstack", "concat", "concatenate", "cat", "split_with_sizes", "roll", "unfold",
))  # fmt: skip
#: They give the same values; of a tensor of another dtype that is checked.
SAME = frozenset((
    "clone", "contiguous", "detach", "detach_", "data", "to", "float", "double", "half", "bfloat16", "type", "type_as",
    "cpu", "cuda", "requires_grad_", "alias", "positive", "int", "long", "bool", "byte",
))  # fmt: skip
#: Their result does not depend on values.
OF_SHAPES = frozenset((
    "zeros_like", "ones_like", "empty_like", "full_like", "new_zeros", "new_ones", "new_empty", "new_full", "size",
    "new_tensor", "dim", "numel", "stride", "shape", "device", "dtype", "ndim", "is_cuda", "layout", "requires_grad",
    "grad", "is_floating_point", "is_complex", "__len__", "names", "grad_fn", "is_sparse", "element_size", "is_leaf",
    "itemsize", "__hash__", "get_device", "is_contiguous", "is_meta", "rand_like", "randn_like", "is_quantized",
    "nelement", "is_inference", "is_nested", "is_mkldnn", "retain_grad", "register_hook", "__format__", "__repr__",
))  # fmt: skip
#: They let the program decide by data, or take it out of torch.
READS = frozenset((
    "__bool__", "item", "tolist", "__float__", "__int__", "__index__", "numpy", "__array__", "nonzero", "is_nonzero",
    "equal", "allclose", "__contains__",
))  # fmt: skip
#: Functions of two inputs, or of one and a number.
ARITHMETIC: Mapping[str, str] = {
    "add": "add", "add_": "add", "__iadd__": "add", "__add__": "add", "__radd__": "add", "sub": "sub", "sub_": "sub",
    "__isub__": "sub", "subtract": "sub", "mul": "mul", "mul_": "mul", "__imul__": "mul", "multiply": "mul",
    "__rsub__": "rsub", "rsub": "rsub", "div": "div", "div_": "div", "__itruediv__": "div", "true_divide": "div",
    "divide": "div", "neg": "neg", "negative": "neg",
}  # fmt: skip
#: Reductions of a readout, as a note says them.
REDUCTIONS = frozenset(("sum", "mean", "max", "amax", "cumsum"))
#: They change no decision by the largest value.
MONOTONE = frozenset(("softmax", "log_softmax", "argmax", "sigmoid", "_softmax"))


class Stated(SimpleNamespace):
    """The arguments of a function, as the attributes that a module of its kind has."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values, _forward_pre_hooks={}, _parameters=(), _buffers=())

    def __eq__(self, other: object) -> bool:
        import torch

        if not isinstance(other, Stated) or vars(self).keys() != vars(other).keys():
            return False
        pairs = ((mine, vars(other)[name]) for name, mine in vars(self).items())
        return all(
            torch.equal(a, b) if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) else a is b or a == b
            for a, b in pairs
        )

    __hash__ = None


def name_of(function: Any) -> str:
    """The name of a function or of the attribute that it gets."""
    name = str(getattr(function, "__name__", function))
    return str(getattr(getattr(function, "__self__", None), "__name__", name)) if name == "__get__" else name


def as_layer(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[str, Any] | None:
    """The kind of layer that a function is, and its arguments as a module has them; None: it is none.

    Raises:
        UnsupportedError: arguments that no module has.
    """
    if name not in _LAYERS:
        return None
    kind, names, defaults, more = _LAYERS[name]
    given = {**defaults, **dict(zip(names, args, strict=False)), **kwargs}
    missing = [word for word in names if word not in given]
    unknown = sorted(set(given) - set(names) - {"_stacklevel", "inplace"})
    if missing or unknown or len(args) > len(names):
        raise UnsupportedError(f"uses {name} with {unknown or missing or args}: use torch.nn.{kind}")
    return kind, Stated(**more({word: given[word] for word in names if word != "input"}))


def _pad(given: dict[str, Any]) -> dict[str, Any]:
    if given["mode"] != "constant" or given["value"] or len(given["pad"]) != 4:
        raise UnsupportedError(f"uses pad with {given}: pad (C, H, W) with zeros, nn.ZeroPad2d")
    return {"padding": tuple(given["pad"])}


def _off(given: dict[str, Any]) -> dict[str, Any]:
    if given["training"]:
        raise UnsupportedError("uses dropout with training=True: give training=self.training, or use nn.Dropout")
    return {}


def _conv(given: dict[str, Any]) -> dict[str, Any]:
    sizes = given["weight"].ndim - 2
    both = {n: given[n] if isinstance(given[n], tuple | list | str) else (given[n],) * sizes for n in _SIZES}
    return {**given, **both, "padding_mode": "zeros"}


def _norm(given: dict[str, Any]) -> dict[str, Any]:
    if given["training"]:
        raise UnsupportedError("uses batch_norm with training=True: give training=self.training, or use nn.BatchNorm2d")
    return given


def _pool_stride(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "stride": given["stride"] or None}


_SIZES = ("stride", "padding", "dilation")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_CONV_DEFAULTS = {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
_DROP: Any = ("Dropout", ("input", "p", "training"), {"p": 0.5, "training": True}, _off)
#: By name: kind, arguments in order, their defaults, and what makes a module's attributes of them.
_LAYERS: Mapping[
    str, tuple[str, Sequence[str], Mapping[str, Any], Callable[[dict[str, Any]], dict[str, Any]]]
] = {
    "adaptive_avg_pool2d": ("AdaptiveAvgPool2d", ("input", "output_size"), {}, dict),
    "adaptive_max_pool2d": (
        "AdaptiveMaxPool2d", ("input", "output_size", "return_indices"), {"return_indices": False}, dict
    ),
    "avg_pool2d": (
        "AvgPool2d",
        ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
        {"stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
        _pool_stride,
    ),
    "batch_norm": (
        "BatchNorm2d",
        ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
        {"weight": None, "bias": None, "training": False, "momentum": 0.1, "eps": 1e-5},
        _norm,
    ),
    "conv1d": ("Conv1d", _CONV, _CONV_DEFAULTS, _conv),
    "conv2d": ("Conv2d", _CONV, _CONV_DEFAULTS, _conv),
    "dropout": _DROP,
    "dropout1d": _DROP,
    "dropout2d": _DROP,
    "alpha_dropout": _DROP,
    "linear": ("Linear", ("input", "weight", "bias"), {"bias": None}, dict),
    "max_pool2d": (
        "MaxPool2d",
        ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
        {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False},
        _pool_stride,
    ),
    "relu": ("ReLU", ("input",), {}, dict),
    "pad": ("ZeroPad2d", ("input", "pad", "mode", "value"), {"mode": "constant", "value": None}, _pad),
}  # fmt: skip
