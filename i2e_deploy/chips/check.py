"""What a check says: findings, the placement of layers on cores, and whether the network fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from i2e_deploy.errors import CheckFailed
from i2e_deploy.network.graph import Note
from i2e_deploy.text import aligned, counted, listed, record_repr, said

Severity = Literal["ok", "info", "warning", "error"]


@dataclass(frozen=True)
class Finding:
    """One rule applied to one layer (or to the whole network, `layer = ""`)."""

    rule: str
    layer: str
    value: int | float | str
    limit: int | float | str
    unit: str
    severity: Severity
    fix: str = ""
    source: str = ""

    __repr__ = record_repr

    def __str__(self) -> str:
        where = f"layer {self.layer!r}" if self.layer else "network"
        value, limit = (f"{v:,}" if isinstance(v, int) else str(v) for v in (self.value, self.limit))
        joined = f": {value}" if " " in value else f" is {value}"  # a value of several words is a clause of its own
        limited = f"{where}: {self.rule}{joined}, limit {limit} {self.unit}".rstrip()
        text = f"{where}: {self.rule}: {value}" if self.limit == "" else limited
        return f"{text}; {self.fix}" if self.fix else text


def said_once(findings: Iterable[Finding]) -> list[tuple[Severity, str]]:
    """Severity and text of findings, in order; those that say the same of several layers once, with their names."""
    groups: dict[Finding, list[str]] = {}
    for finding in findings:
        groups.setdefault(replace(finding, layer=""), []).append(finding.layer)
    texts = []
    for finding, layers in groups.items():
        if len(layers) == 1 or "" in layers:
            text = str(replace(finding, layer=layers[0]))
        else:
            text = str(finding).replace("network", f"layers {listed([repr(layer) for layer in layers])}", 1)
        texts.append((finding.severity, text))
    return texts


def note_findings(notes: Sequence[Note]) -> list[Finding]:
    """What the reader of a network noted, as findings: every chip's check begins with them."""
    return [Finding("note", n.layer, n.text, "", "", "warning" if n.doubtful else "info") for n in notes]


@dataclass(frozen=True)
class Slot:
    """One layer on one core: words used and words there, by kind of memory."""

    layer: str
    core: int
    used: Mapping[str, int]
    available: Mapping[str, int]

    __repr__ = record_repr


@dataclass(frozen=True)
class CheckReport:
    """All findings of one network on one chip. `placement` is empty when the layers cannot be placed."""

    chip: str
    layers: tuple[str, ...]
    findings: tuple[Finding, ...]
    placement: tuple[Slot, ...]

    def __repr__(self) -> str:
        return said(self, self._verdict())

    def __str__(self) -> str:
        """The verdict, errors, warnings, then what every layer takes of its core."""
        found = aligned((finding.severity, finding) for finding in (*self.errors, *self.warnings))
        kinds = [kind.replace("_", " ") for kind in self.placement[0].used] if self.placement else []
        rows = [
            (slot.layer, slot.core, *(f"{used:,} of {slot.available[kind]:,}" for kind, used in slot.used.items()))
            for slot in self.placement
        ]
        placed = aligned([("layer", "core", *kinds), *rows], right=range(1, 2 + len(kinds))) if rows else ""
        return "\n".join(part for part in (self._verdict(), found, placed) if part)

    @property
    def fits(self) -> bool:
        """True when no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings because of which the network does not fit."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings to look at before deploying."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def _verdict(self) -> str:
        verdict = f"fits {self.chip}" if self.fits else f"does not fit {self.chip}"
        counts = (len(self.layers), "layer"), (len(self.errors), "error"), (len(self.warnings), "warning")
        return ", ".join([verdict, *(counted(number, word) for number, word in counts)])

    def raise_if_unfit(self) -> None:
        """Raise CheckFailed naming every error; do nothing when the network fits."""
        if self.errors:
            raise CheckFailed(f"the network does not fit {self.chip}: " + " | ".join(map(str, self.errors)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"fits": self.fits, **asdict(self)}
