"""Tables of findings, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: From harmless to fatal; of several findings of one rule and layer the worst is shown.
SEVERITIES = ("ok", "info", "warning", "error")


def rule_table(findings: Sequence[Mapping[str, Any]], layers: Sequence[str]) -> list[dict[str, Any]]:
    """Findings as rows: one rule, its limit, and a cell (value, severity) a layer; rules of the network last."""
    rows: dict[str, dict[str, Any]] = {}
    for finding in findings:
        rule = rows.setdefault(finding["rule"], {"rule": finding["rule"], "cells": {}, "limits": []})
        cell, before = (number(finding["value"]), finding["severity"]), rule["cells"].get(finding["layer"])
        if before is None or SEVERITIES.index(before[1]) < SEVERITIES.index(cell[1]):
            rule["cells"][finding["layer"]] = cell
        limit = f"{number(finding['limit'])} {finding['unit']}".strip()
        if limit not in rule["limits"]:
            rule["limits"].append(limit)
    for row in rows.values():
        row["limit"] = row["limits"][0] if len(row["limits"]) == 1 else "; ".join(row["limits"])
    return sorted(rows.values(), key=lambda row: "" in row["cells"])


def kinds_of_memory(used: Iterable[Mapping[str, int]]) -> list[str]:
    """The kinds of memory that any core of a placement has (`Slot.used`): cores of a chip need not be alike."""
    return list(dict.fromkeys(kind for words in used for kind in words))


def number(value: Any) -> str:
    """A whole number with separators of thousands; all else as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def layers_of(evaluation: Mapping[str, Any]) -> list[str]:
    """Layers that any target of an evaluation (`Evaluation.to_dict`) reports, those of the fullest target first."""
    reported = [target["per_sample"] for target in evaluation["targets"].values()]
    return list(dict.fromkeys(layer for row in sorted(reported, key=len, reverse=True) for layer in row))
