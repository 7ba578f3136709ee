"""Does the chip keep up? Load and delay of every core from the events of one sample.

A core takes `synaptic operations / rate` for the events of one stimulus, and works through stimuli in order. It is
taken to start on a stimulus when the core before is done with it, so delays are upper bounds of this model. The
rates come from the profile, with their certainty; no figure of this kind is published by the vendor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.counts import fan_out
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.event_reference import EventRun, as_spikes, merge
from i2e_deploy.chips.dynapcnn.program import CoreLayer, DynapcnnProgram
from i2e_deploy.chips.dynapcnn.spikes import TICK, Spikes, Stimuli
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT


@dataclass(frozen=True)
class CoreLoad:
    """One core over one sample.

    Args:
        synops: synaptic operations.
        rate: synaptic operations a second that the core can do.
        load: share of the sample's duration that the core is busy; above 1 it cannot keep up.
        mean_delay_us, largest_delay_us: from the stimulus to the end of its work in this core.
    """

    layer: str
    synops: int
    rate: float
    load: float
    mean_delay_us: float
    largest_delay_us: float


def congestion(
    program: DynapcnnProgram,
    stimuli: Stimuli,
    run: EventRun,
    rates: Mapping[str, float],
    options: EventOptions,
    duration_us: int,
) -> tuple[CoreLoad, ...]:
    """Load of every core, in network order.

    Args:
        stimuli: what went in.
        run: what came of it.
        rates: synaptic operations a second by layer (of the core that holds it).
        duration_us: of the sample.

    Raises:
        InputError: a rate or the duration is not positive.
    """
    if duration_us <= 0 or min(rates[name] for name in program.layer_names) <= 0:
        raise InputError(f"duration {duration_us} us and rates {dict(rates)} must be positive")
    spikes: dict[str, Spikes] = {INPUT: as_spikes(stimuli), **run.spikes}
    start = stimuli["t"].astype(np.float64)
    done = {INPUT: start}
    loads = []
    for layer in program.layers:
        work = _work(layer, merge(program, layer, spikes, options), len(stimuli))
        arrival = np.max([done[source.layer] for source in layer.sources], axis=0)
        done[layer.name] = _finish(arrival, work * (1e6 / rates[layer.name]))
        busy = work > 0
        delay = (done[layer.name] - start)[busy] if busy.any() else np.zeros(1)
        seconds = float(work.sum()) / rates[layer.name]
        loads.append(
            CoreLoad(
                layer.name, int(work.sum()), rates[layer.name], seconds / (duration_us * 1e-6),
                float(delay.mean()), float(delay.max()),
            )
        )  # fmt: skip
    return tuple(loads)


def _work(layer: CoreLayer, arrivals: Spikes, stimuli: int) -> NDArray[np.int64]:
    """Synaptic operations by stimulus: int64 [stimuli]."""
    _, height, width = layer.input_shape
    inside = (arrivals["c"] != TICK) & (arrivals["y"] < height) & (arrivals["x"] < width)
    events = arrivals[inside]
    reached = fan_out(layer)[events["y"], events["x"]] * layer.output_shape[0]
    return np.bincount(events["cause"], reached, minlength=stimuli).astype(np.int64)


def _finish(arrival: NDArray[np.float64], service: NDArray[np.float64]) -> NDArray[np.float64]:
    """End of work of a queue in order: finish[i] = max(finish[i - 1], arrival[i]) + service[i]."""
    done = np.cumsum(service)
    return np.asarray(done + np.maximum.accumulate(arrival - (done - service)))
