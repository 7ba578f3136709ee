"""`i2e-deploy audit`: which recordings show pictures of another data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2e_deploy.cli.recordings import NOTHING_SAID, Reading, takes_recordings

if TYPE_CHECKING:
    from i2e_deploy.datasets.overlap import Overlap

#: Matches that are shown.
SHOWN = 10


@takes_recordings
def command(
    recordings: Annotated[Path, typer.Argument(help="Folder of event files, of any depth.")],
    pictures: Annotated[str, typer.Argument(help="Folder tree, .zip, .tar or .parquet of pictures.")],
    out: Annotated[
        Path | None, typer.Option(help="Write all best matches here: recording, picture, lead, declared.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many recordings, evenly spread; 0 = all.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    reading: Reading = NOTHING_SAID,
) -> None:
    """Find recordings that show pictures of another set.

    A network that was trained on pictures is no longer tested on recordings of the same pictures. Each recording is
    compared with each picture by the edges that its events draw; how the sensor moved is found on the way. A match is
    declared where the best picture leads by as much as the shown one must. It exits with 1 where any is.

    Nothing declared is no proof: recordings that were not all made with one motion match nothing.

    Example: i2e-deploy audit nmnist/test mnist.zip --out matches.csv
    """
    from i2e_deploy.cli.common import print_json, progress_bar
    from i2e_deploy.datasets.overlap import find_overlap
    from i2e_deploy.datasets.sources import open_source
    from i2e_deploy.errors import CheckFailed, InputError
    from i2e_deploy.events.formats import SUFFIXES

    if not recordings.is_dir():
        raise InputError(f"{recordings} is no folder: give a folder of recordings")
    names = sorted(
        path.relative_to(recordings).as_posix() for path in recordings.rglob("*") if path.suffix.lower() in SUFFIXES
    )
    if not names:
        raise InputError(f"{recordings}: no recordings there; they end in {', '.join(SUFFIXES)}")
    if limit and limit < len(names):
        names = [names[i * len(names) // limit] for i in range(limit)]
    source = open_source(pictures)
    with progress_bar("auditing", None) as advance:
        found = find_overlap(
            recordings, names, source, source.names(), reading.read,
            lambda what, done, total: advance(done, f"{what}, of {total}"),
        )  # fmt: skip
    if out is not None:
        _write(found, out)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if count := int(found.declared.sum()):
        raise CheckFailed(f"{count} of {len(found.recordings)} recordings show pictures of {pictures}")


def _write(found: Overlap, out: Path) -> None:
    """Every recording with its best picture, as CSV, whole or not at all."""
    import csv

    from i2e_deploy.files import replacing

    with replacing(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("recording", "picture", "lead", "declared"))
        for i, name in enumerate(found.recordings):
            row = (name, found.pictures[found.best[i]], f"{found.lead[i]:.4f}", int(found.declared[i]))
            writer.writerow(row)


def _print(found: Overlap) -> None:
    from rich.table import Column

    from i2e_deploy.cli.common import console, new_table

    out, matches = console(), found.matches
    for name, why in found.skipped[:SHOWN]:
        console(stderr=True).print(f"left out: {name}: {why}", style="yellow")
    if len(found.skipped) > SHOWN:
        console(stderr=True).print(f"left out: {len(found.skipped)} files in all", style="yellow")
    if matches:
        table = new_table("recording", "picture", Column("lead", justify="right"))
        for recording, picture, lead in matches[:SHOWN]:
            table.add_row(recording, picture, f"{lead:.2f}")
        out.print(table)
    total = len(found.recordings)
    out.print(
        f"{len(matches)} of {total} recordings show one of {len(found.pictures):,} pictures: their best leads by more "
        f"than {found.threshold:.2f} of what the shown one would"
    )
    out.print(
        f"wrong ones to expect: {found.decoys} of {total} second best pictures would have been declared; pictures on "
        f"{100 * found.scale:.0f} % of the sensor's side"
    )
