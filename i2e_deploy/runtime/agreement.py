"""The same inputs on several targets: what each makes of them, and where they part.

With labels this is hardware-in-the-loop evaluation; without (a recorded live session) it is agreement and stability.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import Program, Trace
from i2e_deploy.chips.trace import Integers, LayerCounts
from i2e_deploy.errors import InputError
from i2e_deploy.runtime.compare import Difference, compare
from i2e_deploy.runtime.evaluate import per_sample, wilson
from i2e_deploy.runtime.targets import run_on


@dataclass(frozen=True, eq=False)
class TargetResult:
    """What one target did.

    Args:
        target: its name.
        decisions: int64 [N].
        counts: totals per layer.
        milliseconds: float64 [batches], wall time a sample, batch by batch.
        power_mw: mean power where the target measures it, else None.
    """

    target: str
    decisions: NDArray[np.int64]
    counts: dict[str, LayerCounts]
    milliseconds: NDArray[np.float64]
    power_mw: float | None = None

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
        exact: whether every spike of every layer was equal.
        divergence: where they part first; None if `exact`.
    """

    first: str
    second: str
    same: int
    interval: tuple[float, float]
    exact: bool
    divergence: Difference | None


@dataclass(frozen=True, eq=False)
class HilEvaluation:
    """All targets on all samples; `labels` int64 [N] or None."""

    results: tuple[TargetResult, ...]
    agreements: tuple[Agreement, ...]
    labels: NDArray[np.int64] | None
    total: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; counts are per sample."""
        return {
            "samples": self.total,
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
            "power_mw": result.power_mw,
            "per_sample": per_sample(result.counts, self.total),
        }


def evaluate_targets(
    program: Program,
    frames: Integers,
    labels: NDArray[np.int64] | None,
    targets: Sequence[str],
    semantics: str = "timestep",
    batch_size: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> HilEvaluation:
    """Run every sample on every target, batch by batch, each from a fresh state.

    Args:
        frames: integers [N, T, C, H, W].
        labels: int64 [N], or None for a stream without.
        targets: names of `runtime.targets.TARGETS`, the first is what the others are compared with first.
        progress: called with (batches done, batches in all).

    Raises:
        InputError: no samples, labels that do not fit, a target that is not there or named twice.
    """
    if not len(frames) or (labels is not None and len(labels) != len(frames)):
        raise InputError(f"{len(frames)} samples and {0 if labels is None else len(labels)} labels: give one a sample")
    if not targets or len(set(targets)) != len(targets):
        raise InputError(f"targets {list(targets)}: name at least one, each once")
    starts = range(0, len(frames), batch_size)
    parts: dict[str, list[tuple[NDArray[np.int64], dict[str, LayerCounts], float]]] = {name: [] for name in targets}
    divergences: dict[tuple[str, str], Difference] = {}
    for done, start in enumerate(starts):
        batch = frames[start : start + batch_size]
        traces: dict[str, Trace] = {}
        for name in targets:
            began = time.perf_counter()
            trace = traces[name] = run_on(name, program, batch, semantics)
            seconds = time.perf_counter() - began
            parts[name].append((trace.decisions(), dict(trace.counts), 1e3 * seconds / len(batch)))
        for pair in combinations(targets, 2):
            if pair not in divergences and (found := _divergence(program, traces[pair[0]], traces[pair[1]])):
                divergences[pair] = replace(found, sample=found.sample + start)
        if progress is not None:
            progress(done + 1, len(starts))
    results = tuple(_join(name, parts[name]) for name in targets)
    pairs = combinations(results, 2)
    agreements = tuple(_agree(a, b, divergences.get((a.target, b.target)), len(frames)) for a, b in pairs)
    return HilEvaluation(results, agreements, labels, len(frames))


def _divergence(program: Program, expected: Trace, actual: Trace) -> Difference | None:
    names = {f"layer{i}": name for i, name in enumerate(program.layer_names)}
    differences = compare(expected.arrays(), actual.arrays(), names)
    return differences[0] if differences else None


def _join(name: str, parts: list[tuple[NDArray[np.int64], dict[str, LayerCounts], float]]) -> TargetResult:
    counts: dict[str, LayerCounts] = {}
    for _, part, _ in parts:
        for layer, count in part.items():
            counts[layer] = counts[layer] + count if layer in counts else count
    decisions = np.concatenate([decisions for decisions, _, _ in parts])
    return TargetResult(name, decisions, counts, np.array([ms for _, _, ms in parts]))


def _agree(first: TargetResult, second: TargetResult, divergence: Difference | None, total: int) -> Agreement:
    same = int((first.decisions == second.decisions).sum())
    return Agreement(first.target, second.target, same, wilson(same, total), divergence is None, divergence)
