"""`i2e-deploy explain`: what a finding of a check means, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from i2e_deploy.chips import Chip
    from i2e_deploy.chips.rules import Rule


def command(
    rule: Annotated[str, typer.Argument(help="A code, e.g. SPK010, or a finding's name; none: all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a finding of a check means, and what to do.

    With the chips that the rule is of, and the limit of each with its source.

    Example: i2e-deploy explain SPK010
    """
    from i2e_deploy.chips.registry import all_chips
    from i2e_deploy.chips.rules import load_rules
    from i2e_deploy.cli.common import print_json

    chips, _ = all_chips()
    of_chips: dict[Rule, list[Chip]] = {common: [] for common in load_rules()}
    for chip in chips.values():
        for known in chip.rules:
            of_chips.setdefault(known, []).append(chip)
    chosen = {known: on for known, on in of_chips.items() if _is_meant(known, rule)}
    if not chosen:
        _refuse(rule, list(of_chips))
    rows = [_row(known, on) for known, on in sorted(chosen.items(), key=lambda item: item[0].code)]
    if as_json:
        print_json(rows)
    elif rule:
        _print_rows(rows)
    else:
        _print_list(rows)


def _is_meant(rule: Rule, asked: str) -> bool:
    return not asked or rule.code.lower() == asked.lower() or rule.is_of(asked)


def _refuse(asked: str, rules: list[Rule]) -> None:
    from difflib import get_close_matches

    from i2e_deploy.errors import InputError

    known = [rule.code for rule in rules] + [name for rule in rules for name in rule.names]
    near = get_close_matches(asked, known, 3, 0.5)
    did_you = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    raise InputError(f"no rule {asked!r}: {did_you}`i2e-deploy explain` lists all")


def _row(rule: Rule, chips: list[Chip]) -> dict[str, Any]:
    """A rule as plain data, with its limit on each chip that has it."""
    limits = {chip.profile.name: chip.profile.limits[rule.limit] for chip in chips if rule.limit in chip.profile.limits}
    return {
        **asdict(rule),
        "chips": [chip.profile.name for chip in chips],
        "limits": {name: {"text": f"{limit} {limit.unit}", **asdict(limit)} for name, limit in limits.items()},
    }


def _print_rows(rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from i2e_deploy.cli.common import console

    out = console(wrap=True)
    for row in rows:
        chips = ", ".join(row["chips"]) or "every chip"
        out.print(Text.assemble((row["code"], "bold"), f"  {', '.join(row['names'])}  ({chips})"))
        out.print(row["text"], markup=False)
        out.print(f"What to do: {row['mend']}", markup=False)
        for name, limit in row["limits"].items():
            told = f"{name}: {limit['text']}, {limit['certainty']}, {limit['source']}"
            out.print(told, markup=False)


def _print_list(rows: list[dict[str, Any]]) -> None:
    from i2e_deploy.cli.common import console, new_table

    table = new_table("code", "findings", "what is looked at")
    for row in rows:
        table.add_row(row["code"], ", ".join(row["names"]), row["text"])
    console(wrap=True).print(table)
