"""Data sets of other libraries as training samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from event_strategies import random_events
from torch.utils.data import Subset, TensorDataset

from i2e_deploy.conversion import i2e_reference
from i2e_deploy.datasets.recordings import to_tonic
from i2e_deploy.errors import InputError
from i2e_deploy.events import FrameSpec, into_steps, to_frames
from i2e_deploy.training.data import DataOptions, open_data

RNG = np.random.default_rng(0)


class Listed:
    """Items, and what data sets of tonic have beside them."""

    def __init__(self, items: list[tuple[Any, Any]], **named: Any) -> None:
        self._items = items
        self.__dict__.update(named)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self._items[index]


def test_pictures_of_torch() -> None:
    pytest.importorskip("PIL")
    images = torch.from_numpy(RNG.integers(0, 256, (20, 1, 12, 12), dtype=np.uint8))
    data = open_data(TensorDataset(images, torch.arange(20) % 4), DataOptions(ratio="0.1"))
    assert (data.classes, data.input_shape, len(data.train)) == (tuple("0123"), (2, 12, 12), 16)
    batch = data.test.batch(np.arange(4), None)
    expected = {i2e_reference(images[i : i + 1].numpy(), "0.1")[0].tobytes(): i % 4 for i in range(20)}
    assert [expected[frames.tobytes()] for frames in batch.frames] == batch.targets.tolist()
    floats = TensorDataset(images.float() / 255, torch.arange(20) % 4)
    np.testing.assert_array_equal(open_data(floats, DataOptions(ratio="0.1")).test.batch(np.arange(4), None).frames,
                                  batch.frames)  # fmt: skip


def test_a_pair_is_the_split() -> None:
    frames = torch.from_numpy(RNG.integers(0, 2, (10, 3, 2, 4, 4)))
    whole = TensorDataset(frames, torch.arange(10) % 2)
    data = open_data((Subset(whole, range(8)), Subset(whole, [8, 9])))
    assert (len(data.train), len(data.test), data.card.split["how"]) == (8, 2, "given")
    np.testing.assert_array_equal(data.test.batch(np.arange(2), None).frames, frames[8:].numpy())
    assert data.test.batch(np.arange(2), None).targets.tolist() == [0, 1]


def test_events_of_tonic() -> None:
    own = [random_events(200, 10, 8, seed=i, span=60) for i in range(10)]
    names = ["b" if i % 2 else "a" for i in range(10)]
    theirs = Listed([(to_tonic(e), n) for e, n in zip(own, names, strict=True)], sensor_size=(10, 8, 2), targets=names)
    data = open_data(theirs, DataOptions(steps=4))
    assert (data.classes, data.input_shape, data.step_us) == (("a", "b"), (2, 8, 10), None)
    batch = data.train.batch(np.arange(8), None)
    assert batch.recordings is not None
    spec = FrameSpec((10, 8), (2, 8, 10))
    expected = [to_frames(e, into_steps(e, 4), spec).astype(np.uint8).tobytes() for e in own]
    for frames, target in zip(batch.frames, batch.targets, strict=True):
        assert names[expected.index(frames.tobytes())] == data.classes[target]


def test_values() -> None:
    frames = RNG.integers(0, 2, (10, 3, 2, 4, 4))
    data = open_data(Listed([(frame, 0.5 * i) for i, frame in enumerate(frames)]))
    assert data.classes == ()
    batch = data.test.batch(np.arange(2), None)
    assert [0.5 * next(i for i in range(10) if (frames[i] == f).all()) for f in batch.frames] == batch.targets[
        :, 0
    ].tolist()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (5, "int is no data set"),
        (Listed([]), "without samples"),
        (Listed([1, 2]), "Listed item 0 is int: expected"),  # type: ignore[list-item]
        (Listed([(np.zeros((2, 2, 2, 2, 2)), 0)] * 4), r"expected a picture uint8 or in \[0, 1\]"),
        (Listed([(to_tonic(random_events(9, 4, 4, seed=0)), 0)] * 4), "states no sensor_size"),
        (
            Listed([(np.zeros((4, 4), np.uint8), -1)] * 4),
            "targets such as -1: expected names, numbers of classes from 0",
        ),
        (Listed([(np.zeros((4, 4), np.uint8), None)] * 4), "expected names, numbers of classes"),
    ],
)
def test_what_is_none_is_refused(data: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        open_data(data)


def test_a_sample_of_another_shape_is_named() -> None:
    frames = [np.zeros((3, 2, 4, 4), np.uint8)] * 9 + [np.zeros((3, 2, 5, 4), np.uint8)]
    data = open_data(Listed([(frame, i % 2) for i, frame in enumerate(frames)]))
    with pytest.raises(InputError, match=r"Listed item 9 is \[3, 2, 5, 4\], the samples before it give \[3, 2, 4, 4\]"):
        [part.batch(np.arange(len(part)), None) for part in (data.train, data.test)]
