"""What `check --board` and `check --picture` add."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from i2e_deploy.chips import AnyNetwork, CheckReport, Chip, LowerOptions, Program
    from i2e_deploy.chips.costs import Costs


def on_board(
    report: CheckReport, chip: Chip, network: AnyNetwork, program: Program | None, options: LowerOptions, board: str
) -> CheckReport:
    """The check with what a board of several chips adds; as it is where no board is named.

    Raises:
        InputError, UnsupportedError: no such board, or a chip that no board has several of.
    """
    from i2e_deploy.chips.abilities import SpreadsOverBoards, require

    if not board:
        return report
    spreads = require(chip, SpreadsOverBoards, "--board")
    if not report.layers:
        return report  # it cannot be lowered, as the check says
    lowered = chip.lower(network, options) if program is None else program
    return replace(report, findings=(*report.findings, *spreads.board_findings(lowered, board)))


def draw_placement(report: CheckReport, chip: Chip, costs: Costs | None, path: Path | None) -> None:
    """Write the picture, whole or not at all; None: no picture is wanted.

    Raises:
        InputError: nothing was placed, or another suffix.
    """
    from i2e_deploy.errors import InputError
    from i2e_deploy.files import replacing
    from i2e_deploy.reporting.placement_picture import placed_layers, placement_svg

    if path is None:
        return
    if path.suffix != ".svg":
        raise InputError(f"--picture {path}: the picture is an .svg file")
    work = None if costs is None else {name: row["synops"] for name, row in costs.activity.items()}
    layers = placed_layers(report.to_dict()["placement"], work)
    title = f"{chip.profile.title}: {sum(layer.cores for layer in layers):,} cores (estimate)"
    text = placement_svg(layers, len(chip.profile.cores), title)
    with replacing(path) as new:
        new.write_text(text, encoding="utf-8")
