"""`i2e-deploy profiles`: what is known of each chip."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer


def command(
    name: Annotated[str | None, typer.Argument(help="A chip: show every limit of it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the chips, or every limit of one with its source.

    Example: i2e-deploy profiles speck2f
    """
    from rich.console import Console
    from rich.table import Table

    from i2e_deploy.chips.profile import load_profile, profile_names
    from i2e_deploy.cli.common import print_json

    chosen = [load_profile(n) for n in ([name] if name else profile_names())]
    if as_json:
        print_json([asdict(profile) for profile in chosen])
        return
    out = Console(highlight=False)
    if name is None:
        table = Table("name", "chip", "family", "cores", "version")
        for profile in chosen:
            table.add_row(profile.name, profile.title, profile.family, str(len(profile.cores)), profile.version)
        out.print(table)
        return
    (profile,) = chosen
    table = Table("limit", "value", "unit", "certainty", "source", title=profile.title)
    for key, limit in profile.limits.items():
        table.add_row(key, str(limit), limit.unit, limit.certainty, limit.source)
    out.print(table)
    if profile.estimates:
        table = Table("estimate", "low", "high", "unit", "certainty", "source", title="costs")
        for key, cost in profile.estimates.items():
            table.add_row(key, f"{cost.low:g}", f"{cost.high:g}", cost.unit, cost.certainty, cost.source)
        out.print(table)
    if profile.cores:
        kinds = list(profile.cores[0].memory)
        table = Table("core", *(f"{kind} words" for kind in kinds), title=f"cores ({profile.cores_source})")
        for core in profile.cores:
            table.add_row(str(core.index), *(f"{core.memory[kind]:,}" for kind in kinds))
        out.print(table)
    for each in profile.published:
        out.print(f"published: {each.text} [{each.certainty}: {each.source}]", markup=False)
    for erratum in profile.errata:
        out.print(f"erratum {erratum.id}: {erratum.text} {erratum.workaround} [{erratum.source}]", markup=False)
