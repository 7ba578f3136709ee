"""`compare --record NAME`: a table and a picture of what a real chip gave beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.runtime.records import RecordReplay


def compare_record(
    name: str, chip: str, semantics: str, folders: tuple[Path | None, Path | None], picture: Path | None, as_json: bool
) -> None:
    """Run a record again, and print or draw it.

    Args:
        folders: of the records, and of the recordings that went in.

    Raises:
        InputError: see `replay_record`; or a picture of a record without counts of neurons.
        MissingDependency: matplotlib is not installed.
    """
    from i2e_deploy.cli.common import console, print_json, working
    from i2e_deploy.files import replacing
    from i2e_deploy.reporting.chip_picture import save_chip_picture
    from i2e_deploy.runtime.records import replay_record

    with working(f"running {name} again"):
        found = replay_record(name, *folders, chip, semantics)
    if picture is not None:
        if not found.drawn:
            raise InputError(f"--picture {picture}: the record {name} has no counts of neurons to draw; leave it out")
        with replacing(picture) as temporary:
            save_chip_picture(found.drawn, temporary)
    if as_json:
        print_json(found.to_dict() | ({} if picture is None else {"picture": str(picture)}))
        return
    _print(found)
    if picture is not None:
        console().print(f"wrote {picture}")


def _print(found: RecordReplay) -> None:
    from rich.table import Column

    from i2e_deploy.cli.common import console, new_table

    out, record = console(), found.record
    heads = [Column(text, justify="right") for text in ("values", "chip", "ours", "differ", "by, at most")]
    table = new_table("", *heads, title=f"{record.id}: {record.chip} beside {found.chip}, semantics {found.semantics}")
    for row in found.rows:
        totals = [f"{int(side.sum()):,}" if row.counts else "" for side in (row.chip, row.ours)]
        table.add_row(row.title, f"{row.ours.size:,}", *totals, f"{row.differing:,}", f"{row.largest:,}")
    out.print(table)
    for line in found.totals():
        out.print(line)
    out.print(f"compared: {record.compared}")
    out.print(f"source: {record.source}")
