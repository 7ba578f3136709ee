"""Samples on targets, batch by batch: what is kept of them, so that batches of several machines can be joined."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import SIMULATORS, Program
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import FLOAT, Injection, Semantics, Target
from i2e_deploy.chips.trace import Integers, Power, States, Trace
from i2e_deploy.chips.values import Values
from i2e_deploy.events.array import Events
from i2e_deploy.runtime.agreement import Parting, first_divergence, partings
from i2e_deploy.runtime.asked import check_labels
from i2e_deploy.runtime.comparison import Difference
from i2e_deploy.runtime.float_target import run_float
from i2e_deploy.runtime.vacuous import not_yet
from i2e_deploy.text import record_repr


@dataclass(frozen=True, eq=False)
class Part:
    """What is kept of one batch on one target."""

    decisions: NDArray[np.int64]
    classes: int
    seconds: float
    activity: dict[str, dict[str, int]]
    unseen: tuple[str, ...]
    power: Power | None
    incidents: Mapping[str, int]
    ties: int
    silent: int
    quiet: tuple[str, ...]
    values: NDArray[np.float64] | None = None
    late: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Task:
    """Samples and what runs them; see `evaluate`. A process of its own takes one."""

    program: Program
    frames: Integers
    labels: NDArray[Any] | None
    targets: tuple[Target, ...]
    semantics: Semantics
    batch_size: int
    injection: Injection
    network: AnyNetwork | None
    recordings: tuple[Events, ...]
    chain: bool = False
    values: Values | None = None

    __repr__ = record_repr

    def part(self, start: int, stop: int) -> Task:
        """Of these samples."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, frames=self.frames[start:stop], labels=labels, recordings=self.recordings[start:stop])


@dataclass(frozen=True, eq=False)
class Gathered:
    """Of a task: batches by target, and of each pair of targets the first difference and how far layers are apart."""

    parts: dict[str, list[Part]]
    divergences: dict[tuple[str, str], Difference]
    apart: dict[tuple[str, str], dict[str, Parting]]

    __repr__ = record_repr


def gather(task: Task, progress: Callable[[int, int], None] | None = None) -> Gathered:
    """Run a task here, batch by batch."""
    program, frames, targets, semantics = task.program, task.frames, task.targets, task.semantics
    kept: dict[str, States | None] = dict.fromkeys(targets)
    if "simulator" in targets:
        program.run_on("simulator", frames[:1], semantics)  # compiled before the first batch is timed
    if FLOAT in targets:
        run_float(task.network, program, frames[:1])  # torch is imported before, likewise
    parts: dict[str, list[Part]] = {name: [] for name in targets}
    divergences: dict[tuple[str, str], Difference] = {}
    apart: dict[tuple[str, str], dict[str, Parting]] = {}
    for start in range(0, len(frames), task.batch_size):
        batch = frames[start : start + task.batch_size]
        traces: dict[str, Trace] = {}
        for name in targets:
            began = time.perf_counter()
            given = task.recordings[start] if task.recordings and name != FLOAT else batch
            step = _own_step(task.injection, given, frames.shape[1])
            if task.chain:
                trace = program.simulate(given, semantics, SIMULATORS[name], step, kept[name])
                kept[name] = trace.states
            else:
                trace = _run(program, task.network, name, given, semantics, step)
            traces[name] = trace
            seconds = time.perf_counter() - began
            check_labels(task.labels, trace, task.values)
            parts[name].append(keep(trace, seconds, task.values, program.latencies))
        for pair in combinations(targets, 2):
            found = None if pair in divergences else divergence(program, traces, pair)
            if found is not None:
                divergences[pair] = replace(found, sample=found.sample + start)
            layers = partings(program.layer_names, traces[pair[0]], traces[pair[1]])
            apart[pair] = together(layers, apart.get(pair, {}))
        if progress is not None:
            progress(min(start + task.batch_size, len(frames)), len(frames))
    return Gathered(parts, divergences, apart)


def _run(
    program: Program, network: AnyNetwork | None, target: Target, given: Integers | Events, semantics: Semantics,
    injection: Injection,
) -> Trace:  # fmt: skip
    if target == FLOAT:
        return run_float(network, program, cast("Integers", given))
    return program.run_on(target, given, semantics, injection)


def _own_step(injection: Injection, given: Integers | Events, steps: int) -> Injection:
    """Frames as they are asked for; a recording in `steps` steps of its own duration."""
    if given.dtype.names is None:
        return injection
    return replace(injection, step_us=int(cast("Events", given)["t"][-1]) // steps + 1)


def together(layers: Mapping[str, Parting], so_far: Mapping[str, Parting]) -> dict[str, Parting]:
    """How far layers are apart, over two parts of the samples."""
    return {name: parting + so_far[name] if name in so_far else parting for name, parting in layers.items()}


def keep(
    trace: Trace, seconds: float, values: Values | None = None, latencies: Mapping[str, int] = MappingProxyType({})
) -> Part:
    """What an evaluation keeps of a batch's trace."""
    unseen, classes, quiet = tuple(trace.unseen.values()), trace.scores().shape[-1], trace.quiet_layers()
    return Part(
        trace.decisions(), classes, seconds, trace.activity(), unseen, trace.power, trace.incidents, trace.ties(),
        trace.silent(), quiet, None if values is None else values.of(trace.scores()),
        not_yet(quiet, latencies, trace.output.shape[1]),
    )  # fmt: skip


def divergence(program: Program, traces: Mapping[str, Trace], pair: tuple[str, str]) -> Difference | None:
    """The first difference of two targets."""
    return first_divergence(program.layer_names, traces[pair[0]], traces[pair[1]])
