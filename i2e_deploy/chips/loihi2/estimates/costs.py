"""Energy and time of a run as ranges, from its counts and the profile's figures. Estimates, never measurements."""

from __future__ import annotations

from collections.abc import Sequence

from i2e_deploy.chips.costs import Costs, Figure
from i2e_deploy.chips.loihi2.checks.partition import Cut, cut, demand_of
from i2e_deploy.chips.loihi2.reference.layers import Layer
from i2e_deploy.chips.loihi2.relay import Programmable
from i2e_deploy.chips.profile import CERTAINTIES, Estimate, Profile
from i2e_deploy.chips.trace import Trace
from i2e_deploy.text import listed

#: What no public figure covers.
UNKNOWN = (
    "input and output are not in the energy: no figure of Loihi 2 is public",
    "input and output are not in the times: a network that is fed every step may take many times as long",
)


def costs(trace: Trace, layers: Sequence[Layer], profile: Profile) -> Costs:
    """Energy and times of a simulated run.

    Args:
        trace: with counts, of any number of samples and steps.
    """
    samples, steps = trace.output.shape[:2]
    step = step_time(trace, layers, profile)
    whole = Figure("latency of a decision", step.low * steps, step.high * steps, "us", step.certainty, step.sources)
    rest = _rest(profile, whole)
    activity = {
        name: {"spikes": counts.spikes / samples, "synops": counts.synops / samples}
        for name, counts in trace.counts.items()
    }
    return Costs(
        f"{samples} samples of {steps} steps, run as fast as the chip can",
        samples,
        None,
        (*_parts(trace, layers, profile), dynamic_energy(trace, layers, profile), *rest, step, whole),
        activity=activity,
        unknown=(*UNKNOWN, *_programs(layers)),
        published=profile.published,
    )


def _programs(layers: Sequence[Layer]) -> tuple[str, ...]:
    """What no public figure says of programmable neurons, where there are any."""
    names = [layer.name for layer in layers if isinstance(layer.neuron, Programmable)]
    if not names:
        return ()
    text = "what an update of a programmable neuron costs: no public figure says, it is counted as a standard neuron's"
    return (f"{text} (layers {listed(names)})",)


def dynamic_energy(trace: Trace, layers: Sequence[Layer], profile: Profile) -> Figure:
    """Energy of synaptic operations and neuron updates of a sample, nJ. Power at rest and input are left out.

    The measured energy of an operation has updates and routing of its own network in it. Updates are added all the
    same, or a network of many quiet neurons would cost nothing; on PilotNet that counts 1 to 19 % twice.
    """
    synops, updates = _parts(trace, layers, profile)
    estimates = profile.estimate("synop_energy"), profile.estimate("update_energy")
    return _figure("dynamic energy a sample", synops.low + updates.low, synops.high + updates.high, "nJ", *estimates)


def _parts(trace: Trace, layers: Sequence[Layer], profile: Profile) -> tuple[Figure, Figure]:
    """Energy of the synaptic operations and of the neuron updates of a sample, nJ."""
    samples, steps = trace.output.shape[:2]
    synops = sum(counts.synops for counts in trace.counts.values()) / samples
    updates = sum(layer.size for layer in layers) * steps
    synop, update = profile.estimate("synop_energy"), profile.estimate("update_energy")
    name = "dynamic energy a sample, {}"
    return (
        _figure(name.format("synaptic operations"), synops * synop.low / 1000, synops * synop.high / 1000, "nJ", synop),
        _figure(name.format("neuron updates"), updates * update.low / 1000, updates * update.high / 1000, "nJ", update),
    )


def _rest(profile: Profile, decision: Figure) -> tuple[Figure, Figure]:
    """Power at rest, mW, and what it comes to while a decision is made, nJ."""
    rest = profile.estimate("static_power")
    power = _figure("power at rest", rest.low, rest.high, rest.unit, rest)
    low, high = rest.low * decision.low, rest.high * decision.high  # mW us are nJ
    certainty = max(rest.certainty, decision.certainty, key=CERTAINTIES.index)
    sources = (rest.source, *decision.sources)
    return power, Figure("energy a sample, at rest alone", low, high, "nJ", certainty, sources)


def step_time(trace: Trace, layers: Sequence[Layer], profile: Profile) -> Figure:
    """Time of one step, us: the barrier and the busiest core, work spread evenly within a layer. I/O is left out."""
    samples, steps = trace.output.shape[:2]
    synop, update, barrier = (profile.estimate(key) for key in ("synop_time", "update_time", "step_time"))
    low = high = 0.0
    for layer in layers:
        found: Cut | None = cut(demand_of(layer), profile)
        if found is None:
            continue
        synops = trace.counts[layer.name].synops / (samples * steps * found.cores)
        low = max(low, synops * synop.low + found.neurons * update.low)
        high = max(high, synops * synop.high + found.neurons * update.high)
    low, high = (barrier.low + low) / 1000, (barrier.high + high) / 1000
    return _figure("time of a step", low, high, "us", synop, update, barrier)


def _figure(name: str, low: float, high: float, unit: str, *estimates: Estimate) -> Figure:
    """A figure with the lowest certainty of its parts."""
    certainty = max((estimate.certainty for estimate in estimates), key=CERTAINTIES.index)
    return Figure(name, low, high, unit, certainty, tuple(estimate.source for estimate in estimates))
