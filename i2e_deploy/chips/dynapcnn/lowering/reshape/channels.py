"""Fewer output channels of a layer, and with them fewer inputs of the layers that it feeds.

Which are kept: those with the largest product of two sums of absolute values, what comes in (weights and bias of the
channel, over the threshold; its spikes on frames, where they are given) and what goes out (the weights that the
next layers have for it, over their thresholds). A channel that is silent, or that nobody listens to, goes first.
Layers whose outputs are added together keep the same channels, by the sum of their products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.reshape.edit import edited, feeders, threshold_of, users, weights_of
from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network import INPUT, Conv2d, Linear, Network

Score = NDArray[np.float64]
#: Spikes of each output channel, by the name of the layer with the weights: [C].
Spikes = Mapping[str, Score]


def tied(network: Network, name: str) -> tuple[str, ...]:
    """The layer and those whose outputs are added to its own, in network order: they can only shrink alike.

    Raises:
        InputError: no layer with weights of that name.
        UnsupportedError: their channels cannot shrink; says why.
    """
    weights_of(network, name)
    group, pending = {name}, [name]
    while pending:
        member = pending.pop()
        reached, leaves = users(network, member)
        if leaves:
            raise UnsupportedError(f"layer {member!r} is an output of the network: its channels are what is read")
        for source in (source for user in reached for source in feeders(network, user)):
            if source == INPUT:
                raise UnsupportedError(
                    f"layer {member!r} is added to the input of the network, whose channels are given"
                )
            if source not in group:
                group.add(source)
                pending.append(source)
    for one in (*group, *fed(network, tuple(group))):
        op = weights_of(network, one)
        if isinstance(op, Conv2d) and op.groups > 1:
            raise UnsupportedError(f"layer {one!r} has {op.groups} groups, which tie its inputs to its outputs")
    return tuple(layer.name for layer in network.layers if layer.name in group)


def fed(network: Network, group: tuple[str, ...]) -> tuple[str, ...]:
    """The layers with weights that any of a group feeds."""
    return tuple(dict.fromkeys(user for member in group for user in users(network, member)[0]))


def kept_channels(network: Network, name: str, count: int, spikes: Spikes | None = None) -> NDArray[np.intp]:
    """The `count` channels that matter most, ascending; the lower one where two matter alike.

    Raises:
        InputError: `count` is not from 1 to one less than there are.
        UnsupportedError: see `tied`.
    """
    group = tied(network, name)
    now = len(weights_of(network, name).weight)
    if not 1 <= count < now:
        raise InputError(f"layer {name!r} has {now} channels and is to keep {count}: give a number from 1 to {now - 1}")
    going = sum(_outgoing(network, user, now) for user in fed(network, group))
    coming = sum(_incoming(network, member) if spikes is None else spikes[member] for member in group)
    return np.sort(np.argsort(-(coming * going), kind="stable")[:count])


def keep_channels(network: Network, name: str, count: int, spikes: Spikes | None = None) -> Network:
    """The network with `count` output channels in a layer and all that are tied to it; see `kept_channels`."""
    group = tied(network, name)
    kept = kept_channels(network, name, count, spikes)
    now = len(weights_of(network, name).weight)
    ops: dict[str, Conv2d | Linear] = {}
    for member in group:
        op = weights_of(network, member)
        ops[member] = replace(op, weight=op.weight[kept], bias=None if op.bias is None else op.bias[kept])
    for user in fed(network, group):
        op = ops.get(user, weights_of(network, user))
        ops[user] = replace(op, weight=_inputs(op, now)[:, kept].reshape(len(op.weight), -1, *op.weight.shape[2:]))
    return edited(network, ops)


def _inputs(op: Conv2d | Linear, channels: int) -> NDArray[np.float32]:
    """Weights as [out, channels, ...]: a linear layer takes its inputs flattened, channels outermost."""
    return op.weight if isinstance(op, Conv2d) else op.weight.reshape(len(op.weight), channels, -1)


def _incoming(network: Network, name: str) -> Score:
    op = weights_of(network, name)
    total = np.abs(op.weight.reshape(len(op.weight), -1).astype(np.float64)).sum(1)
    if op.bias is not None:
        total += np.abs(op.bias)
    return np.asarray(total / threshold_of(network, name))


def _outgoing(network: Network, user: str, channels: int) -> Score:
    weight = np.abs(_inputs(weights_of(network, user), channels).astype(np.float64))
    axes = tuple(axis for axis in range(weight.ndim) if axis != 1)
    return np.asarray(weight.sum(axis=axes) / threshold_of(network, user))
