"""`i2e-deploy compare`: are two traces the same, and if not, where? And: what did a real chip give, beside ours?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from i2e_deploy.cli.records import compare_record
from i2e_deploy.errors import InputError

if TYPE_CHECKING:
    from i2e_deploy.runtime.comparison import Difference, EventDifference


def command(
    expected: Annotated[Path | None, typer.Argument(help="A trace (.npz), as `simulate` writes it.")] = None,
    actual: Annotated[Path | None, typer.Argument(help="The trace to hold against it.")] = None,
    record: Annotated[
        str, typer.Option(help="Instead: what a real chip gave beside ours, by the name that `profiles CHIP` lists.")
    ] = "",
    chip: Annotated[str, typer.Option(help="--record: whose record; default: the first chip that has it.")] = "",
    semantics: Annotated[str, typer.Option(help="--record: of our run; default: that of the chip itself.")] = "",
    records: Annotated[
        Path | None, typer.Option(envvar="I2E_DEPLOY_RECORDS", help="--record: folder of the records.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(envvar="I2E_DEPLOY_DATA", help="--record: folder of the recordings that went in.")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="--record: PNG to write, chip, ours and difference.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two traces, and name the first difference.

    Every spike of every layer and every state that the first one holds. Exits with 1 where they differ and names the
    first sample, step and neuron of each layer, or the first event. A trace of `simulate --target float` holds the
    float network: compare it with that of the integers to see, layer by layer, what they lose.

    With --record the network and input of a public record run on our simulator, and the table shows what a real chip
    gave beside ours. Records are other people's and not part of this program; docs/silicon.md says where they are.

    Example: i2e-deploy compare trace.npz other_trace.npz
    """
    if record:
        if expected is not None:
            raise InputError(f"{expected}: --record compares with a real chip; leave the traces out")
        compare_record(record, chip, semantics, (records, data), picture, as_json)
        return
    if actual is None or expected is None:
        raise InputError("give two traces (.npz) to compare, or --record NAME for what a real chip gave")
    if picture is not None or chip or semantics:
        raise InputError("--picture, --chip and --semantics are of --record; leave them out")
    _compare(expected, actual, as_json)


def _compare(expected: Path, actual: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from i2e_deploy.cli.common import console, print_json
    from i2e_deploy.errors import CheckFailed
    from i2e_deploy.files import read_arrays
    from i2e_deploy.runtime.comparison import compare, compare_events

    wanted, got = read_arrays(expected), read_arrays(actual)
    if not wanted:
        raise InputError(f"{expected} holds no array: write a trace with `i2e-deploy simulate`")
    if missing := [name for name in wanted if name not in got or wanted[name].dtype.names != got[name].dtype.names]:
        raise CheckFailed(f"{actual} holds {', '.join(got)}: {', '.join(missing)} of the same kind is missing")
    events = {name: array for name, array in wanted.items() if array.dtype.names}
    parted = (compare_events(name, array, got[name]) for name, array in events.items())
    differences: list[Difference | EventDifference] = [found for found in parted if found]
    differences += compare({name: array for name, array in wanted.items() if name not in events}, got, {})
    values = sum(array.size for array in wanted.values())
    if as_json:
        print_json({
            "exact": not differences,
            "arrays": len(wanted),
            "values": values,
            "differences": [asdict(difference) for difference in differences],
        })  # fmt: skip
        raise typer.Exit(1 if differences else 0)
    if differences:
        _print(differences)
        raise CheckFailed("; ".join(map(str, differences)))
    console().print(f"exact: {values:,} values in {len(wanted)} arrays agree")


def _print(differences: Sequence[Difference | EventDifference]) -> None:
    """Array by array, how far the traces are apart."""
    from rich.table import Column

    from i2e_deploy.cli.common import console, new_table
    from i2e_deploy.runtime.comparison import Difference

    heads = [Column(name, justify="right") for name in ("values", "differ", "share", "largest", "first step")]
    table = new_table("array", *heads, title="where they differ")
    for d in differences:
        if isinstance(d, Difference) and d.shapes is None:
            step = "final" if d.step is None else str(d.step)
            share = f"{100 * d.count / d.total:.3g} %"
            table.add_row(d.array, f"{d.total:,}", f"{d.count:,}", share, f"{d.largest:g}", step)
    if table.row_count:
        console().print(table)
