"""What the trainer learns from: samples by number, in batches of frames with their targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.card import Card
from i2e_deploy.events.array import Events
from i2e_deploy.text import record_repr


@dataclass(frozen=True, eq=False)
class Batch:
    """Some samples.

    Args:
        frames: [B, T, C, H, W], unsigned counts of events, or float32 where a frame holds other values.
        targets: int64 [B], numbers of classes; or float32 [B, V] or [B, T, V], values of a regression.
        recordings: the events of each sample, in the order in which they came, where the samples are recordings.
    """

    frames: NDArray[Any]
    targets: NDArray[Any]
    recordings: Sequence[Events] | None = None

    __repr__ = record_repr


class Samples(Protocol):
    """A data set."""

    def __len__(self) -> int: ...

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """Some samples.

        Args:
            chosen: int64 [B], numbers of samples.
            draw: seed of everything that is random about them (saccades, sensor noise, augmentation). Sample and draw
                give the same bits in any batch, worker or rank: the generator of a sample is seeded by
                `np.random.SeedSequence((draw, number))`. None: nothing is random, as for evaluation.
        """
        ...


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Both parts of a data set, and what a network, a bundle and `evaluate` must know of it.

    Args:
        train, test: the parts; nothing of `test` is seen by the training.
        classes: names, by number; empty for a regression.
        input_shape: (C, H, W).
        steps: T.
        step_us: length of a step; None where the data do not say it.
        notes: what was chosen or assumed, a line each.
        preprocessing, split: see `datasets.Card`.
        settings: what else decides the samples, by name, as JSON holds it: a training goes on only with the same.
    """

    train: Samples
    test: Samples
    classes: tuple[str, ...]
    input_shape: tuple[int, int, int]
    steps: int
    step_us: int | None = None
    notes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    __repr__ = record_repr

    @property
    def card(self) -> Card:
        """What is kept with a network that was trained on it."""
        return Card(self.classes, self.input_shape, self.steps, self.step_us, self.preprocessing, self.split)
