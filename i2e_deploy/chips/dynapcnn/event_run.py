"""Frames through the asynchronous chip: samples in, `Trace` out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from i2e_deploy.chips.dynapcnn.engine import sum_counts
from i2e_deploy.chips.dynapcnn.event_engine import engine_of
from i2e_deploy.chips.dynapcnn.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.event_reference import HIGH, LOW, CoreState, EventRun, route, run_event_reference
from i2e_deploy.chips.dynapcnn.injection import inject
from i2e_deploy.chips.dynapcnn.program import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.spikes import Binned, Spikes, join_samples
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.errors import InputError


def run_events(
    program: DynapcnnProgram, frames: Integers, engine: str, options: EventOptions, before: States | None
) -> Trace:
    """`DynapcnnProgram.run` with `semantics="event"`."""
    import torch

    fast = engine_of(program, options)

    def run(sample: int) -> EventRun:
        stimuli = inject(frames[sample], options, program.has_bias)
        states = None if before is None else _states_of(program, before, sample)
        return (
            run_event_reference(program, stimuli, options, states)
            if engine == "reference"
            else fast.run(stimuli, states)
        )

    threads = min(len(frames), torch.get_num_threads())
    if threads == 1:
        runs = list(map(run, range(len(frames))))
    else:
        with ThreadPoolExecutor(threads) as pool:
            runs = list(pool.map(run, range(len(frames))))
    return _trace(program, runs, frames.shape[:2], options)


def _states_of(program: DynapcnnProgram, before: States, sample: int) -> dict[str, CoreState]:
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


def _trace(program: DynapcnnProgram, runs: list[EventRun], lead: tuple[int, ...], options: EventOptions) -> Trace:
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
    return Trace(binned, states, output, counts, events)


def count_output(
    program: DynapcnnProgram, events: Mapping[str, Spikes], batch: int, steps: int, options: EventOptions
) -> Integers:
    """What leaves the network, counted in steps: int32 [B, T, N]."""
    shapes, parts = program.shapes(), []
    for source in program.outputs:
        c, height, width = shapes[source.layer]
        spikes = route(source, events[source.layer], shapes[source.layer], replace(options, outside_pool="drop"))
        pooled = {"output": (c, height // source.pool[0], width // source.pool[1])}
        binned = Binned({"output": spikes}, pooled, batch, steps, options.step_us)["output"]
        parts.append(binned.reshape(batch, steps, -1))
    return np.concatenate(parts, axis=2)
