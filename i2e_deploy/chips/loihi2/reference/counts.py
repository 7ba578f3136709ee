"""Count spikes, synaptic operations, wraps and saturations of one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.fan_out import fan_out_by_pixel
from i2e_deploy.chips.loihi2.program import DenseSynapse, conv_shape
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
    synapse, shape = wire.synapse, wire.source_shape
    kernel, out = synapse.weight.shape[2:], conv_shape(synapse, shape)[1:]
    fan = fan_out_by_pixel(shape[1:], kernel, synapse.stride, synapse.padding, out, synapse.dilation).reshape(-1)
    return np.tile(fan * (len(synapse.weight) // synapse.groups), shape[0])
