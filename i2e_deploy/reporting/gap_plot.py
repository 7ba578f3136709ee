"""Plot of how far converted pictures are from recordings, one row of bars a statistic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from i2e_deploy.conversion.gap import STATISTICS, Row
from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.requirements import install_command

#: Kind of image file.
PlotKind = Literal["png", "svg", "pdf"]
#: Okabe and Ito's palette: told apart by colour-blind readers and in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def save_gap_plot(
    results: Sequence[tuple[str, float, list[Row]]], path: Path | str, kind: PlotKind = "png", most: int = 4
) -> None:
    """Draw log2(synthetic / recorded) of every statistic for the first `most` results; 0 is no gap.

    Args:
        results: (name, gap, rows) from `datasets.recording_gap.compare_with_recordings`.
        path: image to write.
        kind: `"png"`, `"svg"` or `"pdf"`.
        most: how many results are drawn.

    Raises:
        InputError: another kind.
        MissingDependency: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("matplotlib", "plots", install_command("matplotlib")) from None
    if kind not in get_args(PlotKind):
        raise InputError(f"plot is of kind {kind!r}: give a name ending in .png, .svg or .pdf")
    shown = results[:most]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    names = [STATISTICS.get(row.name, row.name) for row in shown[0][2]]
    height = 0.8 / len(shown)
    for index, (name, gap, rows) in enumerate(shown):
        values = [np.log2(r.synthetic / r.recorded) if r.synthetic > 0 and r.recorded > 0 else 0 for r in rows]
        places = np.arange(len(rows)) + (index - (len(shown) - 1) / 2) * height
        axes.barh(places, values, height, color=COLOURS[index % len(COLOURS)], label=f"{name} ({2**gap:.2f}x)")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("log2(synthetic / recorded): 0 = alike, 1 = twice as much, -1 = half")
    axes.legend(fontsize="small", title="sensor preset (mean factor)", title_fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130, format=kind)
