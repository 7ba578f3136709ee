"""Tables of findings, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: From harmless to fatal; of several findings of one rule and layer the worst is shown.
SEVERITIES = ("ok", "info", "warning", "error")
#: Rows of a placement core by core.
MOST_ROWS = 40


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


@dataclass(frozen=True)
class PlacedRow:
    """A row of a placement: a layer's core, or how many it has; words used and there by kind of memory."""

    layer: str
    place: str
    words: Mapping[str, tuple[int, int]]


def placement_rows(placement: Sequence[Mapping[str, Any]]) -> list[PlacedRow]:
    """A row a core; where that is more than `MOST_ROWS`, a row a layer with its fullest core of each kind of memory.

    Args:
        placement: as `CheckReport.to_dict` has it.
    """
    layers: dict[str, list[tuple[Any, dict[str, tuple[int, int]]]]] = {}
    for slot in placement:
        words = {kind: (used, slot["available"][kind]) for kind, used in slot["used"].items()}
        layers.setdefault(slot["layer"], []).append((slot["core"], words))
    if len(placement) <= MOST_ROWS:
        return [PlacedRow(layer, str(core), words) for layer, slots in layers.items() for core, words in slots]
    rows = []
    for layer, slots in layers.items():
        fullest: dict[str, tuple[int, int]] = {}
        for _, words in slots:
            for kind, used in words.items():
                fullest[kind] = max(used, fullest.get(kind, used))
        own = {core for core, _ in slots}
        others = {core for name, each in layers.items() if name != layer for core, _ in each} - own
        # The first and the last of many equal ones stand for all between them that are of no other layer.
        cores = max(own) - min(own) + 1 - sum(min(own) < core < max(own) for core in others)
        rows.append(PlacedRow(layer, f"{cores:,} cores, the fullest", fullest))
    return rows


def number(value: Any) -> str:
    """A whole number with separators of thousands; all else as it is."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def scaled(value: float) -> str:
    """Three digits and a prefix: 9,386,667 is 9.39 M; below a thousand as it is."""
    for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{prefix}"
    return f"{value:.3g}"


def layers_of(evaluation: Mapping[str, Any]) -> list[str]:
    """Layers that any target of an evaluation (`Evaluation.to_dict`) reports, those of the fullest target first."""
    reported = [target["per_sample"] for target in evaluation["targets"].values()]
    return list(dict.fromkeys(layer for row in sorted(reported, key=len, reverse=True) for layer in row))


#: Columns that say how right a target is, of classes and of values.
CLASSES, VALUES = ("accuracy", "95 % interval"), ("RMSE", "95 % interval", "MAE", "R2")


def quality_head(evaluation: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns for an evaluation (`Evaluation.to_dict`)."""
    return VALUES if any(row.get("values") for row in evaluation["targets"].values()) else CLASSES


def quality_of(row: Mapping[str, Any], head: Sequence[str]) -> list[str]:
    """The cells of a target (`TargetResult.to_dict`) under these columns."""
    if tuple(head) == CLASSES:
        accuracy = "no labels" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f} %"
        pair = row["interval95"]
        return [accuracy, "" if pair is None else f"{100 * pair[0]:.2f} to {100 * pair[1]:.2f}"]
    if (values := row.get("values")) is None:
        return ["no targets", *[""] * (len(head) - 1)]
    pair = values["interval95"].get("rmse")
    r2 = "" if values["r2"] is None else f"{values['r2']:.4f}"
    return [f"{values['rmse']:.4g}", "" if pair is None else f"{pair[0]:.4g} to {pair[1]:.4g}",
            f"{values['mae']:.4g}", r2]  # fmt: skip
