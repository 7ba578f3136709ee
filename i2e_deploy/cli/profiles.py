"""`i2e-deploy profiles`: what is known of each chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.chips.profile import Profile


def command(
    name: Annotated[str | None, typer.Argument(help="A chip: show every limit of it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the chips, or every limit of one with its source.

    Example: i2e-deploy profiles speck2f
    """
    from i2e_deploy.chips import get
    from i2e_deploy.chips.registry import all_chips
    from i2e_deploy.cli.common import console, new_table, print_json

    chips, broken = ({name: get(name)}, {}) if name else all_chips()
    for problem in broken.values():
        console(stderr=True).print(f"left out: {problem}")
    chosen = [chip.profile for chip in chips.values()]
    if as_json:
        print_json([asdict(profile) for profile in chosen])
        return
    out = console(wrap=True)
    if name is None:
        table = new_table("name", "chip", "family", "cores", "version")
        for profile in chosen:
            table.add_row(profile.name, profile.title, profile.family, str(len(profile.cores)), profile.version)
        out.print(table)
        return
    _print_profile(chosen[0], out)


def _print_profile(profile: Profile, out: Console) -> None:
    """Limits with the number of their source, costs, cores, records, open points, sources, errata."""
    from rich.table import Column

    from i2e_deploy.cli.common import new_table
    from i2e_deploy.reporting.tables import number

    sources = {source: str(i) for i, source in enumerate(dict.fromkeys(_sources(profile)), 1)}
    name, value = Column("limit", no_wrap=True), Column("value", justify="right")
    table = new_table(name, value, "unit", "certainty", "source", title=profile.title)
    for key, limit in profile.limits.items():
        told = number(limit.value) if isinstance(limit.value, int) else str(limit)
        table.add_row(key, told, limit.unit, limit.certainty, sources[limit.source])
    out.print(table)
    if profile.estimates:
        low, high = (Column(word, justify="right") for word in ("low", "high"))
        table = new_table(
            Column("cost", no_wrap=True), low, high, "unit", "certainty", "measured on", "source", title="costs"
        )
        for key, cost in profile.estimates.items():
            on = cost.measured_on or "no chip of this kind"
            table.add_row(key, f"{cost.low:,g}", f"{cost.high:,g}", cost.unit, cost.certainty, on, sources[cost.source])
        out.print(table)
    if profile.cores:
        kinds = list(dict.fromkeys(kind for core in profile.cores for kind in core.memory))
        title = f"words of memory (source {sources[profile.cores_source]})"
        table = new_table("core", *(Column(kind, justify="right") for kind in kinds), title=title)
        for memory, alike in groupby(profile.cores, lambda core: core.memory):
            cores = [core.index for core in alike]
            which = str(cores[0]) if len(cores) == 1 else f"{cores[0]} to {cores[-1]}"
            table.add_row(which, *(number(memory.get(kind, "none")) for kind in kinds))
        out.print(table)
    if profile.published:
        out.print("\npublished figures", style="bold")
    for each in profile.published:
        out.print(f"{each.text} [{each.certainty}, source {sources[each.source]}]", markup=False)
    _print_evidence(profile, sources, out)
    out.print("\nsources", style="bold")
    for source, place in sources.items():
        out.print(f"{place:>2}  {source}")
    if profile.errata:
        out.print("\nerrata", style="bold")
    for erratum in profile.errata:
        out.print(f"{erratum.id}: {erratum.text} To do: {erratum.workaround} (source {sources[erratum.source]})")


def _print_evidence(profile: Profile, sources: Mapping[str, str], out: Console) -> None:
    """The records of real chips with what they settle, and the points that are open."""
    if profile.records:
        out.print("\nrecords of real chips", style="bold")
    for record in profile.records:
        out.print(f"{record.id}: {record.chip}, source {sources[record.source]}. {record.compared}.", markup=False)
        out.print(f"  {record.figure}", markup=False)
        if record.settles:
            out.print(f"  settles: {'; '.join(record.settles)}", markup=False)
    if profile.open_points:
        out.print("\nopen: neither a public text nor a record settles it", style="bold")
    for point in profile.open_points:
        out.print(f"{point.name}: {point.text}", markup=False)


def _sources(profile: Profile) -> list[str]:
    """Where limits, cores, costs, published figures, records and errata come from, in the order of the tables."""
    cores = [profile.cores_source] if profile.cores else []
    costs = [*(x.source for x in profile.estimates.values()), *(x.source for x in profile.published)]
    records, errata = [x.source for x in profile.records], [x.source for x in profile.errata]
    return [*(x.source for x in profile.limits.values()), *cores, *costs, *records, *errata]
