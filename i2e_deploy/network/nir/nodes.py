"""Nodes of NIR without a state, one by one, and the shapes that nodes state beside those that the layers give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from i2e_deploy.errors import FileFormatError, UnsupportedError
from i2e_deploy.hdf5_guard import Guarded
from i2e_deploy.network.convolution import Conv1d, Conv2d
from i2e_deploy.network.layers import Flatten, Linear, Reshape, Scale
from i2e_deploy.network.nir.graph import NirGraph
from i2e_deploy.network.nir.values import MOST, array, bias, one_whole, pair, whole
from i2e_deploy.network.op import Array, Op, Pair, Shape
from i2e_deploy.network.pooling import Pool2d, Pooling


def _conv(node: Guarded, _: Shape) -> Op:
    weight, stride, dilation = array(node, "weight"), pair(node, "stride", 1), pair(node, "dilation", 1)
    groups = one_whole(node, "groups", 1, MOST)
    return Conv2d(weight, bias(node), stride, _padding(node, weight, stride, dilation), dilation, groups)


def _conv1d(node: Guarded, _: Shape) -> Op:
    weight = array(node, "weight")
    stride, dilation = one_whole(node, "stride", 1, MOST), one_whole(node, "dilation", 1, MOST)
    groups = one_whole(node, "groups", 1, MOST)
    padding = _padding(node, weight, (stride, stride), (dilation, dilation))[0]
    return Conv1d(weight, bias(node), stride, padding, dilation, groups)


def _padding(node: Guarded, weight: Array, stride: Pair, dilation: Pair) -> Pair:
    """NIR allows the words of torch beside numbers."""
    try:
        word = node.text("padding")
    except FileFormatError:
        return pair(node, "padding", 0)
    reach = [d * (k - 1) for k, d in zip(weight.shape[2:], dilation, strict=False)]
    if word == "valid":
        return 0, 0
    if word != "same" or stride != (1, 1) or any(n % 2 for n in reach):
        raise node.error(
            f"is {word!r}: it can be numbers, 'valid', or 'same' with an odd kernel and stride 1", "padding"
        )
    return reach[0] // 2, reach[-1] // 2


def _linear(node: Guarded, given: Shape) -> Op:
    if len(given) > 1:
        raise UnsupportedError(
            f"{node.error(f'multiplies the last of the axes {list(given)}')}: put a Flatten node before it"
        )
    return Linear(array(node, "weight"), bias(node))


def _scale(node: Guarded, _: Shape) -> Op:
    return Scale(array(node, "scale"))


def _pool(kind: Pooling) -> Callable[[Guarded, Shape], Op]:
    def read(node: Guarded, given: Shape) -> Op:
        kernel, stride, padding = pair(node, "kernel_size", 1), pair(node, "stride", 1), pair(node, "padding", 0)
        if stride == kernel and padding == (0, 0):
            return Pool2d(kernel, kind)
        if len(given) != 3 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)) or prod(kernel) > MOST:
            raise UnsupportedError(
                f"{node.error(f'pools {kernel} with stride {stride}, padding {padding}')}: images are pooled, and "
                "padding is at most half the window"
            )
        # windows that overlap are a convolution a channel; padding counts as zeros, as torch's AvgPool2d does
        weight = np.full((given[0], 1, *kernel), 1 / prod(kernel) if kind == "average" else 1, np.float32)
        return Conv2d(weight, None, stride, padding, groups=given[0])

    return read


def _flatten(node: Guarded, given: Shape) -> Op:
    start, end = (one_whole(node, name, -8, 8) for name in ("start_dim", "end_dim"))
    size = len(given)
    first, last = start if start >= 0 else size + start, end if end >= 0 else size + end
    if (first, last) == (0, size - 1) or (start == 0 and end == 2):
        return Flatten()
    if not 0 <= first <= last < size:
        raise node.error(f"flattens dimensions {start} to {end} of {list(given)}: there are {size}")
    return Reshape((*given[:first], prod(given[first : last + 1]), *given[last + 1 :]))


#: Readers of nodes without a state, by kind; they are given the shape of the input.
READERS: Mapping[str, Callable[[Guarded, Shape], Op]] = {
    "Conv1d": _conv1d,
    "Conv2d": _conv,
    "Linear": _linear,
    "Affine": _linear,
    "Scale": _scale,
    "SumPool2d": _pool("sum"),
    "AvgPool2d": _pool("average"),
    "Flatten": _flatten,
}
#: Where a kind of node states the shape of its input (convolutions without channels) or of its neurons.
_STATED = {
    "Conv1d": ("input_shape",), "Conv2d": ("input_shape",), "Flatten": ("input_type",),
    "IF": ("r", "v_threshold", "v_reset"), "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"), "I": ("r",),
    "LI": ("tau", "r", "v_leak"), "CubaLI": ("tau_mem", "tau_syn", "r", "v_leak", "w_in"),
    "Threshold": ("threshold",), "Delay": ("delay",), "Scale": ("scale",),
}  # fmt: skip
_OF_SHAPES = ("Conv1d", "Conv2d", "Flatten")


def check_shapes(graph: NirGraph, shapes: Mapping[str, Shape], feeds: Mapping[str, tuple[str, ...]]) -> None:
    """Compare what nodes state with the layers' shapes; a batch of 1 and other sides of 1 may differ.

    Raises:
        FileFormatError: they contradict each other.
    """
    for name in (name for name, _ in graph.nodes if name not in graph.loops):
        node, given, kind = graph.groups[name], shapes[feeds[name][0]], graph.kinds[name]
        for entry in _STATED.get(kind, ()):
            if entry not in node:
                continue
            stated = _sides(node, entry) if kind in _OF_SHAPES else node.shape(entry)
            wanted = given[1:] if entry == "input_shape" else given
            if kind not in _OF_SHAPES and prod(stated) == 1:  # one value for all neurons
                continue
            _compare(node, entry, stated, wanted)
    for name, sources in graph.outputs:
        node = graph.groups[name]
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
