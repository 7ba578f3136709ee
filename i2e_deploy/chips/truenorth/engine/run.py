"""Runs of a batch on the engine, and the checks of what goes in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.frames import check_frames, check_states
from i2e_deploy.chips.trace import Integers, States, Trace
from i2e_deploy.chips.truenorth.engine.plan import Plan, make_plan
from i2e_deploy.chips.truenorth.program import SLOTS, CoreNetwork
from i2e_deploy.chips.truenorth.reference.counts import layer_counts
from i2e_deploy.chips.truenorth.reference.run import run_reference
from i2e_deploy.chips.truenorth.reference.states import Held, held, states_of, valid
from i2e_deploy.errors import InputError
from i2e_deploy.threads import on_threads, thread_count

ENGINES = ("fast", "reference")
#: What makes a count above 1 one spike, in `Trace.incidents`.
MERGED = "input events beyond one a line and tick, lost"


def run(
    network: CoreNetwork, frames: Integers, semantics: str, engine: str, states: States | None, plan: Plan | None = None
) -> Trace:
    """See `TrueNorthProgram.run`."""
    for name, value, known in (("semantics", semantics, ("timestep",)), ("engine", engine, ENGINES)):
        if value not in known:
            raise InputError(f"{name} {value!r}: choose one of {', '.join(known)}")
    check_frames(frames, network.input_shape)
    if states is not None:
        check_given(network, states, len(frames))
    flat = frames.reshape(*frames.shape[:2], -1)
    trace = run_reference(network, flat, states) if engine == "reference" else run_engine(network, flat, states, plan)
    lost = int(flat[flat > 1].astype(np.int64).sum() - (flat > 1).sum())
    return replace(trace, incidents={MERGED: lost}) if lost else trace


def check_given(network: CoreNetwork, states: States, batch: int) -> None:
    """Raise InputError unless a run of the program, of that batch, gave these states."""
    check_states(states, network.state_shapes(), batch)
    if not valid(states):
        raise InputError("states hold values that no run gives: give the `states` of a trace of this program")


def run_engine(network: CoreNetwork, frames: Integers, states: States | None, plan: Plan | None) -> Trace:
    """Frames [B, T, N], checked."""
    from i2e_deploy.chips.truenorth.engine.kernels import run_sample

    plan = plan or make_plan(network)
    batch, steps = frames.shape[:2]
    bits = np.ascontiguousarray(frames > 0).view(np.uint8)
    now = held(network, states, batch)
    spikes = np.zeros((batch, steps, len(plan.own)), np.uint8)
    counts = np.zeros((batch, len(network.cores), 4), np.int64)

    def sample(b: int) -> None:
        run_sample(
            bits[b], plan.input_line, plan.input_axon, plan.input_delay, now.arriving[b].reshape(-1), plan.rows,
            plan.types, plan.table, plan.short, plan.weight, plan.offsets, plan.limit, plan.plain, plan.chance,
            plan.kind, plan.sizes, plan.owned, plan.way, now.v[b].reshape(-1), now.random[b], counts[b].reshape(-1),
            plan.own, spikes[b],
        )  # fmt: skip

    on_threads(sample, range(batch), thread_count())
    after = Held(now.v, turned(now.arriving, steps), now.random)
    by_layer = layers_of(network, spikes)
    output = by_layer[network.layers[-1].name].reshape(batch, steps, -1)
    total = layer_counts(network, counts.sum(axis=0))
    return Trace(by_layer, states_of(network, after), output, total, deciding=network.deciding)


def turned(arriving: NDArray[np.uint64], steps: int) -> NDArray[np.uint64]:
    """Slots [B, 16, ...] with that of the next tick first."""
    return np.roll(arriving, -(steps % SLOTS), axis=1)


def layers_of(network: CoreNetwork, spikes: NDArray[np.uint8]) -> dict[str, Integers]:
    """Spikes [B, T, all values] by layer, int32 [B, T, *shape]."""
    found: dict[str, Integers] = {}
    start = 0
    for layer in network.layers:
        part = spikes[:, :, start : start + layer.size]
        found[layer.name] = part.reshape(*spikes.shape[:2], *layer.shape).astype(np.int32)
        start += layer.size
    return found
