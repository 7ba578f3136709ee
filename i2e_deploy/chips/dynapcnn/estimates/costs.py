"""What a program is expected to cost on a chip of the family: power, load of every core, latency of output spikes.

The program is run as the asynchronous chip would, whatever semantics the user looks at: only events have delays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np

from i2e_deploy.chips.costs import CoreLoad, Costs, Figure
from i2e_deploy.chips.dynapcnn.checks.placement import place, rate_of
from i2e_deploy.chips.dynapcnn.engine.event.run import core_inputs
from i2e_deploy.chips.dynapcnn.engine.run import run_as_events
from i2e_deploy.chips.dynapcnn.estimates.congestion import Congestion, congestion
from i2e_deploy.chips.dynapcnn.estimates.power import NO_COEFFICIENTS, NOT_YOUR_BOARD, Coefficients, power_figures
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import SPIKE, Spikes, Stimuli
from i2e_deploy.chips.profile import Limit, Profile
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.events import Events

#: Input events that are run for an estimate, at most; the samples after are left out.
MAX_EVENTS = 20_000_000
NOT_IN_DELAYS = (
    "delays and latency: the time between cores and that of slow-clock ticks are not in them, no public text gives it",
    "events a second: no limit of the chip's or of its interface's is public",
)


def costs(
    program: CoreNetwork,
    profile: Profile,
    given: Integers | Events,
    options: EventOptions,
    trace: Trace | None = None,
    cores: Mapping[str, int] | None = None,
    coefficients: Coefficients | None = None,
) -> Costs:
    """Run and estimate.

    Args:
        given: frames [B, T, C, H, W] of steps of `options.step_us`, or a recording.
        trace: of `given` with these options, where it was run before.
        cores: of every layer; None: as `placement.place` chooses them by load.
        coefficients: of a board; None: the profile's, see `power_figures`.

    Raises:
        InputError: see `DynapcnnProgram.run_events`.
    """
    if given.dtype.names is None and trace is None:
        given = _few(cast("Integers", given))
    if not len(given):
        text = f"one sample holds more than {MAX_EVENTS} events: nothing was run"
        return Costs(text, 0, 0.0, unknown=(text,), published=profile.published)
    trace = run_as_events(program, given, options=options) if trace is None else trace
    samples, steps = trace.output.shape[:2]
    seconds = steps * options.step_us * 1e-6
    per_second = {name: counts.synops / (samples * seconds) for name, counts in trace.counts.items()}
    if cores is None or not set(cores.values()) <= {core.index for core in profile.cores}:
        cores = {slot.layer: slot.core for slot in place(program.layers, profile, per_second)[0]}
    figures = power_figures(trace.counts, samples, seconds, profile, coefficients)
    without = NOT_YOUR_BOARD if "synop_energy" in profile.estimates else NO_COEFFICIENTS
    unknown: tuple[str, ...] = () if coefficients is not None else (without,)
    loads: tuple[CoreLoad, ...] = ()
    if set(cores) >= set(program.layer_names):
        limits = {name: _limit(cores[name], profile) for name in program.layer_names}
        rates = {name: rate for name, (rate, _) in limits.items()}
        runs = zip(_stimuli(program, given, options), _spikes(trace, samples), strict=True)
        found = congestion(program, runs, rates, options, steps * options.step_us)
        loads = _loads(found, cores, limits, samples * seconds)
        figures = (*figures, *_latency(found, limits[program.layer_names[0]][1]))
        unknown = (*unknown, *NOT_IN_DELAYS)
    else:
        unknown = (*unknown, "load and latency: layers have no core; `i2e-deploy check` says what would help")
    basis = f"run as the asynchronous chip would: {samples} samples of {1e3 * seconds:g} ms"
    activity = {
        name: {"spikes": counts.spikes / samples, "synops": counts.synops / samples}
        for name, counts in trace.counts.items()
    }
    return Costs(basis, samples, seconds, figures, loads, activity, unknown, profile.published)


def _few(frames: Integers) -> Integers:
    """The first samples, with at most `MAX_EVENTS` events in all."""
    events = np.cumsum(frames.reshape(len(frames), -1).sum(axis=1, dtype=np.int64))
    return frames[: int(np.searchsorted(events, MAX_EVENTS, side="right"))]


def _stimuli(program: CoreNetwork, given: Integers | Events, options: EventOptions) -> Iterator[Stimuli]:
    return (stimuli for stimuli, _ in core_inputs(program, given, options, program.has_bias))


def _spikes(trace: Trace, samples: int) -> Iterator[dict[str, Spikes]]:
    """Spikes of every layer, sample by sample."""
    assert trace.events is not None
    ends = {name: np.searchsorted(spikes["sample"], np.arange(samples + 1)) for name, spikes in trace.events.items()}
    for sample in range(samples):
        parts = {}
        for name, spikes in trace.events.items():
            mine = spikes[ends[name][sample] : ends[name][sample + 1]]
            parts[name] = np.empty(len(mine), SPIKE)
            for field in SPIKE.names or ():
                parts[name][field] = mine[field]
        yield parts


def _limit(core: int, profile: Profile) -> tuple[float, Limit]:
    found = next(each for each in profile.cores if each.index == core)
    return rate_of(found, profile), profile.limit("synops_rate_parallel" if found.parallel else "synops_rate")


def _loads(
    found: Congestion, cores: Mapping[str, int], limits: Mapping[str, tuple[float, Limit]], seconds: float
) -> tuple[CoreLoad, ...]:
    return tuple(
        CoreLoad(
            name, cores[name], work.synops / seconds, limits[name][0], work.load, work.delays.mean_us,
            work.delays.largest_us, work.arrivals / seconds, work.spikes / seconds, limits[name][1].certainty,
            limits[name][1].source,
        )
        for name, work in found.cores.items()
    )  # fmt: skip


def _latency(found: Congestion, limit: Limit) -> tuple[Figure, ...]:
    """From a stimulus to the output spikes that it causes, mean and largest; nothing where none came."""
    if not found.output.count:
        return ()
    source = ("queue of every core at its limit of synaptic operations a second", limit.source)
    named = {"mean": found.output.mean_us, "largest": found.output.largest_us}
    return tuple(
        Figure(f"latency from stimulus to output spike, {name}", value, value, "us", limit.certainty, source)
        for name, value in named.items()
    )
