"""How a check is told: on the terminal, to a program, to the services that run it in CI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from i2e_deploy.chips import CheckReport, Chip, Finding
    from i2e_deploy.chips.rules import Rule

FORMATS = ("text", "json", "github", "junit")
#: Colours of severities on the terminal.
COLOURS = {"ok": "", "info": "", "warning": "yellow", "error": "bold red"}
#: Columns that rule tables leave for the limit.
LIMIT_WIDTH = 26
#: A value longer than this is told in its finding, and would only widen the tables.
LONGEST_VALUE = 24


@dataclass(frozen=True)
class Output:
    """In which form a check is told, one of `FORMATS`, and whether rules that pass are too."""

    form: str
    verbose: bool

    def print(self, model: Path, checks: Sequence[tuple[CheckReport, Chip]]) -> None:
        """The forms for CI: annotations, or XML."""
        if self.form == "github":
            from i2e_deploy.reporting.annotations import github_lines

            for report, chip in checks:
                for line in github_lines(report, str(model), chip.rules):
                    print(line)
        else:
            from i2e_deploy.reporting.junit import check_xml

            print(check_xml({report.chip: (report, chip.rules) for report, chip in checks}))


def output_of(form: str, verbose: bool) -> Output:
    """What the command line asks for; InputError where there is no such form."""
    from i2e_deploy.errors import InputError

    if form not in FORMATS:
        raise InputError(f"--output-format is {form!r}: choose one of {', '.join(FORMATS)}")
    return Output(form, verbose)


def print_check(report: CheckReport, out: Console, rules: Sequence[Rule] = (), verbose: bool = False) -> None:
    """The verdict; errors, warnings and what concerns the whole network; memory a core; on demand every rule."""
    from rich.text import Text

    from i2e_deploy.text import counted

    verdict = ("fits", "bold green") if report.fits else ("does not fit", "bold red")
    counts = ((len(report.errors), "error"), (len(report.warnings), "warning"))
    out.print(Text.assemble(verdict, f" {report.chip}: ", ", ".join(counted(*count) for count in counts)))
    told = [f for f in report.findings if f.severity in ("warning", "error") or (f.severity == "info" and not f.layer)]
    for severity in ("error", "warning", "info"):
        _print_findings([f for f in told if f.severity == severity], out, rules)
    if report.placement:
        out.print(_placement(report))
    if verbose:
        _print_rules(report, out)
    elif quiet := len(report.findings) - len(told):
        out.print(f"{counted(quiet, 'finding')} more with nothing to say against them: --verbose shows all")


def _print_findings(findings: Sequence[Finding], out: Console, rules: Sequence[Rule]) -> None:
    from rich.text import Text

    from i2e_deploy.chips.check import said_once
    from i2e_deploy.chips.rules import code_of

    names = {finding.rule: code_of(finding.rule, rules) for finding in findings}
    for rule, code in names.items():
        for severity, text in said_once(finding for finding in findings if finding.rule == rule):
            colour = COLOURS[severity]
            out.print(Text.assemble((severity, colour), f" {code}" if code else "", f" {text}"))


def _placement(report: CheckReport) -> Table:
    from i2e_deploy.cli.common import new_table
    from i2e_deploy.reporting.tables import kinds_of_memory, placement_rows

    kinds = kinds_of_memory(slot.used for slot in report.placement)
    titles = (kind.replace("_", " ") for kind in kinds)
    table = new_table("layer", "core", *titles, title="used, of what a core has")
    for row in placement_rows([vars(slot) for slot in report.placement]):
        words = (f"{row.words[kind][0]:,} of {row.words[kind][1]:,}" if kind in row.words else "" for kind in kinds)
        table.add_row(row.layer, row.place, *words)
    return table


def _print_rules(report: CheckReport, out: Console) -> None:
    """Every rule against every layer, then those of the whole network."""
    from rich.table import Column
    from rich.text import Text

    from i2e_deploy.cli.common import new_table
    from i2e_deploy.reporting.tables import rule_table

    rows = [row for row in rule_table([vars(f) for f in report.findings], report.layers) if "" not in row["cells"]]
    for row in rows:
        row["cells"] = {name: (_short(value), kind) for name, (value, kind) in row["cells"].items()}
    for layers in _pages(rows, report.layers, out.width):
        columns = (Column(name, justify="right", no_wrap=True) for name in layers)
        table = new_table(Column("rule", no_wrap=True), *columns, "limit", title="rules, by layer")
        for row in rows:
            cells = [row["cells"].get(name, ("", "ok")) for name in layers]
            if any(value for value, _ in cells):
                table.add_row(row["rule"], *(Text(value, COLOURS[kind]) for value, kind in cells), row["limit"])
        out.print(table)
    for finding in report.findings:
        if finding.severity == "ok" and not finding.layer:
            out.print(f"ok {finding}", markup=False)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 3].rstrip() + "..."


def _pages(rows: Sequence[Mapping[str, Any]], layers: Sequence[str], width: int) -> list[list[str]]:
    """Layers whose columns fit a table of that width beside rule and limit, in as few tables as possible."""
    room = width - LIMIT_WIDTH - max((len(row["rule"]) for row in rows), default=0)
    pages: list[list[str]] = []
    left = 0
    for layer in layers:
        values = [len(row["cells"][layer][0]) for row in rows if layer in row["cells"]]
        needed = 2 + max([len(layer), *values])
        if not pages or needed > left:
            pages.append([])
            left = room
        pages[-1].append(layer)
        left -= needed
    return pages


def with_codes(report: CheckReport, rules: Sequence[Rule]) -> dict[str, Any]:
    """`CheckReport.to_dict`, each finding with the code of its rule."""
    from i2e_deploy.chips.rules import code_of

    data = report.to_dict()
    return {**data, "findings": [{"code": code_of(row["rule"], rules), **row} for row in data["findings"]]}
