"""From the spikes of cores that a board sent to a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from i2e_deploy.chips.dynapcnn.engine.event.run import count_output
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, Binned, Spikes, join_samples
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import CoreEvents, Rail, mean_power
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.trace import Trace

OUTSIDE = "spikes with an address that their layer does not have"
BEYOND = "spikes after the last step, counted in it"


def trace_of(
    program: CoreNetwork,
    received: Sequence[CoreEvents],
    rails: Sequence[Rail],
    steps: int,
    cores: Mapping[str, int],
    incidents: Counter[str],
    options: BoardOptions,
    start_us: int,
) -> Trace:
    """What came back, a sample each, as a trace; counts irregularities into `incidents`.

    Args:
        cores: of the layers that were watched.
        start_us: when the first step began.
    """
    batch, step_us, shapes = len(received), options.events.step_us, program.shapes()
    events: dict[str, Spikes] = {}
    for name, core in cores.items():
        samples = [spikes_of(core, shapes[name], part, start_us) for part in received]
        incidents[OUTSIDE] += sum(outside for _, outside in samples)
        events[name] = join_samples([spikes for spikes, _ in samples])
        incidents[BEYOND] += int((events[name]["t"] >= steps * step_us).sum())
    output = count_output(program, events, batch, steps, options.events)
    binned = Binned(events, {name: shapes[name] for name in cores}, batch, steps, step_us)
    return Trace(
        binned,
        {},
        output,
        {},
        events,
        unseen={i: name for i, name in enumerate(program.layer_names) if name not in cores},
        power=mean_power(rails),
        incidents={what: count for what, count in sorted(incidents.items()) if count},
        deciding=program.deciding,
    )


def spikes_of(core: int, shape: tuple[int, int, int], received: CoreEvents, start_us: int) -> tuple[Spikes, int]:
    """Spikes of one core, with times from `start_us` on and without a cause, which no board reports; and how many lie
    outside (C, H, W)."""
    mine = received[received["core"] == core]
    inside = np.ones(len(mine), np.bool_)
    for name, size in zip("cyx", shape, strict=True):
        inside &= (mine[name] >= 0) & (mine[name] < size)
    spikes = np.empty(int(inside.sum()), SPIKE)
    for name in ("c", "y", "x"):
        spikes[name] = mine[name][inside]
    spikes["t"] = np.maximum(mine["t"][inside] - start_us, 0)
    spikes["cause"] = -1
    return spikes, len(mine) - len(spikes)
