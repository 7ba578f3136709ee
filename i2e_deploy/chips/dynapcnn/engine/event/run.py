"""Frames, or a recording, through the asynchronous chip: samples in, `Trace` out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.engine.event.engine import engine_of
from i2e_deploy.chips.dynapcnn.engine.event.kernels import FilterSettings, filter_events
from i2e_deploy.chips.dynapcnn.peripherals import EventFilter
from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.reference.event import HIGH, LOW, CoreState, EventRun, route, run_event_reference
from i2e_deploy.chips.dynapcnn.reference.event_filter import filter_reference, fresh_memory
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.injection import inject, phase_us, recorded
from i2e_deploy.chips.dynapcnn.reference.preprocess import preprocess_events
from i2e_deploy.chips.dynapcnn.reference.spikes import Binned, Spikes, Stimuli, join_samples
from i2e_deploy.chips.trace import Integers, States, Trace, sum_counts
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.steps import check_recording, from_start
from i2e_deploy.network import INPUT
from i2e_deploy.threads import on_threads, thread_count

#: What the event filter remembers after a sample: int64 [H, W].
Memory = NDArray[np.int64]


def run_events(
    program: CoreNetwork, frames: Integers, engine: str, options: EventOptions, before: States | None
) -> Trace:
    """`DynapcnnProgram.run` with `semantics="event"`."""

    def stimuli(sample: int) -> Stimuli:
        return inject(frames[sample], options, program.has_bias)

    return _run(program, stimuli, frames.shape[:2], engine, options, before)


def run_recordings(
    program: CoreNetwork, recordings: Sequence[Events], steps: int, options: EventOptions,
    engine: str = "fast", before: States | None = None,
) -> Trace:  # fmt: skip
    """Recordings through the asynchronous chip, every event in its own order and at its own time.

    Frames lose the order inside a step, and `options.order` puts another in its place; this does not.

    Args:
        recordings: event arrays, polarity = feature; times count from 0, and end at `steps * options.step_us`.
        steps: steps in which spikes are counted; a slow-clock tick each, where there is a bias.

    Raises:
        InputError: no recordings, no steps, or an event outside the input of the network.
    """
    if not recordings or steps < 1:
        raise InputError(f"{len(recordings)} recordings, {steps} steps: give one of each at least")
    for i, events in enumerate(recordings):
        check_recording(events, program.input_shape, f"recording {i}")

    def stimuli(sample: int) -> Stimuli:
        return recorded(recordings[sample], steps, options, program.has_bias)

    return _run(program, stimuli, (len(recordings), steps), engine, options, before)


def front_end(
    program: CoreNetwork,
    stimuli: Stimuli,
    options: EventOptions,
    engine: str = "fast",
    memory: Memory | None = None,
) -> tuple[Stimuli, Memory]:
    """The events that arrive at the cores, pre-processed and filtered, and the filter's memory after them."""
    if program.sensor is not None:
        stimuli = preprocess_events(program.sensor, stimuli, program.input_shape)
    memory = fresh_memory(program.shapes()[INPUT]) if memory is None else memory
    if program.event_filter is None:
        return stimuli, memory
    run = filter_reference if engine == "reference" else filter_fast
    shift = -phase_us(options) % options.step_us  # the filter counts ticks of the slow clock
    stimuli = stimuli.copy()
    stimuli["t"] += shift
    passed, memory = run(program.event_filter, stimuli, memory, options.step_us)
    passed["t"] -= shift
    return passed, memory


