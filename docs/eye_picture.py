"""Draw the picture of docs/eye.md: `python docs/eye_picture.py` (needs matplotlib and pillow)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conversion_pictures import coloured, sample
from matplotlib.figure import Figure
from numpy.typing import NDArray

from i2e_deploy.chips.eye import eye_for
from i2e_deploy.chips.loihi2.eye.see import EVENTS, eye_network
from i2e_deploy.chips.loihi2.runnable import EyeProgram

FOLDER = Path(__file__).parent / "images"
RATIO = "0.12"


def main() -> None:
    picture = sample()
    program = EyeProgram(eye_network(eye_for((2, *picture.shape[:2]), RATIO)))
    trace = program.see(picture.transpose(2, 0, 1)[None])
    sent = {name: array[0] for name, array in trace.spikes.items()}
    begins = {name: int(np.flatnonzero(array.any(axis=tuple(range(1, array.ndim))))[0]) for name, array in sent.items()}
    tree = [name for name in sent if name.startswith("eye extremes")]
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    axes = figure.subplots(3, 6)
    shown: list[tuple[str, NDArray[np.integer]]] = [  # type: ignore[type-arg]
        (name.removeprefix("eye "), sent[name][begins[name], 0]) for name in list(sent)[:3]
    ]
    shown += [
        (f"{name.removeprefix('eye ')}:\nlargest", high_of(sent[name][begins[name]])) for name in (tree[0], tree[6])
    ]
    axes[0, 0].imshow(picture)
    axes[0, 0].set_title("step 0: the picture", fontsize=7)
    for axis, (title, values) in zip(axes[0, 1:], shown, strict=True):
        axis.imshow(values, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        axis.set_title(title, fontsize=7)
    for axis, name in zip(axes[0, 1:4], list(sent)[:3], strict=True):
        axis.set_aspect("equal")
        axis.set_title(f"step {begins[name]}: {axis.get_title()}", fontsize=7)
    for axis, name in zip(axes[0, 4:], (tree[0], tree[6]), strict=True):
        axis.set_title(f"step {begins[name]}: {axis.get_title()}", fontsize=7)
    draw_time(figure, axes[1, :], sent)
    first = begins[EVENTS]
    for axis, t in zip(axes[2], range(first, first + 6), strict=True):
        off, on = sent[EVENTS][t] > 0
        axis.imshow(coloured(on, off), interpolation="nearest")
        axis.set_title(f"step {t}: events, move {t - first + 1}", fontsize=7)
    for axis in (*axes[0], *axes[2]):
        axis.set_axis_off()
    figure.savefig(FOLDER / "eye.png", dpi=130)


def high_of(block: NDArray[np.integer]) -> NDArray[np.integer]:  # type: ignore[type-arg]
    """The largest level of each part of the picture: rectified difference and the other one, added."""
    return block[0] + block[1]


def draw_time(figure: Figure, row: NDArray[np.object_], sent: dict[str, NDArray[np.int32]]) -> None:
    """Messages of each population by step."""
    grid = row[0].get_gridspec()
    for axis in row:
        axis.remove()
    axis = figure.add_subplot(grid[1, :])
    counts = np.array([np.count_nonzero(array.reshape(len(array), -1), axis=1) for array in sent.values()])
    axis.imshow(np.log10(1 + counts), cmap="Greys", aspect="auto", interpolation="nearest", vmin=0, vmax=5)
    for (y, x), count in np.ndenumerate(counts):
        if count:
            text = f"{count:,}" if count < 1000 else f"{count / 1000:.1f}k"
            axis.text(x, y, text, ha="center", va="center", fontsize=5, color="white" if count > 1000 else "black")
    axis.set_yticks(range(len(sent)), [name.removeprefix("eye ") for name in sent], fontsize=6)
    axis.set_xlabel("step after the picture; in the cells how many messages a population sends", fontsize=7)
    axis.tick_params(axis="x", labelsize=7)


if __name__ == "__main__":
    main()
