"""Two targets on the same inputs: on how many samples they decide alike, and where they part first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from i2e_deploy.chips.trace import Trace
from i2e_deploy.moved import find
from i2e_deploy.runtime.comparison import Difference, compare
from i2e_deploy.runtime.interval import wilson
from i2e_deploy.text import said


@dataclass(frozen=True, eq=False)
class Agreement:
    """Two targets on the same inputs.

    Args:
        first, second: their names.
        same: samples with the same decision.
        total: samples.
        divergence: where the spikes of a layer that both report part first; None where every spike was equal.
        unseen: layers that were not compared, as one of the two does not report them.
    """

    first: str
    second: str
    same: int
    total: int
    divergence: Difference | None
    unseen: tuple[str, ...] = ()

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
        }


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
