"""Samples that lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.text import record_repr
from i2e_deploy.training.samples import Batch, TrainingData


@dataclass(frozen=True, eq=False)
class FrameSamples:
    """Frames and targets as they are; nothing about them is random.

    Args:
        frames: [N, T, C, H, W], unsigned counts of events, or float32.
        targets: int64 [N], numbers of classes; or float32 [N, V] or [N, T, V].
        recordings: the events of each sample, where the samples are recordings.

    Raises:
        InputError: shapes that do not belong together.
    """

    frames: NDArray[Any]
    targets: NDArray[Any]
    recordings: Sequence[Events] | None = None

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.frames.ndim != 5 or len(self.frames) != len(self.targets) or not len(self.frames):
            shapes = f"frames {list(self.frames.shape)} with targets {list(self.targets.shape)}"
            raise InputError(f"{shapes}: give frames [N, T, C, H, W] and a target for each")
        if self.recordings is not None and len(self.recordings) != len(self.frames):
            raise InputError(f"{len(self.recordings)} recordings of {len(self.frames)} samples: give one for each")

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`."""
        recordings = None if self.recordings is None else [self.recordings[i] for i in chosen]
        return Batch(self.frames[chosen], self.targets[chosen], recordings)


def data_of(
    train: FrameSamples, test: FrameSamples, classes: Sequence[str] = (), step_us: int | None = None
) -> TrainingData:
    """Frames in memory as a data set.

    Args:
        train, test: the parts.
        classes: names by number; of none and whole-numbered targets they are called by their numbers.
        step_us: length of a step; None: not known.
    """
    names = tuple(classes)
    if not names and train.targets.ndim == 1:
        names = tuple(str(i) for i in range(int(max(train.targets.max(), test.targets.max())) + 1))
    steps, channels, height, width = train.frames.shape[1:]
    return TrainingData(train, test, names, (channels, height, width), steps, step_us)
