"""The same as the reference, a matrix product a core and step for the whole batch."""

from __future__ import annotations

import numpy as np

from i2e_deploy.chips.frames import check_frames, check_states
from i2e_deploy.chips.trace import Integers, LayerCounts, States, Trace
from i2e_deploy.errors import InputError
from toy_chip.program import HIGH, LOW, SEMANTICS, Crossbars
from toy_chip.reference import run_reference


def run_engine(program: Crossbars, frames: Integers, semantics: str, states: States | None) -> Trace:
    """Frames [B, T, N], checked; see `ToyProgram.run`."""
    batch, steps = frames.shape[:2]
    spikes = {core.name: np.zeros((batch, steps, len(core.weight)), np.int32) for core in program.cores}
    shapes = program.state_shapes(semantics)
    state = {
        core: {n: np.zeros((batch, *s), np.int64) if states is None else states[core][n].astype(np.int64)
               for n, s in names.items()}
        for core, names in shapes.items()
    }  # fmt: skip
    counts = {core.name: LayerCounts(0, 0, 0) for core in program.cores}
    for step in range(steps):
        arriving = (frames[:, step] > 0).astype(np.int32)
        for core in program.cores:
            own = state[core.name]
            v = np.sign(own["v"]) * np.maximum(np.abs(own["v"]) - core.leak, 0) + arriving @ core.weight.T.astype(int)
            synops = int((arriving @ (core.weight != 0).T.astype(int)).sum())
            saturations = int(((v < LOW) | (v > HIGH)).sum())
            v = np.clip(v, LOW, HIGH)
            fired = v > core.threshold
            own["v"] = np.where(fired, 0, v)
            spikes[core.name][:, step] = fired
            counts[core.name] += LayerCounts(int(fired.sum()), synops, saturations)
            arriving = fired.astype(np.int32)
            if semantics == "pipeline":
                arriving, own["sent"] = own["sent"].astype(np.int32), fired.astype(np.int64)
    return Trace(spikes, state, spikes[program.cores[-1].name], counts)


ENGINES = {"fast": run_engine, "reference": run_reference}


def run(program: Crossbars, frames: Integers, semantics: str, engine: str, states: States | None) -> Trace:
    """See `ToyProgram.run`."""
    for name, value, known in (("semantics", semantics, SEMANTICS), ("engine", engine, tuple(ENGINES))):
        if value not in known:
            raise InputError(f"{name} {value!r}: choose one of {', '.join(known)}")
    check_frames(frames, program.input_shape)
    if states is not None:
        check_states(states, program.state_shapes(semantics), len(frames))
    return ENGINES[engine](program, frames.reshape(*frames.shape[:2], -1), semantics, states)
