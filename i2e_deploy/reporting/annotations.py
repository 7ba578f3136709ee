"""A check as lines that GitHub shows beside the change: workflow commands, one a finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from i2e_deploy.chips import CheckReport, Finding
from i2e_deploy.chips.rules import Rule, code_of

#: What GitHub calls them; findings that pass are no annotation.
LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def github_lines(report: CheckReport, file: str, rules: Sequence[Rule] = ()) -> Iterator[str]:
    """Errors, warnings and what concerns the whole network, as `::error file=...,title=...::text`.

    Source of the form: GitHub's documentation, "Workflow commands for GitHub Actions".

    Args:
        report: of one chip.
        file: that was checked, as it stands in the repository.
        rules: of that chip, for the codes.
    """
    for finding in report.findings:
        if finding.severity in ("error", "warning") or (finding.severity == "info" and not finding.layer):
            title = " ".join([report.chip, code_of(finding.rule, rules), finding.rule]).replace("  ", " ")
            yield f"::{LEVELS[finding.severity]} file={_property(file)},title={_property(title)}::{_text(finding)}"


def _text(finding: Finding) -> str:
    return _escaped(str(finding))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
