"""Energy and time of a run, from its counts and published figures. Estimates, never measurements."""

from __future__ import annotations

from i2e_deploy.chips.costs import Costs, Figure
from i2e_deploy.chips.profile import Profile
from i2e_deploy.chips.trace import Trace
from i2e_deploy.chips.truenorth.program import CoreNetwork

UNKNOWN = (
    "power of a chip that is used in part: the published figures are of whole chips, and the energy of a synaptic "
    "operation has their power at rest in it",
    "energy of input, output and the mesh of a program: no figure is public",
)


def costs(trace: Trace, network: CoreNetwork, profile: Profile) -> Costs:
    """Of a simulated run; a tick lasts 1 ms."""
    samples, steps = trace.output.shape[:2]
    tick, synop, power = profile.limit("tick"), profile.estimate("synop_energy"), profile.estimate("chip_power")
    assert isinstance(tick.value, int)
    seconds = steps * tick.value / 1e6
    synops = sum(count.synops for count in trace.counts.values()) / samples
    late = (steps + network.deciding.lag) * tick.value / 1000
    figures = (
        Figure("energy a sample by its synaptic operations", synops * synop.low / 1000, synops * synop.high / 1000,
               "nJ", synop.certainty, (synop.source,)),
        Figure("power of a chip in full use", power.low, power.high, power.unit, power.certainty, (power.source,)),
        Figure("energy a sample, a chip in full use", power.low * seconds * 1e6, power.high * seconds * 1e6, "nJ",
               power.certainty, (power.source,)),
        Figure("latency of a decision", late, late, "ms", tick.certainty, (tick.source,)),
    )  # fmt: skip
    activity = {
        name: {"spikes": counts.spikes / samples, "synops": counts.synops / samples}
        for name, counts in trace.counts.items()
    }
    return Costs(
        f"{samples} samples of {steps} ticks of 1 ms", samples, seconds, figures, activity=activity, unknown=UNKNOWN,
        published=profile.published,
    )  # fmt: skip
