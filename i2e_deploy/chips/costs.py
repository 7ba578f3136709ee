"""What a network is expected to cost on a chip: power, energy, load, latency, in the same words for all chips.

No figure here was measured by this project. Each says how certain it is: `record` where others measured it on a chip
of this kind, `documented`, `inferred` or `unverified` as in the profiles, or `calibrated` where it rests on readings of
the user's own board. What rests on no measurement of that chip is marked so in every table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from i2e_deploy.chips.profile import Published
from i2e_deploy.text import aligned, counted, record_repr, said

#: Certainties behind which a measurement of this kind of chip stands.
MEASURED = ("record", "calibrated")
#: The unit that is a thousandth of a unit: no text says 0.04 mW.
SMALLER = {"mW": "uW", "uW": "nW", "mJ": "uJ", "uJ": "nJ", "nJ": "pJ", "ms": "us", "us": "ns"}


def how_certain(certainty: str) -> str:
    """`certainty` as tables print it: marked where no measurement of this chip stands behind it."""
    return certainty if certainty in MEASURED else f"{certainty}, no measurement of this chip"


@dataclass(frozen=True)
class Figure:
    """One expected figure, from `low` to `high` of `unit` (equal where nobody gives a range).

    As text it is in a unit that fits.
    """

    name: str
    low: float
    high: float
    unit: str
    certainty: str
    sources: tuple[str, ...]

    __repr__ = record_repr

    def __str__(self) -> str:
        low, high, unit = self.low, self.high, self.unit
        while 0 < high < 1 and unit in SMALLER:
            low, high, unit = 1000 * low, 1000 * high, SMALLER[unit]
        texts = [f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in (low, high)]
        return f"{' to '.join(dict.fromkeys(texts))} {unit}"


@dataclass(frozen=True)
class CoreLoad:
    """One layer on its core, means over the samples.

    Args:
        core: its number.
        synops_per_s: synaptic operations a second of the input's time.
        limit: the same, at most.
        load: share of the time that the core is busy; above 1 it cannot keep up.
        mean_delay_us, largest_delay_us: from a stimulus to the end of its work in this core.
        events_in_per_s, events_out_per_s: events that reach the core and spikes that leave it.
        certainty, source: of the limit.
    """

    layer: str
    core: int
    synops_per_s: float
    limit: float
    load: float
    mean_delay_us: float
    largest_delay_us: float
    events_in_per_s: float
    events_out_per_s: float
    certainty: str
    source: str

    __repr__ = record_repr


@dataclass(frozen=True)
class Costs:
    """What is expected of a run.

    Args:
        basis: what was run, in a sentence.
        samples: samples that it rests on.
        seconds: of the input's time, a sample; None where the chip takes the time that it needs.
        figures: power, energy, latency.
        loads: of every core; empty where the chip has no such limit.
        activity: spikes and synaptic operations a sample, by layer.
        unknown: what no figure covers, each a sentence.
        published: figures of whole chips, for comparison.
    """

    basis: str
    samples: int
    seconds: float | None
    figures: tuple[Figure, ...] = ()
    loads: tuple[CoreLoad, ...] = ()
    activity: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()

    def __repr__(self) -> str:
        parts = (self.samples, "sample"), (len(self.figures), "figure"), (len(self.loads), "core load")
        return said(self, *(counted(number, word) for number, word in parts))

    def __str__(self) -> str:
        """The figures with their certainty, the load of every core, and what is not known."""
        lines = [f"estimate, {self.basis}"]
        lines += [f"  {figure.name}: {figure} [{how_certain(figure.certainty)}]" for figure in self.figures]
        if self.loads:
            rows = [
                (load.layer, load.core, f"{load.synops_per_s / 1e6:,.1f}", f"{load.limit / 1e6:g}", f"{load.load:.0%}")
                for load in self.loads
            ]
            head = ("layer", "core", "M synops/s", "limit", "load")
            lines.append(aligned([head, *rows], right=range(1, 5)))
            lines += [f"  limits [{how_certain(text)}]" for text in dict.fromkeys(row.certainty for row in self.loads)]
        return "\n".join([*lines, *(f"  not known: {text}" for text in self.unknown)])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()} | {
            "figures": [
                asdict(figure) | {"sources": list(figure.sources), "text": str(figure)} for figure in self.figures
            ]
        }
