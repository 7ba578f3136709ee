"""Nodes of NIR without a state, one by one, and the shapes that nodes state beside those that the layers give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.convolution import Conv2d
from i2e_deploy.network.layers import Flatten, Linear
from i2e_deploy.network.nir.graph import NirGraph
from i2e_deploy.network.op import Array, Op, Pair, Shape
from i2e_deploy.network.pooling import Pool2d, Pooling

#: Strides, paddings, sides.
_MOST = 2**16


def whole(node: Guarded, name: str, low: int, high: int) -> NDArray[np.int64]:
    """Whole numbers of any shape, flat: a fraction is refused, not cut."""
    numbers = node.numbers(name).reshape(-1)
    if (numbers != np.floor(numbers)).any() or numbers.min() < low or numbers.max() > high:
        raise node.error(f"holds {numbers.min():g}..{numbers.max():g}: whole numbers of {low}..{high} can be", name)
    return numbers.astype(np.int64)


def one_whole(node: Guarded, name: str, low: int, high: int) -> int:
    """One whole number."""
    values = whole(node, name, low, high)
    if len(values) != 1:
        raise node.error(f"holds {len(values)} numbers, expected one", name)
    return int(values[0])


def _pair(node: Guarded, name: str, low: int) -> Pair:
    values = whole(node, name, low, _MOST).tolist()
    if len(values) not in (1, 2):
        raise node.error(f"holds {len(values)} numbers, expected one or two", name)
    return values[0], values[-1]


def _array(node: Guarded, name: str) -> Array:
    with np.errstate(over="ignore"):
        return node.numbers(name).astype(np.float32)


def _bias(node: Guarded) -> Array | None:
    bias = _array(node, "bias") if "bias" in node else None
    return bias if bias is not None and (bias.any() or bias.ndim != 1) else None


def _conv(node: Guarded) -> Op:
    weight, stride, dilation = _array(node, "weight"), _pair(node, "stride", 1), _pair(node, "dilation", 1)
    groups = one_whole(node, "groups", 1, _MOST)
    return Conv2d(weight, _bias(node), stride, _padding(node, weight, stride, dilation), dilation, groups)


def _padding(node: Guarded, weight: Array, stride: Pair, dilation: Pair) -> Pair:
    """NIR allows the words of torch beside numbers."""
    try:
        word = node.text("padding")
    except FileFormatError:
        return _pair(node, "padding", 0)
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=True)]
    if word == "valid":
        return 0, 0
    if word != "same" or stride != (1, 1) or any(n % 2 for n in reach):
        raise node.error(
            f"is {word!r}: it can be numbers, 'valid', or 'same' with an odd kernel and stride 1", "padding"
        )
    return reach[0] // 2, reach[1] // 2


def _linear(node: Guarded) -> Op:
    return Linear(_array(node, "weight"), _bias(node))


def _pool(kind: Pooling) -> Callable[[Guarded], Op]:
    def read(node: Guarded) -> Op:
        kernel, stride, padding = _pair(node, "kernel_size", 1), _pair(node, "stride", 1), _pair(node, "padding", 0)
        if stride != kernel or padding != (0, 0):
            raise UnsupportedError(
                f"{node.error(f'pools {kernel} with stride {stride}, padding {padding}')}: "
                "windows must not overlap (stride = kernel, no padding)"
            )
        return Pool2d(kernel, kind)

    return read


def _flatten(node: Guarded) -> Op:
    start, end = (one_whole(node, name, -8, 8) for name in ("start_dim", "end_dim"))
    if start != 0 or end not in (-1, 2):
        raise UnsupportedError(f"{node.error(f'flattens dimensions {start} to {end}')}: all of them, 0 to -1, can be")
    return Flatten()


#: Readers of nodes without a state, by kind.
READERS: Mapping[str, Callable[[Guarded], Op]] = {
    "Conv2d": _conv,
    "Linear": _linear,
    "Affine": _linear,
    "SumPool2d": _pool("sum"),
    "AvgPool2d": _pool("average"),
    "Flatten": _flatten,
}
#: Where a kind of node states the shape of its input (Conv2d without channels) or of its neurons.
_STATED = {"Conv2d": ("input_shape",), "Flatten": ("input_type",), "IF": ("r", "v_threshold", "v_reset")}


def check_shapes(
    nodes: Guarded, graph: NirGraph, shapes: Mapping[str, Shape], feeds: Mapping[str, tuple[str, ...]]
) -> None:
    """Compare what nodes state with the layers' shapes; a batch of 1 and other sides of 1 may differ.

    Raises:
        FileFormatError: they contradict each other.
    """
    for name, _ in graph.nodes:
        node, given = nodes.group(name), shapes[feeds[name][0]]
        for entry in _STATED.get(graph.kinds[name], ()):
            if entry not in node:
                continue
            stated = node.shape(entry) if graph.kinds[name] == "IF" else _sides(node, entry)
            wanted = given[1:] if entry == "input_shape" else given
            if graph.kinds[name] == "IF" and prod(stated) == 1:  # one value for all neurons
                continue
            _compare(node, entry, stated, wanted)
    for name, sources in graph.outputs:
        node = nodes.group(name)
        if graph.kinds[name] == "Output" and "shape" in node:
            stated, made = _sides(node, "shape"), shapes[sources[0]]
            if stated != (prod(made),):  # flat or in its shape
                _compare(node, "shape", stated, made)


def _sides(node: Guarded, entry: str) -> Shape:
    return tuple(whole(node, entry, 1, 2**31).tolist())


def _compare(node: Guarded, entry: str, stated: Shape, wanted: Shape) -> None:
    if [n for n in stated if n > 1] == [n for n in wanted if n > 1]:
        return
    hint = ": height and width are exchanged" if stated[:-2] == wanted[:-2] and stated[-2:] == wanted[:-3:-1] else ""
    raise node.error(f"states shape {list(stated)}, and the layers before it give {list(wanted)}{hint}", entry)
