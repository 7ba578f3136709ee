"""What the engine prepares once for a program: weights laid out for the kernels, and proofs that 16 or 32 bits do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2.counts import fan_out
from i2e_deploy.chips.loihi2.layers import Layer, Wire
from i2e_deploy.network.blocks import ConvSynapse, CubaLif, DenseSynapse, Resonator

#: Integers of several dtypes, which mypy cannot follow through.
Array = Any


@dataclass(frozen=True, eq=False)
class WirePlan:
    """One wire, ready for the kernels.

    Args:
        kind: `direct`, `conv` (see `scatter_spikes`), `taps` (see `scatter_taps`), `dense`, `delayed`, or `slow`
            (the reference's own code, where 32 bits would not do).
        arrays: the kernel's weights and tables.
        delay: int64 [N_out] per output, or None.
        limit: largest message magnitude for which no sum leaves 24 bits (convolution), or 32 (dense, shifted).
        bound: largest sum that messages of magnitude 1 can give.
        macs: multiplications of a dense product for one step.
        fan: int64 [N_source], channel-last: neurons that a message reaches.
    """

    wire: Wire
    kind: str
    arrays: tuple[Any, ...]
    delay: Array | None
    limit: int
    bound: int
    macs: int
    fan: Array

    @cached_property
    def negated(self) -> Any:
        """The weights with their sign turned, one-dimensional."""
        return -self.arrays[0]

    @cached_property
    def dense_weight(self) -> Any:
        """The weights as a float32 tensor for a dense product: [C_out, C_in, kH, kW] or [N_in, N_out]."""
        import torch

        if isinstance(self.wire.synapse, ConvSynapse):
            kernel = torch.from_numpy(np.ascontiguousarray(self.wire.synapse.weight)).to(torch.float32)
            return kernel.contiguous(memory_format=torch.channels_last)
        return torch.from_numpy(self.arrays[0].astype(np.float32))

    @cached_property
    def total(self) -> int:
        """Synaptic operations of a step in which every source neuron fires."""
        return int(self.fan.sum())

    @cached_property
    def mean_fan(self) -> float:
        """Neurons that a message reaches, on average."""
        return float(self.fan.mean())


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """One layer. `order` maps channel-last positions to (C, H, W) positions; `dtype` is that of its currents."""

    layer: Layer
    wires: tuple[WirePlan, ...]
    order: Array
    dtype: type
    safe: bool
    graded: bool
    depth: int
    bias: Array


def plan_layers(layers: tuple[Layer, ...], bits: tuple[int, ...]) -> tuple[LayerPlan, ...]:
    """Plans in network order; `bits` are the message bits of each layer."""
    return tuple(_plan_layer(layer, bits[i] > 0 or not _unary(layer)) for i, layer in enumerate(layers))


def _unary(layer: Layer) -> bool:
    return isinstance(layer.neuron, (CubaLif, Resonator))


def _plan_layer(layer: Layer, graded: bool) -> LayerPlan:
    order = channel_last(layer.shape)
    bound, small = 0, True
    for wire in layer.wires:
        small &= wire.synapse is not None and not wire.graded
        bound += _bound(wire)
    dtype = np.int16 if small and bound < 2**15 else np.int32
    wires = tuple(_plan_wire(wire, layer, dtype) for wire in layer.wires)
    return LayerPlan(
        layer, wires, order, dtype, small and bound < 2**24, graded and not _unary(layer),
        max((w.depth for w in layer.wires if w.synapse is not None), default=0),
        np.ascontiguousarray(layer.bias[order].astype(np.int32)),
    )  # fmt: skip


def channel_last(shape: tuple[int, ...]) -> Array:
    """Positions (C, H, W) in the order (H, W, C): int64 [N]."""
    flat = np.arange(prod(shape))
    return flat.reshape(shape).transpose(1, 2, 0).reshape(-1) if len(shape) == 3 else flat


def _bound(wire: Wire) -> int:
    """Largest magnitude that plain spikes can sum to in one neuron, before the shift."""
    if wire.synapse is None:
        return 2**31
    weight = wire.synapse.weight.reshape(len(wire.synapse.weight), -1)
    return int(max(weight.clip(0).sum(1).max(), -weight.clip(None, 0).sum(1).min()))


def _plan_wire(wire: Wire, layer: Layer, dtype: type) -> WirePlan:
    synapse, fan = wire.synapse, fan_out(wire)[channel_last(wire.source_shape)]
    if synapse is None:
        return WirePlan(wire, "direct", (), None, 2**31, 1, 0, fan)
    bound = max(_bound(wire), 1)
    if isinstance(synapse, DenseSynapse):
        macs = synapse.weight.size
        if wire.shift and (wire.shift < 0 or (synapse.weight % 2**wire.shift).any()):
            return WirePlan(wire, "slow", (), None, 0, bound, macs, fan)  # the shift rounds, so it must follow the sum
        order, source = channel_last(layer.shape), channel_last(wire.source_shape)
        weight = (synapse.weight >> wire.shift).T[source][:, order]
        arrays: tuple[Any, ...] = (np.ascontiguousarray(weight.astype(dtype)),)
        limit = (2**31 - 1) // bound if wire.shift else 2**31  # modulo 2^32 is what Lava's int32 does
        if synapse.delay is None:
            return WirePlan(wire, "dense", arrays, None, limit, bound, macs, fan)
        if (synapse.delay == synapse.delay[:, :1]).all():
            return WirePlan(wire, "dense", arrays, synapse.delay[order, 0], limit, bound, macs, fan)
        delay = np.ascontiguousarray(synapse.delay.T[source][:, order])
        return WirePlan(wire, "delayed", (*arrays, delay), None, limit, bound, macs, fan)
    macs = synapse.weight[0].size * layer.size
    lags: Array | None = None if synapse.delay is None else np.tile(synapse.delay, layer.size // layer.shape[0])
    simple = synapse.groups == 1 and synapse.dilation[1] == 1 and len(fan) * wire.source_shape[0] < 2**40
    kind = "conv" if simple else "taps"
    arrays = _conv_arrays(synapse, wire, layer, dtype) if kind == "conv" else _taps_arrays(synapse, wire, layer, dtype)
    return WirePlan(wire, kind, arrays, lags, (2**23 - 1) // bound, bound, macs, fan)


def _table(size: int, kernel: int, stride: int, padding: int, dilation: int, out: int) -> Array:
    """[size, kernel]: the output that a tap makes of an input position, or -1."""
    at = np.arange(size)[:, None] + padding - np.arange(kernel)[None, :] * dilation
    valid = (at >= 0) & (at % stride == 0) & (at // stride < out)
    return np.where(valid, at // stride, -1)


def _axis_table(synapse: ConvSynapse, wire: Wire, layer: Layer, axis: int) -> Array:
    return _table(
        wire.source_shape[1 + axis], synapse.weight.shape[2 + axis], synapse.stride[axis], synapse.padding[axis],
        synapse.dilation[axis], layer.shape[1 + axis],
    )  # fmt: skip


def _conv_arrays(synapse: ConvSynapse, wire: Wire, layer: Layer, dtype: type) -> tuple[Any, ...]:
    """(weight, across, down, sizes) of `scatter_spikes`; `sizes` lacks the rows of the buffer and its length."""
    out, channels, kernel, kernel_width = synapse.weight.shape
    stride, width, width_out = synapse.stride[1], wire.source_shape[2], layer.shape[2]
    taps = np.array([len(range(phase, kernel_width, stride)) for phase in range(stride)])
    weight: Array = np.zeros((stride, kernel, channels, max(1, int(taps.max())), out), dtype)
    for phase in range(stride):
        for j, kx in enumerate(reversed(range(phase, kernel_width, stride))):
            weight[phase, :, :, j] = synapse.weight[:, :, :, kx].transpose(2, 1, 0)
    run = weight.shape[3] * out
    column = np.arange(width) + synapse.padding[1]
    phases, last = column % stride, column // stride
    first = last - taps[phases] + 1
    j0, j1 = np.maximum(0, -first), np.minimum(taps[phases], width_out - first)
    length = np.maximum(0, j1 - j0) * out
    across = np.stack([phases * kernel * channels * run + j0 * out, (first + j0) * out, length], axis=1)
    rows = _axis_table(synapse, wire, layer, 0)
    down = np.zeros((len(rows), 1 + 2 * kernel), np.int64)
    for y, row in enumerate(rows):
        hits = [(ky * channels * run, at * width_out * out) for ky, at in enumerate(row) if at >= 0]
        down[y, 0] = len(hits)
        down[y, 1 : 1 + 2 * len(hits)] = np.array(hits, np.int64).reshape(-1)
    return weight.reshape(-1), np.ascontiguousarray(across), down, (len(rows) * width * channels, width, channels, run)


def _taps_arrays(synapse: ConvSynapse, wire: Wire, layer: Layer, dtype: type) -> tuple[Any, ...]:
    """(weight, rows, columns, shape) of `scatter_taps`."""
    out, per_group, height, width = synapse.weight.shape
    groups = synapse.groups
    weight = synapse.weight.reshape(groups, out // groups, per_group, height, width).transpose(3, 4, 0, 2, 1)
    flat: Array = np.ascontiguousarray(weight.reshape(height, width, groups * per_group, out // groups).astype(dtype))
    shape = np.array([wire.source_shape[2], groups * per_group, layer.shape[2], out, groups])
    return flat, _axis_table(synapse, wire, layer, 0), _axis_table(synapse, wire, layer, 1), shape
