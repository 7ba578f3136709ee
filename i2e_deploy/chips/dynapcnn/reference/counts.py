"""Count spikes and synaptic operations of one core."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer
from i2e_deploy.chips.fan_out import fan_out_by_pixel
from i2e_deploy.chips.trace import Integers, LayerCounts


def layer_counts(layer: CoreLayer, events: Integers, spikes: Integers, saturations: int) -> LayerCounts:
    """Totals over a run: `events` [..., C_in, H, W] reach the core, `spikes` leave its neurons.

    An event at (y, x) reaches every neuron whose window covers it, in all output features; weights
    of zero count, because public text does not settle whether the chip skips them.
    """
    per_pixel = events.reshape(-1, *events.shape[-2:]).sum(axis=0, dtype=np.int64)
    synops = layer.output_shape[0] * int((per_pixel * fan_out(layer)).sum())
    return LayerCounts(spikes=int(spikes.sum(dtype=np.int64)), synops=synops, saturations=saturations)


def fan_out(layer: CoreLayer) -> NDArray[np.int64]:
    """Output pixels that an event at each input pixel reaches: int64 [H, W]."""
    size, kernel, out = layer.input_shape[1:], layer.weight.shape[2:], layer.output_shape[1:]
    return fan_out_by_pixel(size, kernel, layer.stride, layer.padding, out)
