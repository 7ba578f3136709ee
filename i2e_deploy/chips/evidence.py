"""What a check says of the evidence: records of real chips, and the open points that a network touches."""

from __future__ import annotations

from collections.abc import Collection

from i2e_deploy.chips.check import Finding
from i2e_deploy.chips.profile import Profile


def evidence_findings(profile: Profile, touched: Collection[str] | None = None) -> list[Finding]:
    """At most two findings, which fail nothing: the records of this chip, and what none of them settles.

    Args:
        touched: names of the open points that matter for the network; None: all of the profile's.
    """
    findings = []
    source = f"hardware profile {profile.name}"
    where = f"`i2e-deploy profiles {profile.name}` says what each is"
    if profile.records:
        names = ", ".join(record.id for record in profile.records)
        findings.append(Finding("records of a real chip", "", names, "", "", "info", where, source))
    still_open = [point.name for point in profile.open_points if touched is None or point.name in touched]
    if still_open:
        text = f"no record settles it; {where}"
        findings.append(Finding("open on silicon", "", ", ".join(still_open), "", "", "info", text, source))
    return findings
