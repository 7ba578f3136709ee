"""Accuracy and activity of a program on labelled frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import Program, Trace
from i2e_deploy.chips.trace import Integers, LayerCounts
from i2e_deploy.errors import InputError

#: Standard normal quantile of a two-sided 95 % interval.
Z95 = 1.959964


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a program did on a labelled set.

    Args:
        correct, total: samples.
        interval: 95 % confidence interval (Wilson) of the accuracy.
        confusion: int64 [classes, classes], row = label, column = decision.
        counts: totals per layer.
        seconds: wall time of the runs alone.
    """

    correct: int
    total: int
    interval: tuple[float, float]
    confusion: NDArray[np.int64]
    counts: dict[str, LayerCounts]
    seconds: float

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0 to 1."""
        return self.correct / self.total

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; counts are per sample."""
        return {
            "accuracy": self.accuracy,
            "interval95": list(self.interval),
            "correct": self.correct,
            "total": self.total,
            "confusion": self.confusion.tolist(),
            "per_sample": per_sample(self.counts, self.total),
            "seconds": self.seconds,
        }


def per_sample(counts: Mapping[str, LayerCounts], total: int) -> dict[str, dict[str, float]]:
    """Means per layer of every count that adds up over samples (`peaks` does not)."""
    return {
        layer: {key: value / total for key, value in asdict(count).items() if isinstance(value, int)}
        for layer, count in counts.items()
    }


def evaluate(
    program: Program,
    frames: Integers,
    labels: NDArray[np.int64],
    semantics: str = "timestep",
    target: str = "simulator",
    batch_size: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Run every sample from a fresh state and compare decisions with labels.

    Args:
        frames: integers [N, T, C, H, W].
        labels: int64 [N], below the number of output neurons.
        progress: called with (samples done, samples in all) after each batch.

    Raises:
        InputError: no samples, or labels that do not fit the frames.
    """
    if len(frames) == 0 or len(frames) != len(labels):
        raise InputError(f"{len(frames)} samples and {len(labels)} labels: give one label a sample, at least one")
    counts: dict[str, LayerCounts] = {}
    confusion = np.zeros((0, 0), np.int64)
    start = time.perf_counter()
    for first in range(0, len(frames), batch_size):
        part = slice(first, first + batch_size)
        trace = program.run_on(target, frames[part], semantics)
        classes = trace.output.shape[2]
        check_labels(labels, trace)
        if not confusion.size:
            confusion = np.zeros((classes, classes), np.int64)
        np.add.at(confusion, (labels[part], trace.decisions()), 1)
        for name, count in trace.counts.items():
            counts[name] = counts[name] + count if name in counts else count
        if progress is not None:
            progress(min(first + batch_size, len(frames)), len(frames))
    seconds, correct, total = time.perf_counter() - start, int(np.trace(confusion)), len(frames)
    return Evaluation(correct, total, wilson(correct, total), confusion, counts, seconds)


def check_labels(labels: NDArray[np.int64] | None, trace: Trace) -> None:
    """Raise InputError unless every label is one of the classes of the output."""
    classes = trace.output.shape[2]
    if labels is not None and (labels.min() < 0 or labels.max() >= classes):
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: the network has {classes} outputs")


def wilson(correct: int, total: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927), exact enough for any count."""
    share, z2 = correct / total, Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, middle - half), min(1.0, middle + half)
