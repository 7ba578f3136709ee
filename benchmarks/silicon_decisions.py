"""What we predict of a Speck2f's decisions on N-MNIST, per semantics and order, beside the record of the chip.

    I2E_DEPLOY_RECORDS=... I2E_DEPLOY_DATA=... \\
        python benchmarks/silicon_decisions.py > benchmarks/results/silicon_decisions.txt

The record (NIR paper, task 2, `speck_accuracy.npy`): 95.4 % of the 10,000 test recordings, where Sinabs' float network
has 98.5 %. I2E_DEPLOY_DATA holds 100 of these recordings, `nmnist_small/test`, I2E_DEPLOY_RECORDS the network,
`speck2f_nmnist`. Nothing here is timed. Decisions are the output with most spikes over the recording; on a tie the
lowest class, as `Trace.decisions`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import Injection, Order, Program, Trace, get
from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, alternatives
from i2e_deploy.events.array import Events
from i2e_deploy.network import Network, read_nir
from i2e_deploy.runtime import Samples, read_samples
from i2e_deploy.runtime.float_target import run_float
from i2e_deploy.runtime.interval import wilson

#: Right of 10,000 on the chip, and of Sinabs' float network, percent: the record.
CHIP, FLOAT, RECORDED = 95.4, 98.47, 10_000
STEP_US, SEEDS = 1000, 5
ORDERS: tuple[Order, ...] = ("spread", "interleaved", "raster")


@dataclass(frozen=True, eq=False)
class Run:
    """One way to run the recordings: decisions int64 [N], ties, samples without an output, and what it is."""

    name: str
    decisions: NDArray[np.int64]
    ties: int
    silent: int


def joined(name: str, traces: Sequence[Trace]) -> Run:
    decisions = np.concatenate([trace.decisions() for trace in traces])
    return Run(name, decisions, sum(t.ties() for t in traces), sum(t.silent() for t in traces))


def in_steps(program: Program, recordings: Sequence[Events], step_us: int) -> list[Any]:
    """Each recording counted into steps."""
    return [program.in_steps(events, step_us) for events in recordings]


def chained(program: DynapcnnProgram, recordings: Sequence[Events]) -> list[Trace]:
    """In their own order, each from the states in which the last one ended: a board that nobody resets."""
    traces, states = [], None
    for events in recordings:
        traces.append(program.run_events(events, states=states, options=Injection(step_us=STEP_US)))
        states = traces[-1].states
    return traces


def runs(program: DynapcnnProgram, network: Network, samples: Samples) -> Iterator[Run]:
    """Float, time steps, events in their own order and in others, chained, and every open point."""
    recordings, steps = samples.recordings, in_steps(program, samples.recordings, STEP_US)
    yield joined("float, steps of 1 ms", [run_float(network, program, frames) for frames in steps])
    yield joined("`timestep`, steps of 1 ms", [program.run(frames) for frames in steps])
    own = Injection(step_us=STEP_US)
    yield joined("`event`, as recorded", [program.run_events(events, options=own) for events in recordings])
    yield joined("`event`, as recorded, states kept", chained(program, recordings))
    for order in ORDERS:
        options = Injection(order, STEP_US)
        yield joined(f"`event`, {order}, steps of 1 ms", [program.run(f, "event", options=options) for f in steps])
    eight = [frames[None] for frames in samples.frames]
    yield joined("`timestep`, 8 steps a recording", [program.run(frames) for frames in eight])
    for order in ORDERS:
        options = Injection(order, samples.step_us or STEP_US)
        name = f"`event`, {order}, 8 steps a recording"
        yield joined(name, [program.run(frames, "event", options=options) for frames in eight])
    for seed in range(SEEDS):
        options = Injection("shuffled", STEP_US, seed)
        name = f"`event`, shuffled, steps of 1 ms, seed {seed}"
        yield joined(name, [program.run(f, "event", options=options) for f in steps])
    for name, settled in alternatives(EventOptions(step_us=STEP_US)).items():
        yield joined(f"`event`, as recorded, {name}", [program.run_events(e, options=settled) for e in recordings])


def sign_test(more: int, fewer: int) -> float:
    """Two-sided: how likely so uneven a split is where both ways are equally likely."""
    n, k = more + fewer, min(more, fewer)
    return min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n) if n else 1.0


def table(found: Sequence[Run], labels: NDArray[np.int64]) -> None:
    reference = found[0]
    print("| run | right | 95 % interval | as float | right alone: float, this | p | ties | no output |")
    print("|---|---|---|---|---|---|---|---|")
    for run in found:
        right, count = run.decisions == labels, len(labels)
        low, high = wilson(int(right.sum()), count)
        float_right = reference.decisions == labels
        lost, won = int((float_right & ~right).sum()), int((~float_right & right).sum())
        same = int((run.decisions == reference.decisions).sum())
        print(
            f"| {run.name} | {right.sum()} of {count} | {100 * low:.1f} to {100 * high:.1f} % | {same} of {count} "
            f"| {lost}, {won} | {sign_test(lost, won):.2f} | {run.ties} | {run.silent} |"
        )


def expectation(found: Sequence[Run], labels: NDArray[np.int64]) -> None:
    """What 100 recordings can say about the record's two figures, and how far single recordings agree."""
    own = next(run for run in found if run.name == "`event`, as recorded")
    right, count = int((own.decisions == labels).sum()), len(labels)
    low, high = wilson(right, count)
    chip, floats = wilson(round(CHIP / 100 * RECORDED), RECORDED), wilson(round(FLOAT / 100 * RECORDED), RECORDED)
    print(f"\nThe chip: {CHIP} % of {RECORDED:,} ({100 * chip[0]:.1f} to {100 * chip[1]:.1f} %); "
          f"Sinabs' float: {FLOAT} % ({100 * floats[0]:.1f} to {100 * floats[1]:.1f} %)")  # fmt: skip
    verdict = "inside" if low <= CHIP / 100 <= high else "outside"
    print(f"`event` as recorded predicts {100 * low:.1f} to {100 * high:.1f} %: the chip's figure is {verdict}")
    said = "inside" if low <= FLOAT / 100 <= high else "outside"
    print(f"the float network's figure is {said} the same interval")
    per_class = [f"{int((own.decisions[labels == c] == c).sum())}/{int((labels == c).sum())}" for c in range(10)]
    print(f"right by class, `event` as recorded: {', '.join(per_class)}")
    for one, other in pairwise(found[:4]):
        moved = np.flatnonzero(one.decisions != other.decisions)
        print(f"{one.name} and {other.name} differ on {len(moved)}: {', '.join(map(str, moved))}")


def main() -> None:
    places = {name: os.environ.get(f"I2E_DEPLOY_{name}") for name in ("RECORDS", "DATA")}
    print(f"{' '.join(os.uname()[::2])}, load {os.getloadavg()[0]:.1f}; nothing here is timed")
    if missing := [name for name, place in places.items() if place is None]:
        print(f"not run: I2E_DEPLOY_{missing[0]} names no folder")
        return
    network = read_nir(Path(str(places["RECORDS"])) / "speck2f_nmnist" / "cnn_sinabs.nir")
    program = get("speck2f").lower(network)
    assert isinstance(program, DynapcnnProgram)
    samples = read_samples(Path(str(places["DATA"])) / "nmnist_small" / "test", program.input_shape, 8)
    assert samples.labels is not None
    print(f"\nSpeck2f, decisions on {len(samples.labels)} N-MNIST test recordings (network of the record first-layer)")
    found = list(runs(program, network, samples))
    table(found, samples.labels)
    expectation(found, samples.labels)


if __name__ == "__main__":
    main()