def filter_fast(
    event_filter: EventFilter, stimuli: Stimuli, memory: NDArray[np.int64], step_us: int
) -> tuple[Stimuli, NDArray[np.int64]]:
    """`event_filter.filter_reference`, fast."""
    last = memory.copy()
    c, y, x = (np.ascontiguousarray(stimuli[name]) for name in "cyx")
    down, across = event_filter.window[0] // 2, event_filter.window[1] // 2
    own = event_filter.counts_own, event_filter.blocks_own
    settings = FilterSettings(down, across, event_filter.threshold, *own, event_filter.mode == "low_pass")
    passes = filter_events(stimuli["t"] // step_us, c, y, x, last, settings)
    return stimuli[passes], last


def core_inputs(
    program: CoreNetwork, given: Integers | Events, options: EventOptions, ticks: bool
) -> Iterator[tuple[Stimuli, int]]:
    """The events that arrive at the cores in every sample, in order of injection, and how many steps it has.

    Args:
        given: frames [B, T, C, H, W], or a recording, which is one sample at its own times.
        ticks: whether the slow clock ticks, once a step.

    Raises:
        InputError: see `from_start` and `check_recording`.
    """
    if given.dtype.names is None:
        for frame in cast("Integers", given):
            yield front_end(program, inject(frame, options, ticks), options)[0], len(frame)
    else:
        recording, steps = from_start(program.merged(cast("Events", given)), options.step_us)
        check_recording(recording, program.input_shape, "the recording")
        yield front_end(program, recorded(recording, steps, options, ticks), options)[0], steps


def _run(
    program: CoreNetwork,
    given: Callable[[int], Stimuli],
    lead: tuple[int, ...],
    engine: str,
    options: EventOptions,
    before: States | None,
) -> Trace:
    fast, batch = engine_of(program, options), lead[0]

    def run(sample: int) -> tuple[EventRun, Memory]:
        memory = None if before is None or program.event_filter is None else before[INPUT]["last"][sample]
        stimuli, last = front_end(program, given(sample), options, engine, memory)
        states = None if before is None else _states_of(program, before, sample)
        if engine == "reference":
            return run_event_reference(program, stimuli, options, states), last
        return fast.run(stimuli, states), last

    done = on_threads(run, range(batch), thread_count())
    trace = _trace(program, [each for each, _ in done], lead, options)
    if program.event_filter is None:
        return trace
    last = np.stack([memory for _, memory in done]) - lead[1]  # counts start again with the next run
    return replace(trace, states={**trace.states, INPUT: {"last": last}})


def _states_of(program: CoreNetwork, before: States, sample: int) -> dict[str, CoreState]:
    """States of one sample; a v_mem that no 16-bit word holds cannot be the chip's.

    Raises:
        InputError: such a value.
    """
    states = {}
    for layer in program.layers:
        variables = before[layer.name]
        v_mem = variables["v_mem"][sample]
        if v_mem.max() > HIGH or v_mem.min() < LOW:
            raise InputError(f"state 'v_mem' of layer {layer.name!r} leaves 16 bits: the chip cannot start from it")
        fired = int(variables["fired"][sample]) if layer.decimation > 1 else 0
        states[layer.name] = CoreState(v_mem.astype(np.int16), fired)
    return states


def _trace(program: CoreNetwork, runs: list[EventRun], lead: tuple[int, ...], options: EventOptions) -> Trace:
    batch, steps = lead
    events = {name: join_samples([run.spikes[name] for run in runs]) for name in program.layer_names}
    counts = {name: sum_counts([run.counts[name] for run in runs]) for name in program.layer_names}
    states: dict[str, dict[str, Integers]] = {}
    for layer in program.layers:
        ends = [run.states[layer.name] for run in runs]
        states[layer.name] = {"v_mem": np.stack([end.v_mem for end in ends]).astype(np.int64)}
        if layer.decimation > 1:
            states[layer.name]["fired"] = np.array([end.fired for end in ends], np.int64)
    binned = Binned(events, {layer.name: layer.output_shape for layer in program.layers}, batch, steps, options.step_us)
    output = count_output(program, events, batch, steps, options)
    return Trace(binned, states, output, counts, events, deciding=program.deciding)


def count_output(
    program: CoreNetwork, events: Mapping[str, Spikes], batch: int, steps: int, options: EventOptions
) -> Integers:
    """What leaves the network, counted in steps: int32 [B, T, N]."""
    shapes, parts = program.shapes(), []
    for source in program.outputs:
        c, height, width = shapes[source.layer]
        spikes = route(source, events[source.layer], shapes[source.layer], replace(options, outside_pool="drop"))
        pooled = {"output": (c, height // source.pool[0], width // source.pool[1])}
        binned = Binned({"output": spikes}, pooled, batch, steps, options.step_us)["output"]
        parts.append(binned.reshape(batch, steps, -1))
    return program.classes(np.concatenate(parts, axis=2))
