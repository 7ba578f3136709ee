"""What an evaluation found: of each target its decisions, activity and time, and of each pair how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.costs import Costs
from i2e_deploy.chips.trace import Power
from i2e_deploy.runtime.agreement import Agreement
from i2e_deploy.runtime.interval import wilson
from i2e_deploy.runtime.regression import Errors
from i2e_deploy.runtime.vacuous import vacuous
from i2e_deploy.text import aligned, counted, said

#: `Evaluation.order` of recordings that ran as they were recorded.
OWN_ORDER = "as recorded"
#: What a table says of samples that did not start afresh.
CHAINED = "states kept from sample to sample"
#: Classes of a confusion that is told with the result, at most.
MOST_CLASSES = 100
#: Counts of updates whose result the chip's state words do not hold.
OUT_OF_WORD = ("saturations", "wraps")


@dataclass(frozen=True, eq=False)
class TargetResult:
    """What one target did.

    Args:
        target: its name.
        decisions: int64 [N], or a decision a step [N, T].
        classes: that compete.
        labels: int64 [N], with a decision a step also [N, T]; of values float64, in their shape; None: samples without.
        activity: totals per layer of what the target counts, see `Trace.activity`.
        milliseconds: float64 [batches], wall time a sample, batch by batch.
        seconds: wall time of all runs.
        unseen: layers that the target does not report.
        power: where the target measures it, else None.
        incidents: irregularities, counted by kind.
        ties: decisions between classes with equal scores: the lowest number was taken.
        silent: samples on which no output fired, where spikes decide.
        quiet: layers in which nothing fired on any sample, see `Trace.quiet_layers`.
        late: of these, whose first step comes after the last of the frames.
        values: float64 [N, V], or values a step [N, T, V], where the outputs are values and no classes.
        errors: of the values.
    """

    target: str
    decisions: NDArray[np.int64]
    classes: int
    labels: NDArray[Any] | None
    activity: dict[str, dict[str, int]]
    milliseconds: NDArray[np.float64]
    seconds: float
    unseen: tuple[str, ...] = ()
    power: Power | None = None
    incidents: Mapping[str, int] = field(default_factory=dict)
    ties: int = 0
    silent: int = 0
    quiet: tuple[str, ...] = ()
    values: NDArray[np.float64] | None = None
    errors: Errors | None = None
    late: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return said(self, self.verdict, counted(self.samples, "sample"))

    @property
    def verdict(self) -> str:
        """Its name, and its accuracy where there are labels, for people."""
        if self.errors is not None:
            return f"{self.target} RMSE {self.errors.rmse:.4g}"
        return self.target if self.accuracy is None else f"{self.target} {100 * self.accuracy:.2f} % right"

    @property
    def samples(self) -> int:
        """Samples."""
        return len(self.decisions)

    @property
    def total(self) -> int:
        """Decisions: one a sample, or one a step."""
        return self.decisions.size

    @property
    def wanted(self) -> NDArray[np.int64] | None:
        """The label of every decision, in the shape of `decisions`; None without labels, and of values."""
        if self.labels is None or self.values is not None:
            return None
        if self.labels.ndim == self.decisions.ndim:
            return self.labels
        return np.broadcast_to(self.labels.reshape(-1, *[1] * (self.decisions.ndim - 1)), self.decisions.shape)

    @property
    def correct(self) -> int | None:
        """Right decisions; None without labels."""
        return None if self.wanted is None else int((self.decisions == self.wanted).sum())

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions, 0 to 1; None without labels."""
        return None if self.correct is None else self.correct / self.total

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % confidence interval (Wilson) of the accuracy; None without labels."""
        return None if self.correct is None else wilson(self.correct, self.total)

    @property
    def confusion(self) -> NDArray[np.int64] | None:
        """int64 [classes, classes], row = label, column = decision; None without labels."""
        if self.wanted is None:
            return None
        found = np.zeros((self.classes, self.classes), np.int64)
        np.add.at(found, (self.wanted, self.decisions), 1)
        return found

    @property
    def measures(self) -> dict[str, float]:
        """How right it is, under NeuroBench's names; empty without labels."""
        if self.errors is not None:
            return self.errors.measures
        return {} if self.accuracy is None else {"ClassificationAccuracy": self.accuracy}

    @property
    def stability(self) -> float:
        """Share of decisions that are the one before: 1 = never changes (for streams); of values likewise."""
        if self.values is not None:
            rows = self.values.reshape(-1, self.values.shape[-1])
            return float((rows[1:] == rows[:-1]).all(axis=1).mean()) if len(rows) > 1 else 1.0
        row = self.decisions.reshape(-1)
        if len(row) < 2:
            return 1.0
        return float((row[1:] == row[:-1]).mean())

    @property
    def remarks(self) -> list[str]:
        """What a reader of the accuracy must know of the decisions, a line each."""
        left = {layer: sum(counts.get(word, 0) for word in OUT_OF_WORD) for layer, counts in self.activity.items()}
        beyond = [
            f"layer {layer!r}: {count} updates left the chip's state words, where a float network goes on: scale the "
            "layer down (check --input says how far)"
            for layer, count in left.items()
            if count
        ]
        return [*vacuous(self.samples, self.total, self.silent, self.ties, self.quiet, self.late), *beyond]

    @property
    def per_sample(self) -> dict[str, dict[str, float]]:
        """Means a sample of `activity`."""
        return {
            layer: {key: value / self.samples for key, value in counts.items()}
            for layer, counts in self.activity.items()
        }

    def _confusion_told(self) -> list[list[int]] | None:
        """The confusion where a page can show it."""
        return None if self.confusion is None or self.classes > MOST_CLASSES else self.confusion.tolist()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; counts are per sample."""
        return {
            "correct": self.correct,
            "accuracy": self.accuracy,
            "interval95": None if self.interval is None else list(self.interval),
            "values": None if self.errors is None else self.errors.to_dict(),
            "confusion": self._confusion_told(),
            "stability": self.stability,
            "latency_ms": {f"p{q}": float(np.percentile(self.milliseconds, q)) for q in (50, 99)},
            "power_mw": None if self.power is None else 1e3 * self.power.total_w,
            "power_rails_mw": {n: 1e3 * w for n, w in (self.power.rails_w if self.power else {}).items()},
            "per_sample": self.per_sample,
            "not_reported": list(self.unseen),
            "incidents": dict(self.incidents),
            "ties": self.ties,
            "silent": self.silent,
            "quiet": list(self.quiet),
            "remarks": self.remarks,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All targets on all samples.

    Args:
        results: of every target, in the order in which they were asked for.
        agreements: of every pair of them.
        total: samples.
        semantics: of the simulator.
        sample_seconds: time that a sample's input takes on a board; 0: not known.
        costs: what the program is expected to cost, where that was asked for.
        order: of the events, where they went in one by one; "" elsewhere.
        chained: samples ran one after the other, each from the states in which the last one ended.
        classes: names by number, where the model names them.
    """

    results: tuple[TargetResult, ...]
    agreements: tuple[Agreement, ...]
    total: int
    semantics: str = "timestep"
    sample_seconds: float = 0.0
    costs: Costs | None = None
    order: str = ""
    chained: bool = False
    classes: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float | None:
        """Share of right decisions of the first target, 0 to 1; None without labels."""
        return self.results[0].accuracy

    @property
    def how(self) -> str:
        """Semantics and order of the events, for people."""
        order = f", order of events: {self.order}" if self.order else ""
        return f"semantics {self.semantics}{order}" + (f", {CHAINED}" if self.chained else "")

    def __repr__(self) -> str:
        verdicts = [result.verdict for result in self.results]
        return said(self, counted(self.total, "sample"), f"semantics {self.semantics}", *verdicts)

    def __str__(self) -> str:
        head = ("RMSE", "95 % interval") if self.results[0].values is not None else ("accuracy", "95 % interval")
        rows = [("target", *head, "stability", "ms a sample")]
        for result in self.results:
            median = f"{np.percentile(result.milliseconds, 50):.3f}"
            rows.append((result.target, *_quality(result), f"{result.stability:.3f}", median))
        notes = [f"{r.target}: {what}: {count}" for r in self.results for what, count in r.incidents.items()]
        notes += [f"{r.target}: {remark}" for r in self.results for remark in r.remarks]
        table = aligned(rows, right=range(1, 5))
        costs = [] if self.costs is None else [str(self.costs)]
        title = f"{self.total} samples, {self.how}"
        return "\n".join([title, table, *map(str, self.agreements), *notes, *costs])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; counts are per sample."""
        return {
            "samples": self.total,
            "semantics": self.semantics,
            "order": self.order,
            "chained": self.chained,
            "classes": list(self.classes),
            "sample_seconds": self.sample_seconds,
            "estimate": None if self.costs is None else self.costs.to_dict(),
            "targets": {result.target: result.to_dict() for result in self.results},
            "agreement": [agreement.to_dict() for agreement in self.agreements],
        }


def _quality(result: TargetResult) -> tuple[str, str]:
    """How right it is, and the interval of that."""
    if (errors := result.errors) is not None:
        low, high = errors.intervals.get("rmse", (np.nan, np.nan))
        return f"{errors.rmse:.4g}", f"{low:.4g} to {high:.4g}" if np.isfinite(low) else ""
    if result.accuracy is None or result.interval is None:
        return "no labels", ""
    return f"{100 * result.accuracy:.2f} %", " to ".join(f"{100 * v:.2f}" for v in result.interval)
