"""One model on several chips: a table with a column a chip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.chips import CheckReport
    from i2e_deploy.chips.costs import Costs
    from i2e_deploy.runtime import Evaluation
    from i2e_deploy.runtime.evaluation import TargetResult

Rows = Sequence[tuple[str, Sequence[str]]]


def refuse_beside(chips: Sequence[str], given: Mapping[str, bool]) -> None:
    """Raise InputError for a chip named twice, and for options that are of one chip where several are named.

    Args:
        chips: names, as given.
        given: options by name, and whether they were given.
    """
    from i2e_deploy.errors import InputError

    if len(set(chips)) < len(chips):
        raise InputError(f"--chip {', '.join(chips)}: name each chip once")
    if asked := [name for name, there in given.items() if there]:
        raise InputError(f"{', '.join(asked)} with {len(chips)} chips: give one --chip")


def checks_beside(reports: Mapping[str, tuple[CheckReport, Costs | None]]) -> dict[str, Any]:
    """As JSON: by chip what `check` gives for it alone."""
    rows = {
        name: report.to_dict() | {"estimate": None if costs is None else costs.to_dict()}
        for name, (report, costs) in reports.items()
    }
    return {"fits": all(report.fits for report, _ in reports.values()), "chips": rows}


def print_checks(reports: Mapping[str, tuple[CheckReport, Costs | None]], out: Console) -> None:
    """Fit, layers, cores, findings and estimates side by side; then every error and warning."""
    from i2e_deploy.chips.check import said_once

    found = [report for report, _ in reports.values()]
    rows = [
        ("fits", ["yes" if report.fits else "no" for report in found]),
        ("layers", [str(len(report.layers)) for report in found]),
        ("cores", [str(len({slot.core for slot in report.placement})) if report.placement else "" for report in found]),
        ("errors", [str(len(report.errors)) for report in found]),
        ("warnings", [str(len(report.warnings)) for report in found]),
        *_figures([costs for _, costs in reports.values()]),
    ]
    _print(list(reports), rows, "", out)
    for name, (report, _) in reports.items():
        for severity, text in said_once((*report.errors, *report.warnings)):
            out.print(f"{name}: {severity}: {text}")


def evaluations_beside(results: Mapping[str, Evaluation]) -> dict[str, Any]:
    """As JSON: by chip what `evaluate` gives for it alone, and on how many decisions pairs of chips agree."""
    names = list(results)
    firsts = {name: result.results[0] for name, result in results.items()}
    pairs = [
        {"first": one, "second": other, "same": _same(firsts[one], firsts[other]), "total": firsts[one].total}
        for i, one in enumerate(names) for other in names[i + 1 :]
    ]  # fmt: skip
    return {"chips": {name: result.to_dict() for name, result in results.items()}, "agreement": pairs}


def print_evaluations(results: Mapping[str, Evaluation], out: Console) -> None:
    """A column for each chip and target."""
    columns = [(name, target, result) for name, result in results.items() for target in result.results]
    first = columns[0][1]
    activity = [target.to_dict()["per_sample"].values() for _, target, _ in columns]

    def total(key: str) -> list[str]:
        sums = [[layer[key] for layer in layers if key in layer] for layers in activity]
        return [f"{sum(values):,.1f}" if values else "not reported" for values in sums]

    what = "decisions" if first.values is None else "values"
    same = [f"{_same(t, first)} of {t.total}" for _, t, _ in columns]
    rows = [
        *_quality([result.to_dict() for result in results.values()]),
        (f"{what} as {columns[0][0]} {first.target}", same),
        ("spikes a sample", total("spikes")),
        ("synops a sample", total("synops")),
    ]
    _print([f"{name} {target.target}" for name, target, _ in columns], rows, f"{first.samples} samples", out)
    costs = _figures([result.costs for result in results.values()])
    if costs:
        _print(list(results), costs, "estimates", out)
    for name, target, result in columns:
        for remark in target.remarks:
            out.print(f"{name} {target.target}: {remark}")
        if target is result.results[0]:
            for agreement in result.agreements:
                out.print(f"{name}: {agreement}")


def _figures(costs: Sequence[Costs | None]) -> list[tuple[str, list[str]]]:
    """Estimates by name, a cell a chip."""
    by_chip = [{} if cost is None else {figure.name: str(figure) for figure in cost.figures} for cost in costs]
    names = dict.fromkeys(name for figures in by_chip for name in figures)
    return [(name, [figures.get(name, "") for figures in by_chip]) for name in names]


def _quality(evaluations: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """How right the targets are, a cell a target: accuracy, or errors of values, with the interval."""
    from i2e_deploy.reporting.tables import quality_head, quality_of

    head = quality_head(evaluations[0])
    cells = [quality_of(row, head) for evaluation in evaluations for row in evaluation["targets"].values()]
    return [(name, [column[i] for column in cells]) for i, name in enumerate(head)]


def _same(one: TargetResult, other: TargetResult) -> int:
    """Equal decisions; of values, samples (or steps) of which all values are equal."""
    if one.values is not None and other.values is not None:
        return int((one.values == other.values).all(axis=-1).sum())
    return int((one.decisions == other.decisions).sum())


def _print(heads: Sequence[str], rows: Rows, title: str, out: Console) -> None:
    from rich.table import Column

    from i2e_deploy.cli.common import new_table

    table = new_table("", *(Column(head, justify="right") for head in heads), title=title)
    for name, cells in rows:
        table.add_row(name, *cells)
    out.print(table)
