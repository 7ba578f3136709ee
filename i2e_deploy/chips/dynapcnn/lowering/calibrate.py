"""A better lowering than Sinabs' one scale for all: the scale of each layer is chosen on calibration data.

`quantise` ("compatible") shrinks the weights until bias and lower bound fit too. But the chip's bias word has 16 bits
(Speck Dev Kit Datasheet, Aug 2023, table 3), a lower bound below the 16-bit state means no more than its lowest value,
and a few outlying weights may be clipped. So here only weights and threshold limit the scale; bias goes to 16 bits,
bounds are held inside the chip's range (and at -1 or below, an erratum forbids 0), and of a few scales that is taken
whose spikes come closest to the float layer's. Layers are done in order, each on the spikes of the integers before it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.timestep.engine import run_engine
from i2e_deploy.chips.dynapcnn.lowering.quantise import NO_LOWER_BOUND, Quantised, core_layer, quantise
from i2e_deploy.chips.dynapcnn.lowering.stages import Stage, arrange, sensor_of
from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork, Source
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_frames
from i2e_deploy.chips.dynapcnn.reference.timestep import gather
from i2e_deploy.chips.frames import check_frames
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network import INPUT, Network

#: Scales that are tried, as factors of the largest that clips no weight.
FACTORS = (1.0, 1.15, 1.35, 1.6, 2.0)
WEIGHT_HIGH, STATE_HIGH, BIAS_HIGH = 127, 2**15 - 1, 2**15 - 1


def calibrate(network: Network, frames: Integers) -> CoreNetwork:
    """Lower `network` with scales chosen on `frames` [B, T, C, H, W]; a few dozen samples will do.

    Raises:
        UnsupportedError: a layer that no core can be.
        InputError: frames that are none of the network's, see `check_frames`.
    """
    check_frames(frames, network.input_shape)
    stages, outputs = arrange(network)
    sensor = sensor_of(network)
    seen = frames.astype(np.int64) if sensor is None else preprocess_frames(sensor, frames)
    exact: dict[str, NDArray[np.int64]] = {INPUT: seen}
    rounded = dict(exact)
    layers = []
    for stage in stages:
        target = _float_spikes(stage, gather(stage.sources, exact, stage.input_shape[0]))
        given = gather(stage.sources, rounded, stage.input_shape[0])
        best: tuple[int, NDArray[np.int64], CoreLayer] | None = None
        for integers in _candidates(stage):
            layer = core_layer(stage, integers)
            spikes = _integer_spikes(layer, given)
            distance = int(np.abs(spikes - target).sum())
            if best is None or distance < best[0]:
                best = distance, spikes, layer
        assert best is not None
        exact[stage.name], (_, rounded[stage.name], chosen) = target, best
        layers.append(chosen)
    channels, height, width = network.input_shape
    return CoreNetwork((channels, height, width), tuple(layers), outputs, sensor)


def effective_bits(layer: CoreLayer) -> float:
    """Bits that the weights of a layer really use, sign included."""
    return 1 + float(np.log2(max(1, np.abs(layer.weight.astype(np.int64)).max())))


def _candidates(stage: Stage) -> list[Quantised]:
    """Sinabs' own integers where they are legal, and each factor."""
    limit = STATE_HIGH / max(stage.neuron.threshold, 0 if stage.initial is None else float(np.abs(stage.initial).max()))
    largest = float(np.abs(stage.weight).max())
    free = limit if largest == 0 else min(limit, WEIGHT_HIGH / largest)
    found = [_at(stage, min(limit, free * factor)) for factor in FACTORS]
    compatible = quantise(stage)
    if compatible.min_v < 0 < compatible.threshold:
        found.insert(0, compatible)
    return found


def _at(stage: Stage, scale: float) -> Quantised:
    """Integers at a scale: weights clipped to 8 bits, bias to 16, bounds to what the chip can hold."""
    neuron = stage.neuron
    low = NO_LOWER_BOUND if neuron.min_v is None else max(NO_LOWER_BOUND, round(neuron.min_v * scale))
    bias = None
    if stage.bias is not None:
        bias = np.clip(np.rint(stage.bias * scale), -BIAS_HIGH - 1, BIAS_HIGH).astype(np.int16)
    return Quantised(
        weight=np.clip(np.rint(stage.weight * scale), -WEIGHT_HIGH - 1, WEIGHT_HIGH).astype(np.int8),
        bias=bias,
        threshold=max(1, round(neuron.threshold * scale)),
        min_v=min(-1, low),
        scale=scale,
        initial=None if stage.initial is None else np.rint(stage.initial * scale).astype(np.int16),
    )


def _integer_spikes(layer: CoreLayer, given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Spikes of one core on its gathered inputs."""
    from dataclasses import replace

    alone = replace(layer, sources=(Source(INPUT),))
    spikes = run_engine(CoreNetwork(layer.input_shape, (alone,), (Source(layer.name),)), given).spikes[layer.name]
    return spikes.astype(np.int64)


def _float_spikes(stage: Stage, given: NDArray[np.int64]) -> NDArray[np.int64]:
    """Spikes of the float layer, in float64: [B, T, C, H, W]."""
    bias = None if stage.bias is None else torch.from_numpy(stage.bias).double()
    with torch.no_grad():
        current = torch.nn.functional.conv2d(
            torch.from_numpy(given).double().flatten(0, 1), torch.from_numpy(stage.weight).double(), bias,
            stage.stride, stage.padding,
        ).numpy()  # fmt: skip
    current = current.reshape(*given.shape[:2], *stage.output_shape)
    neuron, v, spikes = stage.neuron, np.zeros_like(current[:, 0]), np.zeros(current.shape, np.int64)
    v = v if stage.initial is None else v + stage.initial
    for t in range(current.shape[1]):
        v = v + current[:, t]
        n = np.where(v > 0, v // neuron.threshold, 0)
        n = n if neuron.max_spikes is None else np.minimum(n, neuron.max_spikes)
        v = np.where(n > 0, 0, v) if neuron.reset == "zero" else v - n * neuron.threshold
        v = v if neuron.min_v is None else np.maximum(v, neuron.min_v)
        spikes[:, t] = n
    return spikes
