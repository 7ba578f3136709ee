"""Pooling earlier: a layer gets fewer neurons (a convolution) or fewer inputs (a linear layer).

A convolution gets a stride `factor` times as large, and later pooling or strides become `factor` times smaller,
so that everything from there on keeps its shape. Every neuron that stays computes what it did: same weights, same
pixels. Where nothing pools before a linear layer, its weights for the positions that became one are added up. Sum
pooling that goes leaves fewer spikes to add up: the weights after it grow by the number of positions that became
one.

A linear layer gets an average pool before it, and its weights are added up likewise; events that lie evenly in a
window give the same sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import gcd

from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import edited, fresh, layer_of, neurons_of, users, weights_of
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import Add, Conv2d, Flatten, Layer, Linear, Network, Op, Pool2d
from i2e_deploy.network.op import Shape


@dataclass
class _Edit:
    """What becomes of the layers after a convolution with a larger stride.

    Args:
        ops: operations that change.
        gone: pools of which nothing is left.
        settled: layers from whose output on shapes are as before.
        notes: what was done, for people.
    """

    ops: dict[str, Op] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pool_earlier(network: Network, name: str, factor: int) -> tuple[Network, str]:
    """The network with pooling by `factor` (2 or 4) moved into or before a layer, and what was done, for people.

    Raises:
        InputError: another factor, or no layer with weights of that name.
        UnsupportedError: shapes after the layer cannot be kept; says where.
    """
    if factor not in (2, 4):
        raise InputError(f"pooling by {factor}: choose 2 or 4")
    op = weights_of(network, name)
    if isinstance(op, Linear):
        return _before_linear(network, name, op, factor)
    edit = _Edit()
    stride = (op.stride[0] * factor, op.stride[1] * factor)
    edit.ops[name] = replace(op, stride=stride)
    edit.notes.append(f"stride {_sides(op.stride)} becomes {_sides(stride)}")
    _absorb(network, neurons_of(network, name).name, factor, edit)
    try:
        changed = edited(network, edit.ops, edit.gone)
    except InputError as error:
        raise UnsupportedError(f"layer {name!r} cannot have stride {_sides(stride)}: {error}") from error
    _check_shapes(network, changed, name, edit)
    return changed, "; ".join(edit.notes)


def _absorb(network: Network, name: str, factor: int, edit: _Edit) -> None:
    """Let the layers after `name` pool or stride less, until `factor` is compensated on every path."""
    following = network.consumers()[name]
    if not following:
        raise UnsupportedError(f"layer {name!r} is an output of the network and would get {factor} times smaller")
    for layer in following:
        op = layer.op
        if isinstance(op, Add):
            raise UnsupportedError(f"layer {layer.name!r} adds a way that keeps its size: pool both alike")
        if isinstance(op, Linear):
            grown = edit.ops.get(layer.name, op)
            assert isinstance(grown, Linear)
            edit.ops[layer.name] = _folded(layer.name, grown, _image(network, layer.name), factor)
            edit.settled.append(layer.name)
            edit.notes.append(f"weights of {layer.name!r} for {factor}x{factor} positions are added up")
            continue
        rest = factor
        if isinstance(op, Pool2d):
            rest = _less_pooling(network, layer, op, factor, edit)
        elif isinstance(op, Conv2d):
            rest = _less_stride(layer, op, factor, edit)
            edit.notes.append(f"{layer.name!r} sees {factor} times fewer pixels a side")
        if rest > 1:
            _absorb(network, layer.name, rest, edit)
        else:
            edit.settled.append(layer.name)


def _less_pooling(network: Network, layer: Layer, op: Pool2d, factor: int, edit: _Edit) -> int:
    """Pool by less; returns the factor that is left to compensate."""
    share = gcd(gcd(*op.kernel), factor)
    if share == 1:
        return factor
    left = (op.kernel[0] // share, op.kernel[1] // share)
    if left == (1, 1):
        edit.gone.append(layer.name)
        edit.notes.append(f"pooling {layer.name!r} goes")
    else:
        edit.ops[layer.name] = replace(op, kernel=left)
        edit.notes.append(f"pooling {layer.name!r} by {_sides(op.kernel)} becomes {_sides(left)}")
    if op.kind == "sum":
        _grow_weights(network, layer.name, share**2, edit)
    return factor // share


def _grow_weights(network: Network, pool: str, times: int, edit: _Edit) -> None:
    """Weights after a sum pool that adds up fewer spikes."""
    if any(isinstance(layer.op, Add) for layer in _until_weights(network, pool)):
        raise UnsupportedError(f"sum pooling {pool!r} is added to another way: its share there would shrink")
    for user in users(network, pool)[0]:
        op = edit.ops.get(user, weights_of(network, user))
        assert isinstance(op, Conv2d | Linear)
        edit.ops[user] = replace(op, weight=op.weight * op.weight.dtype.type(times))
        edit.notes.append(f"weights of {user!r} times {times}")


def _until_weights(network: Network, name: str) -> list[Layer]:
    found, pending, consumers = [], [name], network.consumers()
    while pending:
        for layer in consumers[pending.pop()]:
            if not isinstance(layer.op, Conv2d | Linear):
                found.append(layer)
                pending.append(layer.name)
    return found


def _less_stride(layer: Layer, op: Conv2d, factor: int, edit: _Edit) -> int:
    """Stride by less; returns the factor that is left to compensate."""
    share = gcd(gcd(*op.stride), factor)
    if share == 1:
        return factor
    left = (op.stride[0] // share, op.stride[1] // share)
    now = edit.ops.get(layer.name, op)
    assert isinstance(now, Conv2d)
    edit.ops[layer.name] = replace(now, stride=left)
    edit.notes.append(f"stride {_sides(op.stride)} of {layer.name!r} becomes {_sides(left)}")
    return factor // share


def _before_linear(network: Network, name: str, op: Linear, factor: int) -> tuple[Network, str]:
    folded = _folded(name, op, _image(network, name), factor)
    flatten = layer_of(network, layer_of(network, name).inputs[0])
    pool = Layer(fresh(network, f"{name}_pool"), Pool2d((factor, factor), "average"), flatten.inputs)
    flat = Layer(fresh(network, f"{name}_flatten"), Flatten(), (pool.name,))
    rows: list[Layer] = []
    for layer in network.layers:
        if layer.name == name:
            rows += [pool, flat, replace(layer, op=folded, inputs=(flat.name,))]
        elif layer is not flatten or len(network.consumers()[flatten.name]) > 1:
            rows.append(layer)
    how = f"average pooling by {factor} before it; its weights for {factor}x{factor} positions are added up"
    return replace(network, layers=tuple(rows)), how


def _image(network: Network, name: str) -> Shape:
    """(C, H, W) of what a linear layer gets flattened."""
    source = next((layer for layer in network.layers if layer.name == layer_of(network, name).inputs[0]), None)
    shape = network.shapes()[source.inputs[0]] if source is not None and isinstance(source.op, Flatten) else ()
    if len(shape) != 3:
        raise UnsupportedError(f"layer {name!r} takes no image: there is nothing to pool before it")
    return shape


def _folded(name: str, op: Linear, shape: Shape, factor: int) -> Linear:
    """Weights for images `factor` times smaller: those of each block of positions added up."""
    channels, height, width = shape
    if height % factor or width % factor:
        raise UnsupportedError(f"layer {name!r} takes {height}x{width} positions, which {factor} does not divide")
    blocks = op.weight.reshape(-1, channels, height // factor, factor, width // factor, factor)
    return replace(op, weight=blocks.sum((3, 5)).reshape(len(op.weight), -1))


def _check_shapes(old: Network, new: Network, name: str, edit: _Edit) -> None:
    """From each settled layer on shapes must be as before; linear layers refuse others themselves."""
    was, now = old.shapes(), new.shapes()
    for layer in edit.settled:
        stands = layer
        while stands in edit.gone:
            stands = layer_of(old, stands).inputs[0]
        if now[stands] != was[layer]:
            raise UnsupportedError(
                f"layer {name!r}: with {edit.notes[0]} layer {layer!r} would give {now[stands]} instead of {was[layer]}"
            )


def _sides(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"
