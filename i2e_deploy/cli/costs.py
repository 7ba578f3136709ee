"""What commands say of power, load and latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.chips.costs import Costs

#: Help of the option `--power-coefficients`.
COEFFICIENTS_HELP = "DYNAP-CNN: energy per operation of your board, as `calibrate-power` wrote it."


def print_costs(costs: Costs, out: Console) -> None:
    """Figures with certainty, and the load of every core. Sources never change: the report and JSON have them."""
    from i2e_deploy.chips.costs import how_certain

    out.print(f"estimate, {costs.basis}; in brackets how certain a figure is")
    for figure in costs.figures:
        out.print(f"  {figure.name}: {figure} [{how_certain(figure.certainty)}]")
    if costs.loads:
        _print_loads(costs, out)
        out.print(f"  limits [{how_certain(costs.loads[0].certainty)}]")
    for row in costs.loads:
        if row.load > 1:
            out.print(f"  layer {row.layer!r} is more work than core {row.core} can do: delays grow with the input")
    left = " and what no figure covers" if costs.unknown else ""
    out.print(f"  sources{left}: in the report of a bundle, and with --json")


def _print_loads(costs: Costs, out: Console) -> None:
    from rich.table import Column

    from i2e_deploy.cli.common import new_table

    def short(value: float) -> str:
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

    figures = ("core", "synops", "limit", "load %", "mean", "largest", "in", "out")
    columns = (Column(name, justify="right", no_wrap=True) for name in figures)
    title = "cores: M synops/s; delay from stimulus to end of work, us; k events/s"
    table = new_table(Column("layer", no_wrap=True), *columns, title=title)
    for row in costs.loads:
        table.add_row(
            row.layer, str(row.core), short(row.synops_per_s / 1e6), f"{row.limit / 1e6:g}", short(100 * row.load),
            short(row.mean_delay_us), short(row.largest_delay_us),
            short(row.events_in_per_s / 1e3), short(row.events_out_per_s / 1e3),
        )  # fmt: skip
    out.print(table)
