"""What a check says: findings, the placement of layers on cores, and whether the network fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from i2e_deploy.errors import CheckFailed

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

    def __str__(self) -> str:
        where = f"layer {self.layer!r}" if self.layer else "network"
        value, limit = (f"{v:,}" if isinstance(v, int) else str(v) for v in (self.value, self.limit))
        text = f"{where}: {self.rule} is {value}, limit {limit} {self.unit}".rstrip()
        return f"{text}; {self.fix}" if self.fix else text


@dataclass(frozen=True)
class Slot:
    """One layer on one core: words used and words there, by kind of memory."""

    layer: str
    core: int
    used: Mapping[str, int]
    available: Mapping[str, int]


@dataclass(frozen=True)
class CheckReport:
    """All findings of one network on one chip. `placement` is empty when the layers cannot be placed."""

    chip: str
    layers: tuple[str, ...]
    findings: tuple[Finding, ...]
    placement: tuple[Slot, ...]

    @property
    def fits(self) -> bool:
        """True when no finding is an error."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that keep the network off the chip."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings to look at before deploying."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def raise_if_unfit(self) -> None:
        """Raise CheckFailed naming every error; do nothing when the network fits."""
        if self.errors:
            raise CheckFailed(f"the network does not fit {self.chip}: " + " | ".join(map(str, self.errors)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"fits": self.fits, **asdict(self)}
