"""The same inputs on one or several targets: what each makes of them, and where they differ first.

With labels this gives accuracies, and with a board among the targets hardware-in-the-loop evaluation; without labels (a
recorded live session) it gives agreement and stability.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.base import SPREAD, Program
from i2e_deploy.chips.integers import AnyNetwork
from i2e_deploy.chips.options import Injection, Semantics, Target
from i2e_deploy.chips.trace import Integers, Power, Trace
from i2e_deploy.chips.values import Values
from i2e_deploy.events.array import Events
from i2e_deploy.runtime.agreement import Agreement, Parting, partings
from i2e_deploy.runtime.asked import check_asked, check_chain, check_recordings, check_values, refuse_silence
from i2e_deploy.runtime.comparison import Difference
from i2e_deploy.runtime.evaluation import OWN_ORDER, Evaluation, TargetResult
from i2e_deploy.runtime.gathering import Part, Task, divergence, gather, keep
from i2e_deploy.runtime.regression import errors_of
from i2e_deploy.runtime.spread import Spread, spread_over


def evaluate(
    program: Program,
    frames: Integers,
    labels: NDArray[Any] | None = None,
    targets: Sequence[Target] = ("simulator",),
    semantics: Semantics = "timestep",
    batch_size: int = 50,
    progress: Callable[[int, int], None] | None = None,
    injection: Injection = SPREAD,
    network: AnyNetwork | None = None,
    recordings: Sequence[Events] = (),
    chain: bool = False,
    spread: Spread | None = None,
    values: Values | None = None,
) -> Evaluation:
    """Run every sample on every target, batch by batch, each from a fresh state, or from where the last one ended.

    Args:
        frames: integers [N, T, C, H, W].
        labels: int64 [N], below the number of output neurons, where each step decides also [N, T]; of a regression
            floats [N, V], where each step gives values [N, T, V]; None for a stream without.
        targets: of `Program.targets`, or `float`; the first is what the others are compared with first.
        semantics: of the simulator, see `Program.run`.
        batch_size: samples that run together.
        progress: called with (samples done, samples in all) after each batch.
        injection: how frames become events where a target takes events, and the duration of a step.
        network: what the program was made of, for the target `float`.
        recordings: the same samples as events in pixels of the input, the first at 0: where the semantics has times of
            its own they run in place of the frames, in their own order and at their own times, one by one (but for
            `float`). A step of theirs is as long as their last event and T of `frames` make it.
        chain: samples run one after the other and keep the states, as on a board that nobody resets.
        spread: over processes or machines, which changes nothing but the times; None: here.
        values: what the outputs of a regression mean; None: they are classes.

    Raises:
        InputError: no samples, labels that do not fit, a target named twice, or with labels an output that is silent on
            every sample where spikes decide (`Program.deciding`).
        UnsupportedError: a target that the program does not have, or that resets its states with `chain`; `float`
            without a float network; or with `spread` a target that is not a simulation, or `chain`.
        MissingDependency: the software of a target is not installed.
    """
    check_asked(frames, labels, targets)
    check_values(program, labels, targets, values)
    if chain:
        check_chain(targets)
        batch_size = 1
    timed = bool(recordings) and semantics != "timestep"
    if timed:
        check_recordings(recordings, frames)
        batch_size = 1
    task = Task(program, frames, labels, tuple(targets), semantics, batch_size, injection, network,
                tuple(recordings) if timed else (), chain, values)  # fmt: skip
    gathered = gather(task, progress) if spread is None else spread_over(task, spread, progress)
    results = tuple(_join(name, gathered.parts[name], labels) for name in targets)
    for result in results if labels is not None else ():
        refuse_silence(result, program)
    sample_seconds = frames.shape[1] * injection.step_us * 1e-6
    order = "" if semantics == "timestep" else OWN_ORDER if timed else f"{injection.order}, in the steps of frames"
    pairs = _pairs(results, gathered.divergences, gathered.apart)
    return Evaluation(results, pairs, len(frames), semantics, sample_seconds, order=order, chained=chain)


def evaluate_traces(
    program: Program, traces: Mapping[str, Trace], seconds: Mapping[str, float], sample_seconds: float,
    semantics: Semantics = "event",
) -> Evaluation:  # fmt: skip
    """The same as `evaluate` of traces that are there already, without labels.

    Args:
        traces: by target, with the same samples.
        seconds: wall time of each run.
        sample_seconds: time that a sample's input takes.
    """
    results = tuple(_join(name, [keep(trace, seconds[name])], None) for name, trace in traces.items())
    found = {pair: divergence(program, traces, pair) for pair in combinations(traces, 2)}
    apart = {(a, b): partings(program.layer_names, traces[a], traces[b]) for a, b in found}
    agreements = _pairs(
        results, {pair: difference for pair, difference in found.items() if difference is not None}, apart
    )
    return Evaluation(results, agreements, results[0].samples, semantics, sample_seconds)


def _join(name: str, parts: Sequence[Part], labels: NDArray[Any] | None) -> TargetResult:
    found = [part.values for part in parts if part.values is not None]
    values = np.concatenate(found) if found else None
    activity: dict[str, dict[str, int]] = {}
    incidents: Counter[str] = Counter()
    power: Power | None = None
    for part in parts:
        incidents.update(part.incidents)
        power = part.power if power is None else power if part.power is None else power + part.power
        for layer, counts in part.activity.items():
            total = activity.setdefault(layer, {})
            for key, value in counts.items():
                total[key] = total.get(key, 0) + value
    return TargetResult(
        target=name,
        decisions=np.concatenate([part.decisions for part in parts]),
        classes=parts[0].classes,
        labels=labels,
        activity=activity,
        milliseconds=np.array([1e3 * part.seconds / len(part.decisions) for part in parts]),
        seconds=sum(part.seconds for part in parts),
        unseen=parts[0].unseen,
        power=power,
        incidents=dict(incidents),
        ties=sum(part.ties for part in parts),
        silent=sum(part.silent for part in parts),
        quiet=tuple(name for name in parts[0].quiet if all(name in part.quiet for part in parts)),
        late=tuple(name for name in parts[0].late if all(name in part.quiet for part in parts)),
        values=values,
        errors=None if values is None or labels is None else errors_of(values, np.asarray(labels, np.float64)),
    )


def _same(a: TargetResult, b: TargetResult) -> int:
    """How often both decide alike; of values, how often all of them are equal."""
    if a.values is not None and b.values is not None:
        return int((a.values == b.values).all(axis=-1).sum())
    return int((a.decisions == b.decisions).sum())


def _counted(found: Difference | None, layers: Mapping[str, Parting]) -> Difference | None:
    """The first difference with the count over all batches."""
    parting = None if found is None else layers.get(found.label or found.array)
    return found if found is None or parting is None else replace(found, count=parting.differing, total=parting.values)


def _pairs(
    results: Sequence[TargetResult],
    divergences: Mapping[tuple[str, str], Difference],
    apart: Mapping[tuple[str, str], Mapping[str, Parting]],
) -> tuple[Agreement, ...]:
    return tuple(
        Agreement(
            first=a.target,
            second=b.target,
            same=_same(a, b),
            total=a.decisions.size,
            divergence=_counted(divergences.get((a.target, b.target)), apart.get((a.target, b.target), {})),
            unseen=tuple(dict.fromkeys((*a.unseen, *b.unseen))),
            layers=apart.get((a.target, b.target), {}),
        )
        for a, b in combinations(results, 2)
    )
