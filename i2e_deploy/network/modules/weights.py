"""torch's convolutions and linear layers as float layers: any padding, quantised weights as what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.arguments import MAX_VALUES
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.layers import Linear
from i2e_deploy.network.modules.values import array_of, pair_of, whole
from i2e_deploy.network.op import Array

#: Zeros before and after, one pair an axis.
Padding = Sequence[tuple[int, int]]


def weight_of(module: Any) -> Array:
    """The weight of a module; InputError where it has none."""
    weight = array_of(module, "weight")
    if weight is None:
        raise InputError("it has no weight: give the trained module")
    return weight


def conv2d(module: Any) -> Conv2d:
    """torch's Conv2d, `padding="same"` included."""
    _check_mode(module)
    made = Conv2d(
        weight_of(module),
        array_of(module, "bias"),
        pair_of(module.stride, "stride"),
        (0, 0) if isinstance(module.padding, str) else pair_of(module.padding, "padding"),
        pair_of(module.dilation, "dilation"),
        whole(module.groups, "number of groups"),
    )
    if module.padding != "same":
        return made
    padded = padded_more(made, _same(made.weight.shape[2:], made.dilation))
    assert isinstance(padded, Conv2d)
    return padded


def conv1d(module: Any) -> Conv1d:
    """torch's Conv1d, `padding="same"` included."""
    _check_mode(module)
    stride, dilation = (whole(value[0], "stride or dilation") for value in (module.stride, module.dilation))
    padding = 0 if isinstance(module.padding, str) else whole(module.padding[0], "padding")
    groups = whole(module.groups, "number of groups")
    made = Conv1d(weight_of(module), array_of(module, "bias"), stride, padding, dilation, groups)
    if module.padding != "same":
        return made
    padded = padded_more(made, _same(made.weight.shape[2:], (dilation,)))
    assert isinstance(padded, Conv1d)
    return padded


def linear(module: Any) -> Linear:
    """torch's Linear."""
    return Linear(weight_of(module), array_of(module, "bias"))


def padded_more(conv: Conv1d | Conv2d, padding: Padding) -> Conv1d | Conv2d:
    """A convolution with zeros put around its input first, more on one side than on the other or not.

    Where the sides differ the kernel gets zeros on the shorter one, so that both can have the longer one's padding.
    """
    if any(n < 0 for pair in padding for n in pair):
        raise UnsupportedError(f"pads by {list(padding)}: what is negative cuts off; crop what the network is given")
    before = conv.padding if isinstance(conv, Conv2d) else (conv.padding,)
    dilation = conv.dilation if isinstance(conv, Conv2d) else (conv.dilation,)
    weight = conv.weight
    if all(first == last for first, last in padding):
        total = tuple(p + first for p, (first, _) in zip(before, padding, strict=True))
        return _again(conv, weight, total, dilation)
    reach = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    sizes = [r + abs(last - first) for r, (first, last) in zip(reach, padding, strict=True)]
    if prod(weight.shape[:2]) * prod(sizes) > MAX_VALUES:
        raise InputError(f"it has a kernel of {sizes} with its padding: at most {MAX_VALUES} weights in all")
    wide = np.zeros((*weight.shape[:2], *sizes), np.float32)
    places = tuple(
        slice(max(last - first, 0), max(last - first, 0) + r, d)
        for r, d, (first, last) in zip(reach, dilation, padding, strict=True)
    )
    wide[(slice(None), slice(None), *places)] = weight
    total = tuple(p + max(pair) for p, pair in zip(before, padding, strict=True))
    return _again(conv, wide, total, (1,) * len(total))


def _again(conv: Conv1d | Conv2d, weight: Array, padding: Sequence[int], dilation: Sequence[int]) -> Conv1d | Conv2d:
    if isinstance(conv, Conv1d):
        return replace(conv, weight=weight, padding=padding[0], dilation=dilation[0])
    return replace(conv, weight=weight, padding=(padding[0], padding[1]), dilation=(dilation[0], dilation[1]))


def quantised(module: Any) -> Conv2d | Linear:
    """A layer that quantises its weight in `forward` (torch.ao's qat, brevitas), with the weight that this gives.

    Raises:
        UnsupportedError: it quantises inputs, outputs or biases too, or its weight comes out otherwise each time.
    """
    import torch

    if hasattr(module, "weight_fake_quant"):
        weights = [module.weight_fake_quant(module.weight) for _ in range(2)]
    else:
        for name in ("input_quant", "output_quant", "bias_quant"):
            if getattr(getattr(module, name, None), "is_quant_enabled", False):
                raise UnsupportedError(
                    f"quantises more than its weight ({name}): spikes need none; set {name}=None and train on"
                )
        weights = [module.quant_weight().value for _ in range(2)]
    if not torch.equal(*weights):
        raise UnsupportedError(
            "quantises its weight otherwise each time: fix its scale first (torch.ao.quantization.disable_observer)"
        )
    plain = SimpleNamespace(
        **{name: getattr(module, name, None) for name in ("bias", "stride", "padding", "dilation", "groups")},
        padding_mode=getattr(module, "padding_mode", "zeros"),
        weight=weights[0].detach().as_subclass(torch.Tensor),
        _parameters=(), _buffers=(),
    )  # fmt: skip
    return linear(plain) if weights[0].ndim == 2 else conv2d(plain)


def _check_mode(module: Any) -> None:
    if module.padding_mode != "zeros" or (isinstance(module.padding, str) and module.padding not in ("same", "valid")):
        raise UnsupportedError(f"pads by {module.padding!r} with {module.padding_mode!r}: pad by a number, with zeros")


def _same(kernel: Sequence[int], dilation: Sequence[int]) -> Padding:
    """torch puts the odd one after (torch/nn/modules/conv.py, `_reversed_padding_repeated_twice`)."""
    totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]
