"""Count spikes, synaptic operations, wraps and saturations of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.loihi2.program import ConvSynapse, DenseSynapse
from i2e_deploy.chips.loihi2.reference.layers import Layer, Wire
from i2e_deploy.chips.trace import LayerCounts

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class LoihiCounts(LayerCounts):
    """See `LayerCounts`; saturations are voltages that were clipped.

    Args:
        wraps: currents that left their 24 bits and wrapped.
        peaks: largest magnitude of each state variable before wrap and clip.
    """

    wraps: int = 0
    peaks: Mapping[str, int] = field(default_factory=dict)


def layer_counts(
    layer: Layer, spikes: int, messages: Mapping[int, Counts], wraps: int, saturations: int, peaks: Mapping[str, int]
) -> LoihiCounts:
    """Totals of a run. `messages` holds, by wire, how many messages each source neuron sent: int64 [N_source]."""
    synops = sum(int((messages[j] * fan_out(wire)).sum()) for j, wire in enumerate(layer.wires))
    return LoihiCounts(spikes, synops, saturations, wraps, dict(peaks))


def fan_out(wire: Wire) -> Counts:
    """Neurons that a message of each source neuron reaches, zero weights included: int64 [N_source]."""
    size = prod(wire.source_shape)
    if wire.synapse is None:
        return np.zeros(size, np.int64)
    if isinstance(wire.synapse, DenseSynapse):
        return np.full(size, len(wire.synapse.weight), np.int64)
    vertical, horizontal = (_reach(wire.synapse, wire.source_shape, axis) for axis in (0, 1))
    fan = (vertical[:, None] * horizontal[None, :]).reshape(-1) * (len(wire.synapse.weight) // wire.synapse.groups)
    return np.tile(fan, wire.source_shape[0])


def _reach(synapse: ConvSynapse, shape: tuple[int, ...], axis: int) -> Counts:
    """For one axis: how many (output, tap) pairs meet each input position."""
    size, kernel = shape[1 + axis], synapse.weight.shape[2 + axis]
    stride, padding, dilation = synapse.stride[axis], synapse.padding[axis], synapse.dilation[axis]
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    at = np.arange(out)[:, None] * stride - padding + np.arange(kernel)[None, :] * dilation
    return np.bincount(at[(at >= 0) & (at < size)].reshape(-1), minlength=size).astype(np.int64)
