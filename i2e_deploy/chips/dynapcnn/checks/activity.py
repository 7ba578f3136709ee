"""What a network does on given events: the rates that decide whether cores keep up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.run import run, run_as_events
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.events import Events


@dataclass(frozen=True)
class Activity:
    """Means over a run.

    Args:
        synops: synaptic operations a second of the sensor's time, by layer.
        step_us: duration of a step, and period of the slow clock.
    """

    synops: Mapping[str, float]
    step_us: int


def measure(program: CoreNetwork, given: Integers | Events, step_us: int) -> Activity:
    """Activity in `event` semantics, on frames [B, T, C, H, W] of `step_us` or on a recording.

    Raises:
        InputError: see `DynapcnnProgram.run_events`.
    """
    return activity_of(run_as_events(program, given, options=EventOptions(step_us=step_us)), step_us)


def activity_of(trace: Trace, step_us: int) -> Activity:
    """Activity of a run in `event` semantics with steps of `step_us`."""
    samples, steps = trace.output.shape[:2]
    seconds = samples * steps * step_us * 1e-6
    return Activity({name: counts.synops / seconds for name, counts in trace.counts.items()}, step_us)


def channel_spikes(program: CoreNetwork, frames: Integers) -> dict[str, NDArray[np.float64]]:
    """Spikes of each output channel of each layer, [C], in time steps on frames [B, T, C, H, W].

    Raises:
        InputError: see `DynapcnnProgram.run`.
    """
    trace = run(program, frames)
    return {name: spikes.sum(axis=(0, 1, 3, 4), dtype=np.float64) for name, spikes in trace.spikes.items()}
