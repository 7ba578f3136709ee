"""What commands say of power, load and latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from i2e_deploy.chips.costs import Costs

#: Help of the option `--power-coefficients`.
COEFFICIENTS_HELP = "DYNAP-CNN: energy per operation of your board, as `calibrate-power` wrote it."


def print_costs(costs: Costs, out: Console) -> None:
    """Figures with their certainty and sources, the load of every core, and what no figure stands for."""
    from rich.table import Table

    out.print(f"estimate, {costs.basis}; certainty in brackets")
    for figure in costs.figures:
        out.print(f"  {figure.name}: {figure} [{figure.certainty}: {'; '.join(dict.fromkeys(figure.sources))}]")
    if costs.loads:
        table = Table("layer", "core", "synops/s", "limit", "load", "mean delay us", "largest", "events/s in", "out")
        for row in costs.loads:
            table.add_row(
                row.layer, str(row.core), f"{row.synops_per_s:,.0f}", f"{row.limit:,.0f} [{row.certainty}]",
                f"{100 * row.load:.1f} %", f"{row.mean_delay_us:.2f}", f"{row.largest_delay_us:.2f}",
                f"{row.events_in_per_s:,.0f}", f"{row.events_out_per_s:,.0f}",
            )  # fmt: skip
        out.print(table)
        for source in dict.fromkeys(row.source for row in costs.loads):
            out.print(f"  limit of synaptic operations a second: {source}")
        for row in costs.loads:
            if row.load > 1:
                out.print(f"  layer {row.layer!r} is more work than core {row.core} can do: delays grow with the input")
    for text in costs.unknown:
        out.print(f"  not known: {text}")
