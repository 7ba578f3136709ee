"""Two targets on the same inputs: on how many samples they decide alike, and where they part first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from i2e_deploy.chips.options import FLOAT, Target
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.moved import find
from i2e_deploy.runtime.comparison import Difference, compare
from i2e_deploy.runtime.interval import wilson
from i2e_deploy.text import said


@dataclass(frozen=True)
class Parting:
    """How far the outputs of one layer differ between two targets, over all samples.

    Args:
        values: numbers compared.
        differing: of these, how many differ.
        largest: largest difference of two values.
        first_step: first time step of any sample in which some differ; None: none do.
    """

    values: int
    differing: int = 0
    largest: float = 0.0
    first_step: int | None = None

    def __add__(self, other: Parting) -> Parting:
        steps = [step for step in (self.first_step, other.first_step) if step is not None]
        return Parting(
            self.values + other.values,
            self.differing + other.differing,
            max(self.largest, other.largest),
            min(steps, default=None),
        )


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two targets on the same inputs.

    Args:
        first, second: their names.
        same: samples with the same decision.
        total: decisions.
        divergence: where the spikes of a layer that both report part first; None where every spike was equal.
        unseen: layers that were not compared, as one of the two does not report them.
        layers: of each layer that both report, and of `output`, how far they differ.
    """

    first: str
    second: str
    same: int
    total: int
    divergence: Difference | None
    unseen: tuple[str, ...] = ()
    layers: Mapping[str, Parting] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether every spike of every layer that both report was equal."""
        return self.divergence is None

    @property
    def share(self) -> float:
        """Share of samples with the same decision, 0 to 1."""
        return self.same / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of that share."""
        return wilson(self.same, self.total)

    def __repr__(self) -> str:
        verdict = "every spike equal" if self.exact else "not every spike equal"
        return said(self, f"{self.first} and {self.second}", f"{self.same} of {self.total} decisions equal", verdict)

    def __str__(self) -> str:
        verdict = "every spike equal" if self.exact else f"first divergence: {self.divergence}"
        left = f"; not compared: {', '.join(self.unseen)}" if self.unseen else ""
        return f"{self.first} and {self.second}: {self.same} of {self.total} decisions equal; {verdict}{left}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "total": self.total,
            "share": self.share,
            "interval95": list(self.interval),
            "exact": self.exact,
            "divergence": None if self.exact else str(self.divergence),
            "not_compared": list(self.unseen),
            "layers": {name: asdict(parting) for name, parting in self.layers.items()},
        }


def least_agreement(first: Target, second: Target, asked: float | None = None) -> float:
    """Share of equal decisions that two targets must have: what was asked for, else all; floats are free to differ."""
    if asked is not None:
        return asked
    return 0.0 if FLOAT in (first, second) else 1.0


def partings(layer_names: Sequence[str], expected: Trace, actual: Trace) -> dict[str, Parting]:
    """How far each layer that both traces report differs, and the output, counted in steps."""
    pairs = {
        n: (expected.spikes[n], actual.spikes[n]) for n in layer_names if n in expected.spikes and n in actual.spikes
    }
    return {name: _parting(*pair) for name, pair in {**pairs, "output": (expected.output, actual.output)}.items()}


def _parting(wanted: Integers, got: Integers) -> Parting:
    if wanted.shape != got.shape:
        return Parting(wanted.size, wanted.size, float("inf"), 0)
    if np.array_equal(wanted, got):
        return Parting(wanted.size)
    unequal = wanted != got
    step = int(unequal.any(axis=(0, *range(2, unequal.ndim))).argmax())
    return Parting(
        wanted.size, int(unequal.sum()), float(np.abs(wanted[unequal].astype(np.float64) - got[unequal]).max()), step
    )


def first_divergence(layer_names: Sequence[str], expected: Trace, actual: Trace) -> Difference | None:
    """The first difference in what both traces report, counted in steps."""
    names = {f"layer{i}": name for i, name in enumerate(layer_names)}
    shared = {label: name for label, name in names.items() if name in expected.spikes and name in actual.spikes}
    first, second = (
        {**{label: t.spikes[name] for label, name in shared.items()}, "output": t.output} for t in (expected, actual)
    )
    differences = compare(first, second, names)
    return differences[0] if differences else None


def __getattr__(name: str) -> Any:
    return find(__name__, name)
