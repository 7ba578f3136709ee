"""The definition: one neuron after another, integer by integer."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace
from toy_chip.program import HIGH, LOW, Core, Crossbars


class CoreState(TypedDict):
    """One core in one sample: the states, the spikes of the step before, and what was counted."""

    v: list[int]
    sent: list[int]
    counts: LayerCounts


def run_reference(program: Crossbars, frames: Integers, semantics: str, states: States | None) -> Trace:
    """Frames [B, T, N], checked; see `ToyProgram.run`."""
    spikes: dict[str, list[list[list[int]]]] = {core.name: [] for core in program.cores}
    ends: dict[str, list[CoreState]] = {core.name: [] for core in program.cores}
    for sample, steps in enumerate(frames):
        cores = {core.name: _start(core, states, sample) for core in program.cores}
        rows: dict[str, list[list[int]]] = {core.name: [] for core in program.cores}
        for frame in steps:
            arriving = [int(count > 0) for count in frame]  # a line carries one bit a step
            for core in program.cores:
                before = cores[core.name]["sent"]
                fired = _step(core, cores[core.name], arriving)
                rows[core.name].append(fired)
                arriving = before if semantics == "pipeline" else fired
        for name, fired_in in rows.items():
            spikes[name].append(fired_in)
            ends[name].append(cores[name])
    made = {name: np.array(rows, np.int32) for name, rows in spikes.items()}
    shapes = program.state_shapes(semantics)
    final = {n: {k: np.array([end[k] for end in ends[n]], np.int64) for k in shapes[n]} for n in shapes}  # type: ignore[literal-required]
    counts = {n: sum((end["counts"] for end in ends[n]), LayerCounts(0, 0, 0)) for n in ends}
    return Trace(made, final, made[program.cores[-1].name], counts)


def _start(core: Core, states: States | None, sample: int) -> CoreState:
    """The core as an earlier run left it; else all zero."""
    before = {} if states is None else states[core.name]
    zero = [0] * len(core.weight)
    v, sent = (before[name][sample].tolist() if name in before else zero for name in ("v", "sent"))
    return {"v": list(v), "sent": list(sent), "counts": LayerCounts(0, 0, 0)}


def _step(core: Core, state: CoreState, arriving: list[int]) -> list[int]:
    """One step of one core: the spikes of its neurons."""
    fired, synops, saturations = [], 0, 0
    for neuron, weights in enumerate(core.weight):
        v = state["v"][neuron]
        v = max(v - core.leak, 0) if v > 0 else min(v + core.leak, 0)
        for weight, bit in zip(weights.tolist(), arriving, strict=True):
            v += weight * bit
            synops += bit * (weight != 0)
        saturations += not LOW <= v <= HIGH
        v = min(max(v, LOW), HIGH)  # once, after the last line
        fired.append(int(v > core.threshold))
        state["v"][neuron] = 0 if v > core.threshold else v
    state["counts"] += LayerCounts(sum(fired), synops, saturations)
    state["sent"] = fired
    return fired
