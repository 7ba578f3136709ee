"""A picture of a training: figures by epoch, and what was taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.files import replacing
from i2e_deploy.reporting.gap_plot import COLOURS
from i2e_deploy.requirements import need
from i2e_deploy.text import cut

#: By the beginning of a column's name: how its line is called, and drawn.
_LINES = (
    ("train", "training, augmented", COLOURS[5], "--"),
    ("test", "test, float", COLOURS[0], "-"),
    ("chip", "test, on the chip's integers", COLOURS[1], "-"),
)
#: Classes whose counts are written into the squares, and longest name of one, characters.
WRITTEN, LONGEST = 20, 14


def save_training_plot(
    rows: Sequence[Mapping[str, Any]],
    path: Path,
    confusion: NDArray[np.int64] | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Draw the learning curve, and beside it the confusion matrix where there is one.

    Args:
        rows: of `metrics.csv`, one an epoch, one at least.
        path: a PNG to write.
        confusion: int64 [classes, classes], row = label, column = decision.
        classes: names, by number.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    need({"matplotlib": "matplotlib"}, "plots")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5 if confusion is not None else 6, 4.8), layout="constrained")
    parts = figure.subplots(1, 2 if confusion is not None else 1, squeeze=False)[0]
    _curve(parts[0], rows)
    if confusion is not None:
        _confusion(parts[1], confusion, classes)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")


def _curve(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    name = next(name for name in ("accuracy", "rmse") if f"test_{name}" in rows[0])
    scale = 100 if name == "accuracy" else 1
    epochs = [row["epoch"] for row in rows]
    for part, title, colour, style in _LINES:
        values = [scale * row[f"{part}_{name}"] for row in rows if f"{part}_{name}" in row]
        if len(values) == len(rows):
            shown = f"{title} ({values[-1]:.1f} %)" if scale == 100 else f"{title} ({values[-1]:.4g})"
            axes.plot(epochs, values, style, color=colour, label=shown, marker=".")
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %" if name == "accuracy" else "RMSE")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", title="in brackets: last epoch", title_fontsize="small")
    axes.spines[["top", "right"]].set_visible(False)


def _confusion(axes: Any, confusion: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Rows as shares of their label; every count is written where there is room."""
    total = np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(confusion / total, cmap="Blues", vmin=0, vmax=1)
    places = np.arange(len(confusion))
    if len(confusion) <= WRITTEN:
        names = [cut(name, LONGEST) for name in classes] or [str(place) for place in places]
        axes.set_xticks(places, names, rotation=0 if max(map(len, names)) <= 2 else 60)
        axes.set_yticks(places, names)
        for row, column in zip(*np.nonzero(confusion), strict=True):
            dark = confusion[row, column] > 0.5 * total[row, 0]
            axes.text(
                column, row, str(confusion[row, column]), ha="center", va="center", fontsize=8,
                color="white" if dark else "black",
            )  # fmt: skip
    right = confusion.trace() / max(confusion.sum(), 1)
    axes.set_title(
        f"{100 * right:.1f} % of {confusion.sum()} test samples right, chip's integers, last epoch", fontsize=10
    )
    axes.set_xlabel("decision")
    axes.set_ylabel("label")
