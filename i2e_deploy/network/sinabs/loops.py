"""Recurrent connections of Sinabs as a loop of layers: what the neurons gave goes through a delay of one step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from i2e_deploy.errors import InputError, UnsupportedError
from i2e_deploy.network.delay import Delay
from i2e_deploy.network.graph import INPUT, Layer
from i2e_deploy.network.layers import Add, Reshape
from i2e_deploy.network.modules.graph import calls
from i2e_deploy.network.modules.layers import IGNORED, READERS, TORCH, read_op, shape_after
from i2e_deploy.network.neurons import IntegrateAndFire, LeakyIntegrateAndFire, parameter
from i2e_deploy.network.op import Array, Op, Shape


def loop(name: str, connection: Any, source: str, shape: Shape, op: Op) -> tuple[Layer, ...]:
    """The layers of recurrent neurons, the neurons last: x[t] + connection(spikes[t - 1]), as `lif_recurrent` does.

    In the first step Sinabs adds nothing, not even the connection's bias, so the neurons start from where that bias
    lifts them to 0.

    Args:
        name: of the neurons.
        connection: their `rec_connect`.
        source: name of what feeds them.
        shape: of the neurons.
        op: the neurons.

    Raises:
        UnsupportedError: a connection that is not of layers without states.
    """
    delay = Layer(f"{name}.delay", Delay(parameter(1), shape), (name,))
    connected = _connection(name, connection, delay.name, shape)
    last = connected[-1].name if connected else delay.name
    added = Layer(f"{name}.add", Add(), (source, last))
    offset = _at_rest(connected, shape)
    started = _started(op, offset) if offset.any() else op
    return (delay, *connected, added, Layer(name, started, (added.name,)))


def _connection(name: str, connection: Any, source: str, shape: Shape) -> list[Layer]:
    found, outputs = calls(connection, TORCH)
    if len(outputs) != 1:
        raise UnsupportedError(f"has a recurrent connection with {len(outputs)} outputs: it must have one")
    layers: list[Layer] = []
    stands_for, shapes = {INPUT: source}, {source: shape}
    for call in found:
        inputs = tuple(stands_for[one] for one in call.inputs)
        if call.kind in IGNORED:
            stands_for[call.name] = inputs[0]
            continue
        title = f"{name}.rec_connect.{call.name}"
        given = [shapes[one] for one in inputs]
        layer = Layer(title, read_op(title, call.kind, call.module, given, READERS), inputs)
        layers.append(layer)
        stands_for[call.name], shapes[title] = title, shape_after(layer, given)
    last = stands_for[outputs[0]]
    if layers and last != layers[-1].name:
        raise UnsupportedError("has a recurrent connection whose last layer is not what it gives: make it so")
    if shapes[last] != shape:  # lif_recurrent: rec_connect(spikes).reshape((batch_size, *trailing_dim))
        layers.append(Layer(f"{name}.rec_connect.reshape", Reshape(shape), (last,)))
        shape_after(layers[-1], [shapes[last]])
    return layers


def _at_rest(layers: Sequence[Layer], shape: Shape) -> Array:
    """What the connection gives for neurons that are silent: its bias."""
    import torch

    values: dict[str, Any] = {}
    first = torch.zeros((1, *shape))
    for layer in layers:
        values[layer.name], _ = layer.op.step([values.get(source, first) for source in layer.inputs], {})
    return (values[layers[-1].name] if layers else first)[0].numpy()


def _started(op: Op, offset: Array) -> Op:
    """The neurons, started so that `offset` in the first step leaves their state as it would be without it."""
    if isinstance(op, IntegrateAndFire):
        bound = None if op.min_v is None else parameter(op.min_v)
        resets = {"subtract": "subtract", "zero": "value"}
        op = LeakyIntegrateAndFire(
            parameter(1.0), parameter(op.threshold), max_spikes=op.max_spikes, min_v=bound, reset=resets[op.reset],  # type: ignore[arg-type]
        )  # fmt: skip
    assert isinstance(op, LeakyIntegrateAndFire)
    wide = offset.astype(np.float64)
    if op.current_decay is not None:  # decay * (start + offset) = 0
        return replace(op, current_start=parameter(-wide))
    if (op.decay == 0).any():
        raise InputError("it forgets its membrane potential at once, and its recurrent connection has a bias: use none")
    lifted = wide * (1.0 if op.gain is None else op.gain) / op.decay
    return replace(op, start=parameter((0.0 if op.start is None else op.start) - lifted))
