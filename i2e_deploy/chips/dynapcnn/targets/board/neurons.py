"""Where the states of a layer's neurons are on its core, and how to tell that an event has reached one."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.dynapcnn.lowering.stages import words
from i2e_deploy.chips.dynapcnn.program import CoreLayer

#: Neurons of each core that are read back after a reset.
CHECKED = 32


def addresses(layer: CoreLayer) -> range:
    """Every address that a neuron of the layer can have on its core.

    Feature in the lowest bits, then x, then y, each with the bits that it needs (Sinabs 3.1.3 io.py
    `calculate_neuron_address`, whose y is shifted by its own bits instead of those of x: both layouts are covered).
    """
    features, height, width = layer.output_shape
    feature_bits, y_bits, x_bits = ((n - 1).bit_length() for n in (features, height, width))
    return range(max(words(layer)["neuron"], 2 ** (feature_bits + 2 * max(y_bits, x_bits))))


def some(places: range) -> range:
    """At least CHECKED of them, evenly spread, or all."""
    return places[:: max(1, len(places) // CHECKED)]


def trial_of(layer: CoreLayer) -> tuple[int, int, int, int] | None:
    """(c, y, x) of an event and the address of a neuron at (0, 0) that it leaves at another value than zero."""
    (py, px), (_, height, width) = layer.padding, layer.input_shape
    for f, c, ky, kx in np.argwhere(layer.weight).tolist():
        v = max(int(layer.weight[f, c, ky, kx]), layer.min_v)
        if v >= layer.threshold:
            v = 0 if layer.reset == "zero" else v - layer.threshold
        if v and 0 <= ky - py < height and 0 <= kx - px < width:
            return c, ky - py, kx - px, f  # the lowest bits of an address are the feature
    return None
