"""Synapses and neurons of DYNAP-CNN cores, for figures that count them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from i2e_deploy.chips.connections import Connection, Population
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_frames
from i2e_deploy.chips.dynapcnn.reference.timestep import gather
from i2e_deploy.chips.trace import Integers
from i2e_deploy.network import INPUT, Conv2d


def connections(program: CoreNetwork) -> tuple[Connection, ...]:
    """A convolution a core, on what is gathered from its sources."""
    return tuple(
        Connection(
            layer.name, Conv2d(layer.weight.astype(np.float32), None, layer.stride, layer.padding),
            layer.input_shape, layer.weight,
        )
        for layer in program.layers
    )  # fmt: skip


def populations(program: CoreNetwork) -> tuple[Population, ...]:
    """Of each core its biases, threshold, lower bound and start, in the chip's words of 16 bits."""
    found = []
    for layer in program.layers:
        stored = {
            "threshold": np.array([layer.threshold], np.int16),
            "min_v": np.array([layer.min_v], np.int16),
            "bias": layer.bias,
            "initial": layer.initial,
        }
        held = {name: array for name, array in stored.items() if array is not None}
        found.append(Population(layer.name, layer.output_shape, "v_mem", held))
    return tuple(found)


def reaching(program: CoreNetwork, frames: Integers, spikes: Mapping[str, Integers]) -> tuple[Integers, ...]:
    """What reaches each of `connections` in every step, [B, T, C, H, W]: events pooled, side by side, added up."""
    events = frames if program.sensor is None else preprocess_frames(program.sensor, frames)
    sent = {INPUT: events.astype(np.int64), **{name: array.astype(np.int64) for name, array in spikes.items()}}
    return tuple(gather(layer.sources, sent, layer.input_shape[0]) for layer in program.layers)
