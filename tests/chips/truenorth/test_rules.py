"""Every finding of the check is explained, and no rule is of findings that are gone."""

from __future__ import annotations

import ast
from pathlib import Path

import i2e_deploy.chips.truenorth
from i2e_deploy.chips import get
from i2e_deploy.chips.rules import rule_of

CHECKS = Path(i2e_deploy.chips.truenorth.__file__).parent / "checks"


def test_findings_and_rules_are_of_each_other() -> None:
    chip = get("truenorth")
    text = "".join(path.read_text(encoding="utf-8") for path in CHECKS.glob("*.py"))
    calls = [
        node
        for node in ast.walk(ast.parse(text.replace("from __future__ import annotations", "")))
        if isinstance(node, ast.Call)
    ]
    names = {
        call.args[0].value for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Finding" and isinstance(call.args[0], ast.Constant)
    }  # fmt: skip
    assert len(names) > 8
    assert all(rule_of(str(name), chip.rules) for name in names)
    assert all(name.rstrip("* ") in text for rule in chip.rules for name in rule.names)
