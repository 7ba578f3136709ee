"""An evaluation on several targets, and a check on several chips, as JUnit XML, which every CI server shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from i2e_deploy.chips import CheckReport
from i2e_deploy.chips.rules import Rule, code_of
from i2e_deploy.runtime.agreement import least_agreement
from i2e_deploy.runtime.evaluation import Evaluation


def junit_xml(
    evaluation: Evaluation, min_accuracy: float = 0.0, min_agreement: float | None = None, max_rmse: float | None = None
) -> str:
    """One test a target (its accuracy, or error of values) and one a pair (its agreement), failed beyond the limits.

    Args:
        evaluation: with or without labels; without, targets have no accuracy to fail on.
        min_accuracy: least share of right decisions, 0 to 1.
        min_agreement: least share of equal decisions, 0 to 1; None: see `least_agreement`.
        max_rmse: largest error of values; None: any.
    """
    suite = ElementTree.Element("testsuite", name="i2e-deploy evaluate")
    data, failures = evaluation.to_dict(), 0
    for name, result in data["targets"].items():
        case = ElementTree.SubElement(suite, "testcase", classname="target", name=name)
        if result["accuracy"] is not None:
            low, high = result["interval95"]
            text = f"accuracy {result['accuracy']:.4f}, 95 % interval {low:.4f} to {high:.4f}, limit {min_accuracy}"
            failures += _outcome(case, "\n".join([text, *_measured(result)]), result["accuracy"] < min_accuracy)
        elif (values := result["values"]) is not None:
            low, high = values["interval95"].get("rmse", (values["rmse"], values["rmse"]))
            text = f"RMSE {values['rmse']:.6g}, 95 % interval {low:.6g} to {high:.6g}, limit {max_rmse}; "
            text += f"MAE {values['mae']:.6g}, R2 {values['r2']}"
            failed = max_rmse is not None and values["rmse"] > max_rmse
            failures += _outcome(case, "\n".join([text, *_measured(result)]), failed)
        elif measured := _measured(result):
            failures += _outcome(case, "\n".join(measured), False)
    for pair in data["agreement"]:
        name = f"{pair['first']} and {pair['second']}"
        case = ElementTree.SubElement(suite, "testcase", classname="agreement", name=name)
        limit = least_agreement(pair["first"], pair["second"], min_agreement)
        text = f"{pair['same']} of {pair['total']} decisions equal, limit {limit}; "
        text += "every spike equal" if pair["exact"] else f"first divergence: {pair['divergence']}"
        text += f"; not compared: {', '.join(pair['not_compared'])}" if pair["not_compared"] else ""
        failures += _outcome(case, text, pair["share"] < limit)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def check_xml(reports: Mapping[str, tuple[CheckReport, Sequence[Rule]]]) -> str:
    """One suite a chip; one test a rule and layer, failed where the finding is an error.

    Args:
        reports: by chip, each with the rules of that chip, for the codes.
    """
    suites = ElementTree.Element("testsuites", name="i2e-deploy check")
    for name, (report, rules) in reports.items():
        suite, failures = ElementTree.SubElement(suites, "testsuite", name=name), 0
        for finding in report.findings:
            title = " ".join(part for part in (code_of(finding.rule, rules), finding.rule) if part)
            case = ElementTree.SubElement(suite, "testcase", classname=f"{name}.{finding.layer}".strip("."), name=title)
            failures += _outcome(case, f"{finding.severity}: {finding}", finding.severity == "error")
        suite.set("tests", str(len(suite)))
        suite.set("failures", str(failures))
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _measured(result: Mapping[str, Any]) -> list[str]:
    """Power and irregularities, one a line."""
    rails = ", ".join(f"{name} {value:.4f}" for name, value in result["power_rails_mw"].items())
    power = [] if result["power_mw"] is None else [f"power {result['power_mw']:.4f} mW ({rails})"]
    incidents = [f"{what}: {count}" for what, count in result["incidents"].items()]
    return [*power, *incidents, *result["remarks"]]


def _outcome(case: ElementTree.Element, text: str, failed: bool) -> int:
    ElementTree.SubElement(case, "failure" if failed else "system-out").text = text
    return int(failed)
