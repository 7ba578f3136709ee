"""Every core against every limit of the profile, and its place on the chip."""

from __future__ import annotations

from collections.abc import Sequence

from i2e_deploy.chips.check import CheckReport, Finding, Slot
from i2e_deploy.chips.profile import Profile
from toy_chip.lowering import Refusal
from toy_chip.program import Core

#: What to do where a value is above its limit.
FIXES = {
    "threshold": "scale the weights up or the threshold down",
    "leak": "let the states leak less",
    "neurons": "make the layer smaller",
    "axons": "put a smaller layer before it",
    "cores": "use fewer layers: each takes a core",
}


def examine(cores: Sequence[Core], refusals: Sequence[Refusal], profile: Profile) -> CheckReport:
    """All findings. Cores are taken in order."""
    if refusals:
        findings = tuple(
            Finding("structure", r.layer, r.text, "a matrix and neurons a core", "", "error") for r in refusals
        )
        return CheckReport(profile.name, (), findings, ())
    memory, source = profile.cores[0].memory, profile.cores_source
    rows = [_finding("cores", "", len(cores), len(profile.cores), "cores", source)]
    sizes = {core.name: {"neurons": core.weight.shape[0], "axons": core.weight.shape[1]} for core in cores}
    for core in cores:
        for name, value in (("threshold", core.threshold), ("leak", core.leak)):
            limit = profile.limit(name)
            assert isinstance(limit.value, int)
            rows.append(_finding(name, core.name, value, limit.value, limit.unit, limit.source))
        for kind, used in sizes[core.name].items():
            rows.append(_finding(kind, core.name, used, memory[kind], "lines", source))
    report = CheckReport(profile.name, tuple(sizes), tuple(rows), ())
    if not report.fits:
        return report
    slots = (Slot(name, place, used, memory) for place, (name, used) in enumerate(sizes.items()))
    return CheckReport(profile.name, report.layers, report.findings, tuple(slots))


def _finding(rule: str, layer: str, value: int, limit: int, unit: str, source: str) -> Finding:
    fits = value <= limit
    return Finding(rule, layer, value, limit, unit, "ok" if fits else "error", "" if fits else FIXES[rule], source)
