"""Draw the pictures of docs/conversion.md: `python docs/conversion_pictures.py` (needs matplotlib and pillow)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from numpy.typing import NDArray

from i2e_deploy.conversion import PRESETS, convert, frames_to_events, make_pixels, simulate
from i2e_deploy.datasets import Resize, decode_picture
from i2e_deploy.events import Events

FOLDER = Path(__file__).parent / "images"
SIDE, RATIO = 96, "0.12"
ON, OFF = np.array([213, 94, 0]), np.array([0, 114, 178])
STEPS = ("gamma 1", "gamma 2", "gamma 3", "gamma 4", "alpha 1", "alpha 2", "beta 1", "beta 2")


def sample() -> NDArray[np.uint8]:
    """Grace Hopper (public domain, shipped with matplotlib), uint8 [96, 96, 3]."""
    path = Path(str(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    return decode_picture(path.read_bytes(), Resize(SIDE))


def coloured(on: NDArray[np.bool_], off: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """White paper, ON orange, OFF blue: uint8 [H, W, 3]."""
    image = np.full((*on.shape, 3), 255, np.uint8)
    image[off], image[on] = OFF, ON
    return image


def draw_conversion(picture: NDArray[np.uint8]) -> None:
    frames = convert(picture.transpose(2, 0, 1)[None], RATIO)[0]
    figure = Figure(figsize=(9, 3.9), layout="constrained")
    axes = figure.subplots(2, 5)
    axes[0, 0].imshow(picture)
    axes[0, 0].set_title("picture", fontsize=9)
    axes[1, 0].imshow(picture.max(axis=2), cmap="gray", vmin=0, vmax=255)
    axes[1, 0].set_title("V = max(R, G, B)", fontsize=9)
    for step in range(8):
        axis = axes[step // 4, 1 + step % 4]
        axis.imshow(coloured(frames[step, 1] > 0, frames[step, 0] > 0), interpolation="nearest")
        axis.set_title(f"{STEPS[step]}: {100 * frames[step].mean():.1f} %", fontsize=9)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(FOLDER / "conversion.png", dpi=130)


def draw_realism(picture: NDArray[np.uint8]) -> None:
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots(2, len(PRESETS), height_ratios=(5, 3))
    for column, (name, sensor) in enumerate(PRESETS.items()):
        pixels, rng = make_pixels(sensor, SIDE, SIDE, seed=0), np.random.default_rng(0)
        events = simulate(picture.transpose(2, 0, 1), RATIO, sensor, rng, pixels, motion_us=10_000)
        first = events[events["t"] < 10_000]
        axes[0, column].imshow(counted(first), interpolation="nearest")
        axes[0, column].set_title(f"{name}\n{len(events):,} events", fontsize=9)
        axes[0, column].set_axis_off()
        axes[1, column].hist(events["t"] / 1000, bins=80, range=(0, 80), color="#444444")
        axes[1, column].set_xlabel("ms", fontsize=8)
        axes[1, column].tick_params(labelsize=7)
    axes[1, 0].set_ylabel("events a ms", fontsize=8)
    figure.savefig(FOLDER / "realism.png", dpi=130)


def counted(events: Events) -> NDArray[np.uint8]:
    """Events of one saccade as a picture."""
    on, off = (np.zeros((SIDE, SIDE), np.bool_) for _ in range(2))
    for plane, polarity in ((on, 1), (off, 0)):
        chosen = events[events["p"] == polarity]
        plane[chosen["y"], chosen["x"]] = True
    return coloured(on, off)


def draw_stream(picture: NDArray[np.uint8]) -> None:
    frames = convert(picture.transpose(2, 0, 1)[None], RATIO)[0]
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for axis, spread in zip(axes, ("even", "random"), strict=True):
        events = frames_to_events(frames, spread=spread, rng=np.random.default_rng(0))
        row = events[events["y"] == SIDE // 2]
        axis.scatter(row["t"] / 1000, row["x"], s=3, c=np.where(row["p"] == 1, "#d55e00", "#0072b2"))
        axis.set_title(f'row {SIDE // 2}, spread="{spread}"', fontsize=9)
        axis.set_xlabel("ms", fontsize=8)
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel("x", fontsize=8)
    figure.savefig(FOLDER / "stream.png", dpi=130)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    picture = sample()
    draw_conversion(picture)
    draw_realism(picture)
    draw_stream(picture)


if __name__ == "__main__":
    main()
