"""The pictures of a report, each an SVG string inside the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers
from i2e_deploy.reporting.tables import scaled

#: Colours of a pixel: none, OFF, ON, both.
EVENT_COLOURS = ("#ffffff", "#0072b2", "#d55e00", "#6b46c1")
BAR, BAR2, OVER, INK = "#2c5282", "#b7791f", "#9b2c2c", "#1a202c"
#: Neurons shown per layer in a raster; the most active ones.
RASTER_NEURONS = 60
#: A mark grows with its message, and none is larger than that of so many spikes.
LARGEST_MARK = 9


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def event_frames(images: NDArray[np.uint8], frames: Integers) -> str:
    """Rows of one image [H, W] beside its event frames [T, 2, H, W]; frames hold OFF in channel 0, ON in 1."""
    rows, steps = frames.shape[:2]
    figure = Figure(figsize=(1.15 * (steps + 1), 1.22 * rows + 0.25))
    axes = figure.subplots(rows, steps + 1, squeeze=False)
    colours = ListedColormap(EVENT_COLOURS)
    for row in range(rows):
        axes[row, 0].imshow(images[row], cmap="gray", vmin=0, vmax=255)
        for step in range(steps):
            off, on = frames[row, step, 0] > 0, frames[row, step, 1] > 0
            axes[row, step + 1].imshow(off + 2 * on, cmap=colours, vmin=0, vmax=3, interpolation="nearest")
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        for spine in axis.spines.values():
            spine.set_color("#cbd5e0")
    for column, axis in enumerate(axes[0]):
        axis.set_title("image" if column == 0 else f"step {column}", fontsize=8, color=INK)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.06)
    return _svg(figure)


def confusion(matrix: Integers) -> str:
    """Counts [classes, classes]; row = label, column = decision. The diagonal is not coloured, the errors are."""
    classes = len(matrix)
    wrong = matrix.astype(float).copy()
    np.fill_diagonal(wrong, 0)
    figure = Figure(figsize=(4.6, 4.2))
    axis = figure.subplots()
    axis.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1.0, wrong.max() * 1.5))
    for row, column in np.argwhere(matrix > 0):
        weight = "bold" if row == column else "normal"
        axis.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8, weight=weight, color=INK)
    axis.set(xticks=range(classes), yticks=range(classes))
    axis.set_xlabel("decision", color=INK)
    axis.set_ylabel("label", color=INK)
    return _svg(figure)


def activity(per_sample: Mapping[str, Mapping[str, float]]) -> str:
    """Spikes and synaptic operations per sample and layer, as two bar charts."""
    names = list(per_sample)
    figure = Figure(figsize=(10, 0.5 + 0.42 * len(names)))
    for axis, key, colour, title in zip(
        figure.subplots(1, 2, sharey=True),
        ("spikes", "synops"),
        (BAR, BAR2),
        ("spikes per sample", "synaptic operations per sample"),
        strict=True,
    ):
        values = [per_sample[name][key] for name in names]
        axis.barh(range(len(names)), values, color=colour)
        for row, value in enumerate(values):
            axis.text(value, row, f" {value:,.0f}", va="center", fontsize=8, color=INK)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.xaxis.set_major_formatter(lambda value, _: scaled(value))
        axis.set_yticks(range(len(names)), names, parse_math=False)
        axis.set(xlim=(0, max(values) * 1.25 or 1))
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_title(title, fontsize=9, color=INK)
        axis.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def loads(rows: Sequence[Mapping[str, Any]]) -> str:
    """Load of every core in percent of what it can do, with a line at 100 %; rows as in `Costs.loads`."""
    percent = [100 * float(row["load"]) for row in rows]
    figure = Figure(figsize=(10, 0.7 + 0.34 * len(rows)))
    axis: Any = figure.subplots()
    axis.barh(range(len(rows)), percent, color=[OVER if value > 100 else BAR for value in percent], height=0.7)
    end = max(112.0, 1.18 * max(percent))
    for place, value in enumerate(percent):
        axis.text(value + 0.005 * end, place, f"{value:.3g} %", va="center", fontsize=8, color=INK)
    axis.axvline(100, color=OVER, linewidth=1.2, linestyle="--")
    axis.text(100, -0.75, "all that a core can do", ha="center", va="bottom", fontsize=8, color=OVER)
    axis.set_yticks(range(len(rows)), [f"{row['layer']} on core {row['core']}" for row in rows], parse_math=False)
    axis.set(xlim=(0, end), ylim=(len(rows) - 0.5, -0.7))
    axis.set_xlabel("load, % of the time that the core is busy", fontsize=8, color=INK)
    axis.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def raster(spikes: Mapping[str, Integers]) -> str:
    """Messages of one sample: per layer the most active neurons over the steps, negative ones in the second colour.

    Args:
        spikes: [T, C, H, W] by layer: spikes, counts of them, or values with a sign.
    """
    names = list(spikes)
    figure = Figure(figsize=(12, 3.2))
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    for axis, name in zip(axes, names, strict=True):
        counts = spikes[name].reshape(len(spikes[name]), -1).astype(np.int64)
        sent = np.abs(counts)
        shown = np.sort(np.argsort(-sent.sum(0), kind="stable")[:RASTER_NEURONS])
        step, row = np.nonzero(sent[:, shown])
        values = counts[:, shown][step, row]
        size = 10 * np.sqrt(np.abs(values) / max(1.0, sent.max(initial=0) / LARGEST_MARK))
        axis.scatter(step + 1, row, s=size, marker="|", c=np.where(values < 0, BAR2, BAR), linewidths=1.2)
        ticks = range(1, len(counts) + 1, max(1, len(counts) // 8))
        axis.set(xlim=(0.5, len(counts) + 0.5), ylim=(-1, len(shown)), xticks=ticks, yticks=[])
        below = ", orange: below 0" if (values < 0).any() else ""
        title = f"layer {name}\n{len(shown)} of {counts.shape[1]} neurons{below}"
        axis.set_title(title, fontsize=8, color=INK, parse_math=False)
        axis.set_xlabel("step", fontsize=8, color=INK)
        axis.spines[["top", "right"]].set_visible(False)
    return _svg(figure)


def rates(steps: Sequence[float], published: float | None) -> str:
    """Share of pixels that fire in each step, in percent, beside the authors' mean."""
    figure = Figure(figsize=(4.6, 2.2))
    axis: Any = figure.subplots()
    axis.bar(range(1, len(steps) + 1), steps, color=BAR, width=0.7)
    mean = float(np.mean(steps))
    axis.axhline(mean, color=INK, linewidth=1, label=f"mean {mean:.2f} %")
    if published is not None:
        axis.axhline(published, color=BAR2, linewidth=1, linestyle="--", label=f"authors {published:.2f} %")
    axis.set(ylim=(0, max(steps) * 1.35), xticks=range(1, len(steps) + 1))
    axis.set_xlabel("step", fontsize=8, color=INK)
    axis.set_ylabel("pixels that fire, %", fontsize=8, color=INK)
    axis.legend(fontsize=8, frameon=False, loc="upper center", ncols=2)
    axis.spines[["top", "right"]].set_visible(False)
    return _svg(figure)
