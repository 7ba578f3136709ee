"""Does the chip keep up? Load and delay of every core, and the latency of output spikes, from the events of samples.

A core takes `synaptic operations / rate` for the events of one stimulus, and works through stimuli in order. It is
taken to start on a stimulus when the core before is done with it, so delays are upper bounds of this model. The
rates come from the profile, with their certainty; no figure of this kind is published by the vendor. Time between cores
and that of ticks of the slow clock are not in the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreLayer, CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.counts import fan_out
from i2e_deploy.chips.dynapcnn.reference.event import as_spikes, merge
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK, Spikes, Stimuli
from i2e_deploy.errors import InputError
from i2e_deploy.network import INPUT

#: Samples: what reached the cores, and the spikes of every layer that came of it.
Samples = Iterable[tuple[Stimuli, Mapping[str, Spikes]]]


@dataclass(frozen=True)
class Delays:
    """Times from a stimulus to an end, microseconds: how many, their sum, the largest (0 where there are none)."""

    count: int = 0
    sum_us: float = 0.0
    largest_us: float = 0.0

    @property
    def mean_us(self) -> float:
        """0 where there are none."""
        return self.sum_us / self.count if self.count else 0.0

    def __add__(self, other: Delays) -> Delays:
        largest = max(self.largest_us, other.largest_us)
        return Delays(self.count + other.count, self.sum_us + other.sum_us, largest)


@dataclass(frozen=True)
class Work:
    """One core over all samples.

    Args:
        synops: synaptic operations.
        arrivals: events that reached it.
        spikes: spikes that left it.
        load: share of the time that it is busy; above 1 it cannot keep up.
        delays: of every stimulus that gave it work, to the end of that.
    """

    synops: int = 0
    arrivals: int = 0
    spikes: int = 0
    load: float = 0.0
    delays: Delays = Delays()

    def __add__(self, other: Work) -> Work:
        return Work(
            self.synops + other.synops,
            self.arrivals + other.arrivals,
            self.spikes + other.spikes,
            self.load + other.load,
            self.delays + other.delays,
        )


@dataclass(frozen=True)
class Congestion:
    """Every core, by layer in network order, and the delays of output spikes from the stimuli that caused them."""

    cores: Mapping[str, Work]
    output: Delays


def congestion(
    program: CoreNetwork,
    samples: Samples,
    rates: Mapping[str, float],
    options: EventOptions,
    duration_us: int,
) -> Congestion:
    """Work through the samples, each from idle cores.

    Args:
        samples: what went in and what came of it.
        rates: synaptic operations a second by layer (of the core that holds it).
        duration_us: of one sample.

    Raises:
        InputError: a rate or the duration is not positive.
    """
    if duration_us <= 0 or min(rates[name] for name in program.layer_names) <= 0:
        raise InputError(f"duration {duration_us} us and rates {dict(rates)} must be positive")
    cores, output, count = {name: Work() for name in program.layer_names}, Delays(), 0
    for stimuli, spikes in samples:
        count += 1
        known: dict[str, Spikes] = {INPUT: as_spikes(stimuli), **spikes}
        start = stimuli["t"].astype(np.float64)
        done = {INPUT: start}
        for layer in program.layers:
            arrivals = merge(program, layer, known, options)
            work = work_by_stimulus(layer, arrivals, len(stimuli))
            arrival = np.asarray(np.max([done[source.layer] for source in layer.sources], axis=0), np.float64)
            done[layer.name] = queue_ends(arrival, work.astype(np.float64) * (1e6 / rates[layer.name]))
            busy, total = work > 0, int(work.sum())
            cores[layer.name] += Work(
                total,
                int((arrivals["c"] != TICK).sum()),
                len(spikes[layer.name]),
                1e6 * total / rates[layer.name] / duration_us,
                _delays((done[layer.name] - start)[busy]),
            )
        for source in program.outputs:
            cause = spikes[source.layer]["cause"]
            output += _delays(done[source.layer][cause] - start[cause])
    means = {name: replace(work, load=work.load / max(count, 1)) for name, work in cores.items()}
    return Congestion(means, output)


def _delays(values: NDArray[np.float64]) -> Delays:
    return Delays(len(values), float(values.sum()), float(values.max(initial=0.0)))


def work_by_stimulus(layer: CoreLayer, arrivals: Spikes, stimuli: int) -> NDArray[np.int64]:
    """Synaptic operations by stimulus: int64 [stimuli]."""
    _, height, width = layer.input_shape
    inside = (arrivals["c"] != TICK) & (arrivals["y"] < height) & (arrivals["x"] < width)
    events = arrivals[inside]
    reached = fan_out(layer)[events["y"], events["x"]] * layer.output_shape[0]
    return np.bincount(events["cause"], reached, minlength=stimuli).astype(np.int64)


def queue_ends(arrival: NDArray[np.float64], service: NDArray[np.float64]) -> NDArray[np.float64]:
    """End of work of a queue in order: finish[i] = max(finish[i - 1], arrival[i]) + service[i]."""
    done = np.cumsum(service)
    return np.asarray(done + np.maximum.accumulate(arrival - (done - service)))
