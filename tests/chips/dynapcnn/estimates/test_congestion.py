"""Load and delay of the cores: a queue by hand, and any program against a loop over events and neurons."""

from __future__ import annotations

import numpy as np
import pytest
from dynapcnn_programs import programs, random_frames, single_core
from hypothesis import given, settings
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.engine.event.run import core_inputs
from i2e_deploy.chips.dynapcnn.estimates.congestion import congestion
from i2e_deploy.chips.dynapcnn.reference.event import EventRun, _reached, as_spikes, merge, run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK, Stimuli
from i2e_deploy.errors import InputError


def test_congestion_of_a_queue_by_hand() -> None:
    """Three events at once, 9 operations each, 1 M operations a second: done after 9, 18 and 27 us."""
    program = single_core(weight=np.full((9, 1, 1, 1), 1, np.int8), output_shape=(9, 1, 1))
    options = EventOptions(order="raster")
    stimuli = inject(np.full((1, 1, 1, 1), 3), options, ticks=False)
    run = run_event_reference(program, stimuli, options)
    found = congestion(program, [(stimuli, run.spikes)], {"core": 1e6}, options, duration_us=1000)
    work = found.cores["core"]
    assert (work.synops, work.arrivals, work.spikes) == (27, 3, len(run.spikes["core"]))
    assert work.delays.largest_us == pytest.approx(27)
    assert work.delays.mean_us == pytest.approx(18)
    assert work.load == pytest.approx(0.027)


def ends_of_work(
    program: DynapcnnProgram, stimuli: Stimuli, run: EventRun, rates: dict[str, float], options: EventOptions
) -> dict[str, tuple[list[float], list[int]]]:
    """By layer the end of work on every stimulus, us, and its synaptic operations: one stimulus after the other."""
    found = {"input": (stimuli["t"].astype(float).tolist(), [1] * len(stimuli))}
    spikes = {"input": as_spikes(stimuli), **run.spikes}
    for layer in program.layers:
        work = [0] * len(stimuli)
        for _, cause, c, y, x in merge(program, layer, spikes, options).tolist():
            work[cause] += 0 if c == TICK else len(list(_reached(layer, c, y, x)))
        ends, free = [], 0.0
        for i, operations in enumerate(work):
            arrival = max(found[source.layer][0][i] for source in layer.sources)
            free = max(free, arrival) + operations * 1e6 / rates[layer.name]
            ends.append(free)
        found[layer.name] = ends, work
    return found


@given(program=programs(), seed=st.integers(0, 2**16), rate=st.sampled_from([1e5, 1e7]))
@settings(max_examples=25, deadline=None)
def test_cores_are_queues(program: DynapcnnProgram, seed: int, rate: float) -> None:
    """Tolerance: sums in another order."""
    options, names = EventOptions(step_us=50), program.layer_names
    frames = random_frames(program, seed, samples=2, steps=3)
    samples = [stimuli for stimuli, _ in core_inputs(program, frames, options, program.has_bias)]
    runs = [run_event_reference(program, stimuli, options) for stimuli in samples]
    rates = {name: rate * (i + 1) for i, name in enumerate(names)}
    got = congestion(program, [(s, r.spikes) for s, r in zip(samples, runs, strict=True)], rates, options, 150)
    delays: dict[str, list[float]] = {name: [] for name in names}
    output: list[float] = []
    for stimuli, run in zip(samples, runs, strict=True):
        start, found = stimuli["t"].tolist(), ends_of_work(program, stimuli, run, rates, options)
        for name in names:
            ends, work = found[name]
            delays[name] += [end - begin for end, begin, done in zip(ends, start, work, strict=True) if done]
        last = program.outputs[0].layer
        output += [found[last][0][cause] - start[cause] for cause in run.spikes[last]["cause"].tolist()]
    for name, row in got.cores.items():
        assert row.synops == sum(run.counts[name].synops for run in runs)
        assert row.load == pytest.approx(row.synops / rates[name] / 300e-6)
        assert row.delays.count == len(delays[name])
        assert row.delays.largest_us == pytest.approx(max(delays[name], default=0), abs=1e-6)
        assert row.delays.sum_us == pytest.approx(sum(delays[name]), abs=1e-6)
    assert got.output.count == len(output)
    assert got.output.largest_us == pytest.approx(max(output, default=0), abs=1e-6)


def test_rates_and_duration_must_be_positive() -> None:
    for rates, duration in (({"core": 0.0}, 10), ({"core": 1.0}, 0)):
        with pytest.raises(InputError, match="must be positive"):
            congestion(single_core(), [], rates, EventOptions(), duration)
