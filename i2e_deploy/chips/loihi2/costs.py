"""Energy and time of a run as ranges, from its counts and the profile's figures. Estimates, never measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from i2e_deploy.chips.loihi2.layers import Layer
from i2e_deploy.chips.loihi2.partition import Cut, cut, demand_of
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.trace import Trace


@dataclass(frozen=True)
class Range:
    """From `low` to `high` of `unit`; `sources` says where the figures behind it come from."""

    low: float
    high: float
    unit: str
    sources: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.low:.3g} to {self.high:.3g} {self.unit}"


def dynamic_energy(trace: Trace, layers: Sequence[Layer], profile: Profile) -> Range:
    """Energy of a run's synaptic operations and neuron updates, nJ. Static power, routing and input are left out."""
    samples, steps = trace.output.shape[:2]
    synops = sum(counts.synops for counts in trace.counts.values())
    updates = sum(layer.size for layer in layers) * samples * steps
    synop, update = profile.estimates["synop_energy"], profile.estimates["update_energy"]
    low = (synops * synop.low + updates * update.low) / 1000
    high = (synops * synop.high + updates * update.high) / 1000
    return Range(low, high, "nJ", (synop.source, update.source))


def step_time(trace: Trace, layers: Sequence[Layer], profile: Profile) -> Range:
    """Time of one step, us: the barrier and the busiest core, work spread evenly within a layer. I/O is left out."""
    samples, steps = trace.output.shape[:2]
    synop, update, barrier = (profile.estimates[key] for key in ("synop_time", "update_time", "step_time"))
    low = high = 0.0
    for layer in layers:
        found: Cut | None = cut(demand_of(layer), profile)
        if found is None:
            continue
        synops = trace.counts[layer.name].synops / (samples * steps * found.cores)
        low = max(low, synops * synop.low + found.neurons * update.low)
        high = max(high, synops * synop.high + found.neurons * update.high)
    return Range(
        (barrier.low + low) / 1000, (barrier.high + high) / 1000, "us", (synop.source, update.source, barrier.source)
    )
