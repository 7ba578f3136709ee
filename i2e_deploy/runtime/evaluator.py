"""The same inputs on several targets: what each makes of them, and where they part.

With labels this is hardware-in-the-loop evaluation; without (a recorded live session) it is agreement and stability.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import Injection, Program, Trace
from i2e_deploy.chips.base import SPREAD
from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.trace import Integers, Power
from i2e_deploy.errors import InputError
from i2e_deploy.runtime.comparison import Difference, compare
from i2e_deploy.runtime.evaluation import check_labels, wilson


@dataclass(frozen=True, eq=False)
class TargetResult:
    """What one target did.

    Args:
        target: its name.
        decisions: int64 [N].
        activity: totals per layer of what the target counts, see `Trace.activity`.
        milliseconds: float64 [batches], wall time a sample, batch by batch.
        unseen: layers that the target does not report.
        power: where the target measures it, else None.
        incidents: what went otherwise than asked, counted.
    """

    target: str
    decisions: NDArray[np.int64]
    activity: dict[str, dict[str, int]]
    milliseconds: NDArray[np.float64]
    unseen: tuple[str, ...] = ()
    power: Power | None = None
    incidents: Mapping[str, int] = field(default_factory=dict)

    def accuracy(self, labels: NDArray[np.int64]) -> tuple[int, tuple[float, float]]:
        """Right decisions, and the 95 % interval of their share."""
        right = int((self.decisions == labels).sum())
        return right, wilson(right, len(labels))

    @property
    def stability(self) -> float:
        """Share of samples whose decision is that of the sample before: 1 = never changes (for streams)."""
        if len(self.decisions) < 2:
            return 1.0
        return float((self.decisions[1:] == self.decisions[:-1]).mean())


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two targets on the same inputs.

    Args:
        first, second: their names.
        same: samples with the same decision.
        interval: 95 % interval of that share.
        exact: whether every spike of every layer that both report was equal.
        divergence: where they part first; None if `exact`.
        unseen: layers that were not compared, as one of the two does not report them.
    """

    first: str
    second: str
    same: int
    interval: tuple[float, float]
    exact: bool
    divergence: Difference | None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class HilEvaluation:
    """All targets on all samples.

    Args:
        labels: int64 [N] or None.
        total: N.
        semantics: of the simulator.
        sample_seconds: time that a sample's input takes on a board; 0: not known.
        costs: what the program is expected to cost, where that was asked for.
    """

    results: tuple[TargetResult, ...]
    agreements: tuple[Agreement, ...]
    labels: NDArray[np.int64] | None
    total: int
    semantics: str = "timestep"
    sample_seconds: float = 0.0
    costs: Costs | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; counts are per sample."""
        return {
            "samples": self.total,
            "semantics": self.semantics,
            "sample_seconds": self.sample_seconds,
            "estimate": None if self.costs is None else self.costs.to_dict(),
            "targets": {result.target: self._target(result) for result in self.results},
            "agreement": [
                {
                    "first": a.first,
                    "second": a.second,
                    "same": a.same,
                    "share": a.same / self.total,
                    "interval95": list(a.interval),
                    "exact": a.exact,
                    "divergence": None if a.exact else str(a.divergence),
                    "not_compared": list(a.unseen),
                }
                for a in self.agreements
            ],
        }

    def _target(self, result: TargetResult) -> dict[str, Any]:
        right, interval = (None, None) if self.labels is None else result.accuracy(self.labels)
        return {
            "correct": right,
            "accuracy": None if right is None else right / self.total,
            "interval95": None if interval is None else list(interval),
            "stability": result.stability,
            "latency_ms": {f"p{q}": float(np.percentile(result.milliseconds, q)) for q in (50, 99)},
            "power_mw": None if result.power is None else 1e3 * result.power.total_w,
            "power_rails_mw": {n: 1e3 * w for n, w in (result.power.rails_w if result.power else {}).items()},
            "per_sample": {
                layer: {key: value / self.total for key, value in counts.items()}
                for layer, counts in result.activity.items()
            },
            "not_reported": list(result.unseen),
            "incidents": dict(result.incidents),
        }


def evaluate_targets(
    program: Program,
    frames: Integers,
    labels: NDArray[np.int64] | None,
    targets: Sequence[str],
    semantics: str = "timestep",
    batch_size: int = 50,
    progress: Callable[[int, int], None] | None = None,
    injection: Injection = SPREAD,
) -> HilEvaluation:
    """Run every sample on every target, batch by batch, each from a fresh state.

    Args:
        frames: integers [N, T, C, H, W].
        labels: int64 [N], or None for a stream without.
        targets: of `Program.targets`, the first is what the others are compared with first.
        progress: called with (batches done, batches in all).
        injection: how frames become events where a target takes events, and the duration of a step.

    Raises:
        InputError: no samples, labels that do not fit, a target that is not there or named twice.
    """
    if not len(frames) or (labels is not None and len(labels) != len(frames)):
        raise InputError(f"{len(frames)} samples and {0 if labels is None else len(labels)} labels: give one a sample")
    if not targets or len(set(targets)) != len(targets):
        raise InputError(f"targets {list(targets)}: name at least one, each once")
    starts = range(0, len(frames), batch_size)
    if "simulator" in targets:
        program.run_on("simulator", frames[:1], semantics)  # compiled before the first batch is timed
    parts: dict[str, list[_Part]] = {name: [] for name in targets}
    divergences: dict[tuple[str, str], Difference] = {}
    for done, start in enumerate(starts):
        batch = frames[start : start + batch_size]
        traces: dict[str, Trace] = {}
        for name in targets:
            began = time.perf_counter()
            trace = traces[name] = program.run_on(name, batch, semantics, injection)
            seconds = time.perf_counter() - began
            check_labels(labels, trace)
            parts[name].append(_keep(trace, 1e3 * seconds / len(batch)))
        for pair in combinations(targets, 2):
            if pair not in divergences and (found := _divergence(program, traces[pair[0]], traces[pair[1]])):
                divergences[pair] = replace(found, sample=found.sample + start)
        if progress is not None:
            progress(done + 1, len(starts))
    results = tuple(_join(name, parts[name]) for name in targets)
    pairs = combinations(results, 2)
    agreements = tuple(_agree(a, b, divergences.get((a.target, b.target)), len(frames)) for a, b in pairs)
    seconds = frames.shape[1] * injection.step_us * 1e-6
    return HilEvaluation(results, agreements, labels, len(frames), semantics, seconds)


def agreement_of(
    program: Program, traces: Mapping[str, Trace], seconds: Mapping[str, float], total: int, sample_seconds: float
) -> HilEvaluation:
    """The same as `evaluate_targets` of traces in `event` semantics that are there already, without labels.

    Args:
        traces: by target, `total` samples each.
        seconds: wall time of each run.
        sample_seconds: time that a sample's input takes.
    """
    results = tuple(_join(name, [_keep(trace, 1e3 * seconds[name] / total)]) for name, trace in traces.items())
    agreements = tuple(
        _agree(a, b, _divergence(program, traces[a.target], traces[b.target]), total)
        for a, b in combinations(results, 2)
    )
    return HilEvaluation(results, agreements, None, total, "event", sample_seconds)


@dataclass(frozen=True, eq=False)
class _Part:
    """What is kept of one batch on one target."""

    decisions: NDArray[np.int64]
    milliseconds: float
    activity: dict[str, dict[str, int]]
    unseen: tuple[str, ...]
    power: Power | None
    incidents: Mapping[str, int]


def _keep(trace: Trace, milliseconds: float) -> _Part:
    unseen = tuple(trace.unseen.values())
    return _Part(trace.decisions(), milliseconds, trace.activity(), unseen, trace.power, trace.incidents)


def _divergence(program: Program, expected: Trace, actual: Trace) -> Difference | None:
    """The first difference in what both report, counted in steps."""
    names = {f"layer{i}": name for i, name in enumerate(program.layer_names)}
    shared = {label: name for label, name in names.items() if name in expected.spikes and name in actual.spikes}
    first, second = (
        {**{label: t.spikes[name] for label, name in shared.items()}, "output": t.output} for t in (expected, actual)
    )
    differences = compare(first, second, names)
    return differences[0] if differences else None


def _join(name: str, parts: list[_Part]) -> TargetResult:
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
    decisions = np.concatenate([part.decisions for part in parts])
    milliseconds = np.array([part.milliseconds for part in parts])
    return TargetResult(name, decisions, activity, milliseconds, parts[0].unseen, power, dict(incidents))


def _agree(first: TargetResult, second: TargetResult, divergence: Difference | None, total: int) -> Agreement:
    same = int((first.decisions == second.decisions).sum())
    unseen = tuple(dict.fromkeys((*first.unseen, *second.unseen)))
    return Agreement(first.target, second.target, same, wilson(same, total), divergence is None, divergence, unseen)
