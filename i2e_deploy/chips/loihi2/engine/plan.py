"""What the engine prepares once for a program: weights laid out for the kernels, and proofs that 16 or 32 bits do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from i2e_deploy.chips.loihi2.engine.event_lists import H_OUT
from i2e_deploy.chips.loihi2.program import ConvSynapse, CubaLif, DenseSynapse, Resonator
from i2e_deploy.chips.loihi2.programmable import ProgrammableLif
from i2e_deploy.chips.loihi2.reference.counts import fan_out
from i2e_deploy.chips.loihi2.reference.layers import Layer, Wire
from i2e_deploy.chips.loihi2.reference.neurons import IN_FLIGHT
from i2e_deploy.chips.trace import States

#: Integers of several dtypes, which mypy cannot follow through.
Array = Any

#: Numbers of 16 bits in a table of sums: it must stay in the second-level cache.
TABLE_LIMIT = 2**16


@dataclass(frozen=True, eq=False)
class WirePlan:
    """One wire, ready for the kernels.

    Args:
        kind: `direct`, `rows` (see `kernels.deliver`), `delayed` (see `kernels.deliver_delayed`), `channels` (see
            `relay_kernel.deliver_channels`), or `slow` (the reference's own code, where 32 bits would not do).
        arrays: of `deliver`: weight, places, table, shape, delay; of `deliver_delayed`: weight, delay; of
            `deliver_channels`: taps, places, shape, delay.
        limit: largest message magnitude for which no sum leaves 24 bits (convolution), or 32 (dense, shifted).
        fan: int64 [N_source], channel-last: neurons that a message reaches.
        wait: further steps that all of `rows` and `channels` take, where they have no `delay`.
    """

    wire: Wire
    kind: str
    arrays: tuple[Array, ...]
    limit: int
    fan: Array
    wait: int = 0

    @cached_property
    def rows(self) -> int:
        """Rows of outputs that `deliver` computes for one step."""
        return int(self.arrays[2][2] if self.kind == "channels" else self.arrays[3][H_OUT])

    @cached_property
    def work(self) -> float:
        """About what one step costs, in elementary operations."""
        return float(self.fan.sum()) / 64

    @cached_property
    def limited(self) -> bool:
        """A dense synapse that must not be given messages beyond its limit; a convolution wraps."""
        return not isinstance(self.wire.synapse, ConvSynapse) and self.limit < 2**31

    @cached_property
    def delayed(self) -> bool:
        """What is sent in one step may arrive later than in the next one."""
        return self.wait > 0 or self.scatters

    @cached_property
    def scatters(self) -> bool:
        """What is sent in one step arrives in several, so that steps cannot be worked on side by side."""
        return self.kind in ("slow", "delayed") or (self.kind != "direct" and len(self.arrays[-1]) > 0)


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """One layer. `order` maps channel-last positions to (C, H, W) positions.

    `dtype` is that of its currents, `bound` their proven limit or -1, `room` how large currents may be with which a
    run starts, for that to hold.
    """

    layer: Layer
    wires: tuple[WirePlan, ...]
    order: Array
    dtype: type
    bound: int
    room: int
    graded: bool
    depth: int
    bias: Array


def plan_layers(
    layers: tuple[Layer, ...], bits: tuple[int, ...], states: States | None = None, resumes: bool = False
) -> tuple[LayerPlan, ...]:
    """Plans in network order.

    Args:
        bits: the message bits of each layer.
        states: what the run starts from.
        resumes: it may later start from any states that such a run leaves.
    """
    return tuple(
        _plan_layer(layer, bits[i] > 0 or not _unary(layer), _in_flight(layer, states), resumes)
        for i, layer in enumerate(layers)
    )


def holds(plans: tuple[LayerPlan, ...], states: States | None) -> bool:
    """Whether a run may start from `states`: their currents in flight are not larger than was planned for."""
    return all(_in_flight(plan.layer, states) <= plan.room for plan in plans)


def _in_flight(layer: Layer, states: States | None) -> int:
    """The largest magnitude of the currents that a run starts with: the weights prove nothing about them."""
    given = states[layer.name] if states is not None else {}
    arrays = [given[name] for name in IN_FLIGHT if name in given]
    return min(max((max(int(x.max()), -int(x.min())) for x in arrays), default=0), 2**31)


def _unary(layer: Layer) -> bool:
    neuron = layer.neuron
    return isinstance(neuron, (CubaLif, Resonator)) or (isinstance(neuron, ProgrammableLif) and not neuron.sends_values)


def _plan_layer(layer: Layer, graded: bool, in_flight: int, resumes: bool) -> LayerPlan:
    order = channel_last(layer.shape)
    proven = sum(_bound(wire) for wire in layer.wires)
    small = all(wire.synapse is not None and not wire.graded for wire in layer.wires)
    depth = max((w.depth for w in layer.wires if w.synapse is not None), default=0)
    added = proven if depth > 1 else 0  # to currents in flight; those of the next step are complete
    bound = max(proven, in_flight + (proven if resumes else 0) + added)
    dtype = np.int16 if small and bound < 2**15 else np.int32
    wires = tuple(_plan_wire(wire, layer, dtype) for wire in layer.wires)
    return LayerPlan(
        layer, wires, order, dtype, bound if small else -1, bound - added if small else 2**31,
        graded and not _unary(layer), depth, np.ascontiguousarray(layer.bias[order].astype(np.int32)),
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
        return WirePlan(wire, "direct", (), 2**31, fan)
    bound = max(_bound(wire), 1)
    wait, kept = _waits(synapse)
    if wire.graded and isinstance(synapse, ConvSynapse) and _by_channel(synapse):
        arrays = (*_channels(synapse, wire.source_shape, layer.shape), *kept)
        return WirePlan(wire, "channels", arrays, 2**31, fan, wait)
    if isinstance(synapse, ConvSynapse):
        limit = (2**23 - 1) // bound
        geometry = _geometry(synapse, wire.source_shape, layer.shape)
        weight, delay = synapse.weight, np.zeros(0, np.int64)
        if synapse.delay is not None:
            delay = np.tile(kept[0], layer.size // layer.shape[0]) if len(kept[0]) else kept[0]
    else:
        limit = (2**31 - 1) // bound if wire.shift else 2**31  # Lava's int32 wraps too
        if wire.shift and (wire.shift < 0 or (synapse.weight % 2**wire.shift).any()):
            return WirePlan(wire, "slow", (), 0, fan)  # the shift rounds, so it must follow the sum
        order, source = channel_last(layer.shape), channel_last(wire.source_shape)
        weight, delay = (synapse.weight >> wire.shift)[order][:, source], np.zeros(0, np.int64)
        if synapse.delay is not None:
            delays = synapse.delay[order][:, source]
            if (delays != delays[:, :1]).any():
                both: tuple[Array, ...] = (np.ascontiguousarray(weight.T.astype(dtype)), np.ascontiguousarray(delays.T))
                return WirePlan(wire, "delayed", both, limit, fan)
            delay = np.ascontiguousarray(delays[:, 0]) if len(kept[0]) else kept[0]
        geometry = _Geometry((len(source), 1, 1), (len(order), 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), 1)
        weight = weight[:, :, None, None]
    if abs(weight).max(initial=0) >= 2**15 or len(fan) * (weight.shape[0] + 64) >= 2**31:
        return WirePlan(wire, "slow", (), 0, fan)
    return WirePlan(wire, "rows", (*_rows(geometry, weight, unary=not wire.graded), delay), limit, fan, wait)


def _by_channel(synapse: ConvSynapse) -> bool:
    """Whether each channel goes to itself alone, with weights that 32 bits hold."""
    return synapse.groups == len(synapse.weight) and synapse.weight.shape[1] == 1 and bool(np.any(synapse.weight))


def _channels(synapse: ConvSynapse, source: tuple[int, ...], target: tuple[int, ...]) -> tuple[Array, ...]:
    """taps, places and shape of `relay_kernel.deliver_channels`."""
    weight = synapse.weight[:, 0]
    rows, columns = np.nonzero(weight.any(0))
    steps = [synapse.dilation[0] * rows - synapse.padding[0], synapse.dilation[1] * columns - synapse.padding[1]]
    shape = np.array([*source[1:], *target[1:], target[0], *synapse.stride])
    taps = np.ascontiguousarray(weight[:, rows, columns].T.astype(np.int32))
    return taps, np.ascontiguousarray(np.stack(steps, axis=1).astype(np.int64)), shape


def _waits(synapse: DenseSynapse | ConvSynapse) -> tuple[int, tuple[Array, ...]]:
    """Steps that all weights wait, and else the delay of each: one array, empty where all wait alike."""
    delay = synapse.delay
    if delay is None or (delay == delay.flat[0]).all():
        return 0 if delay is None else int(delay.flat[0]), (np.zeros(0, np.int64),)
    return 0, (delay.astype(np.int64),)


@dataclass(frozen=True)
class _Geometry:
    """A convolution from (C, H, W) to (C, H, W); pairs are (vertical, horizontal)."""

    source: tuple[int, ...]
    target: tuple[int, ...]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def runs(self) -> int:
        """Neighbouring columns lie side by side in memory and make one run; otherwise each column is its own."""
        return 1 if self.groups == 1 and self.dilation[1] == 1 else self.kernel[1]


def _geometry(synapse: ConvSynapse, source: tuple[int, ...], target: tuple[int, ...]) -> _Geometry:
    kernel = synapse.weight.shape[2], synapse.weight.shape[3]
    return _Geometry(source, target, kernel, synapse.stride, synapse.padding, synapse.dilation, synapse.groups)


def _rows(geometry: _Geometry, weight: Array, unary: bool) -> tuple[Array, Array, Array, Array]:
    """weight, places, table and shape of `kernels.deliver`; weight [C_out, C_in / groups, kH, kW]."""
    groups, (kernel, columns), (channels, height, width) = geometry.groups, geometry.kernel, geometry.source
    part, per_group = len(weight) // groups, channels // groups
    lanes = -(-part // 16) * 16
    lanes += 16 * (lanes % 64 == 16)  # the kernel sums 32, 48 or 64 at a time
    laid: Array = np.zeros((groups, kernel, columns, per_group, lanes), np.int16)
    laid[..., :part] = weight.reshape(groups, part, per_group, kernel, columns).transpose(0, 3, 4, 2, 1)
    taps = columns // geometry.runs
    place, run = np.divmod(np.arange(geometry.target[2] * groups * geometry.runs), geometry.runs)
    x, group = np.divmod(place, groups)
    left = x * geometry.stride[1] - geometry.padding[1] + run * geometry.dilation[1]
    first, last = left.clip(0, width), (left + taps).clip(0, width)
    start = (first * groups + group) * per_group
    end = np.where(last > first, ((last - 1) * groups + group + 1) * per_group, start)
    row = width * channels
    start, end = np.minimum(start, row), np.minimum(end, row)
    add = (group * kernel * columns + run * taps - left * groups - group) * per_group * lanes
    places = np.stack([start, end, add, (first - left) * per_group])
    simple = unary and groups == geometry.runs == 1
    bits, chunks, table = _table(laid[0], taps * channels) if simple else (1, 1, laid[:0])
    shape = np.array([
        height, row, geometry.target[1], geometry.target[2] * groups, part, geometry.runs, kernel, geometry.stride[0],
        geometry.padding[0], geometry.dilation[0], lanes, columns * per_group * lanes, taps * per_group, bits, chunks,
    ])  # fmt: skip
    return laid.reshape(-1), np.ascontiguousarray(places), table.reshape(-1), shape


def _table(weight: Array, seen: int) -> tuple[int, int, Array]:
    """Bits of a pattern, patterns, and the sums of weights [kH, patterns, 2^bits, lanes]; empty if large."""
    kernel, lanes = len(weight), weight.shape[-1]
    for chunks in range(1, -(-seen // 4) + 1):
        bits = -(-seen // chunks)
        fits = kernel * chunks * 2**bits * lanes <= TABLE_LIMIT and bits * int(abs(weight).max()) < 2**15
        if bits <= 10 and seen <= 56 and fits:
            rows = np.zeros((kernel, chunks * bits, lanes), np.int16)
            rows[:, :seen] = weight.reshape(kernel, seen, lanes)
            patterns = (np.arange(2**bits)[:, None] >> np.arange(bits) & 1).astype(np.int16)
            return bits, chunks, np.ascontiguousarray(patterns @ rows.reshape(kernel, chunks, bits, lanes))
    return 1, 1, weight[:0]
