"""Float weights to the chip's integers, exactly as Sinabs discretises (sinabs 3.1.3 backend/dynapcnn/discretize.py).

One scale a core brings weights and bias into 8 bits and threshold and lower bound into 16 bits:

    scale(x, bits) = hi / max x    if |min x| <= max x * |lo / hi|,  else  |lo / min x|
    scale = min(scale(weight, 8), scale(bias, 8), scale([min_v, threshold], 16), scale(initial states, 16))
    integer = round_half_even(x * scale)

in float32 throughout, because that is what decides the last bit. A lower bound of None counts as -32768.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.stages import Stage
from i2e_deploy.chips.dynapcnn.program import CoreLayer

WEIGHT_BITS = 8
STATE_BITS = 16
NO_LOWER_BOUND = -(2**15)


@dataclass(frozen=True, eq=False)
class Quantised:
    """The integers of one stage and the scale that made them; `threshold` may be 0, which no chip can use."""

    weight: NDArray[np.int8]
    bias: NDArray[np.int8] | NDArray[np.int16] | None
    threshold: int
    min_v: int
    scale: float
    initial: NDArray[np.int16] | None = None

    @property
    def effective_bits(self) -> float:
        """Bits that the weights really use, sign included: 1 + log2(max |w|), 8 when the scale leaves them all."""
        return 1 + float(np.log2(max(1, np.abs(self.weight.astype(np.int64)).max())))


def quantise(stage: Stage) -> Quantised:
    """Integers of one stage."""
    neuron = stage.neuron
    min_v = NO_LOWER_BOUND if neuron.min_v is None else neuron.min_v
    bounds = np.array([min_v, neuron.threshold], np.float32)
    scales = [_scale(stage.weight, WEIGHT_BITS), _scale(bounds, STATE_BITS)]
    if stage.bias is not None:
        scales.append(_scale(stage.bias, WEIGHT_BITS))
    if stage.initial is not None:  # discretize.py: `if spike_lyr.is_state_initialised()`
        scales.append(_scale(stage.initial, STATE_BITS))
    scale: np.float32 = min(scales)
    low, threshold = _integers(bounds, scale)
    return Quantised(
        weight=_integers(stage.weight, scale).astype(np.int8),
        bias=None if stage.bias is None else _integers(stage.bias, scale).astype(np.int8),
        threshold=int(threshold),
        min_v=int(low),
        scale=float(scale),
        initial=None if stage.initial is None else _integers(stage.initial, scale).astype(np.int16),
    )


def of_layer(layer: CoreLayer) -> Quantised:
    """The integers of a core layer; the scale that made them is the ratio of the thresholds, not kept."""
    return Quantised(layer.weight, layer.bias, layer.threshold, layer.min_v, float("nan"), layer.initial)


def core_layer(stage: Stage, integers: Quantised) -> CoreLayer:
    """The stage with its integers in place of its floats."""
    c_in, h_in, w_in = stage.input_shape
    c_out, h_out, w_out = stage.output_shape
    return CoreLayer(
        name=stage.name,
        sources=stage.sources,
        weight=integers.weight,
        bias=integers.bias,
        stride=stage.stride,
        padding=stage.padding,
        threshold=integers.threshold,
        min_v=integers.min_v,
        max_spikes=stage.neuron.max_spikes,
        reset=stage.neuron.reset,
        input_shape=(c_in, h_in, w_in),
        output_shape=(c_out, h_out, w_out),
        initial=integers.initial,
    )


def _scale(values: NDArray[np.float32], bits: int) -> np.float32:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    smallest, largest = values.min(), values.max()
    with np.errstate(divide="ignore", over="ignore"):  # all zero: any scale will do, the minimum takes another
        if abs(smallest) <= abs(largest) * np.float32(abs(low / high)):
            return np.float32(abs(np.float32(high) / largest))
        return np.float32(abs(np.float32(low) / smallest))


def _integers(values: NDArray[np.float32], scale: np.float32) -> NDArray[np.float32]:
    return np.asarray(np.rint(values * scale), np.float32)
