"""A picture of a real chip's spikes beside ours: one row a recording, with chip, ours, and ours less the chip's."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError, MissingDependency
from i2e_deploy.requirements import install_command


def save_chip_picture(rows: Sequence[tuple[str, NDArray[Any], NDArray[Any]]], path: Path | str) -> None:
    """Draw a PNG. Chip and ours share a scale; the difference has its own, with 0 in white.

    Args:
        rows: (title, ours, chip), counts of spikes [C, H, W]; channels are laid out as tiles.
        path: image to write.

    Raises:
        InputError: no rows, or counts that are no [C, H, W] of one shape.
        MissingDependency: matplotlib is not installed.
    """
    if not rows:
        raise InputError("there is nothing to draw: give at least one row")
    for title, ours, chip in rows:
        if ours.ndim != 3 or ours.shape != chip.shape:
            raise InputError(
                f"row {title!r} has shapes {list(ours.shape)} and {list(chip.shape)}: give equal [C, H, W]"
            )
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise MissingDependency("matplotlib", "plots", install_command("matplotlib")) from None
    figure = Figure(figsize=(9.6, 3.1 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for row, (title, ours, chip) in zip(axes, rows, strict=True):
        most = max(float(ours.max()), float(chip.max()), 1.0)
        apart = ours.astype(np.int64) - chip.astype(np.int64)
        end = max(1, int(np.abs(apart).max()))
        told = (
            (f"{title}: the chip, {int(chip.sum()):,}", chip, {"cmap": "viridis", "vmin": 0, "vmax": most}),
            (f"ours, {int(ours.sum()):,}", ours, {"cmap": "viridis", "vmin": 0, "vmax": most}),
            (f"ours less the chip: {int((apart != 0).sum()):,} differ", apart,
             {"cmap": "RdBu_r", "vmin": -end, "vmax": end}),
        )  # fmt: skip
        for axis, (text, counts, look) in zip(row, told, strict=True):
            image = axis.imshow(_tiles(counts), interpolation="nearest", **look)
            axis.set_title(text, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
            bar = figure.colorbar(image, ax=axis, shrink=0.8, ticks=MaxNLocator(6, integer=True))
            bar.ax.tick_params(labelsize=7)
    figure.savefig(path, dpi=130, format="png")


def _tiles(counts: NDArray[Any]) -> NDArray[np.float64]:
    """[C, H, W] as one image, channels side by side with a line of NaN, which is not drawn, between them."""
    channels, height, width = counts.shape
    across = ceil(sqrt(channels))
    image = np.full((ceil(channels / across) * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for channel, tile in enumerate(counts):
        y, x = divmod(channel, across)
        image[y * (height + 1) : y * (height + 1) + height, x * (width + 1) : x * (width + 1) + width] = tile
    return image
