"""Samples made by processes are the samples that one process makes, to the end of a training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_tree

from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.data.workers import made_by
from i2e_deploy.training.samples import TrainingData

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    tree = write_tree(tmp_path_factory.mktemp("pictures"), 20)
    moved = Augmentation(flip=True, shift=2, drop=0.2, crop=0.3, gamma=0.5)
    return open_data(tree, DataOptions(size=12, sensor="speck", moving_eye=True, augmentation=moved))


@pytest.mark.slow
def test_two_processes_make_the_same_samples(data: TrainingData) -> None:
    order = np.random.default_rng(0).permutation(len(data.train))
    with made_by(data, 2) as spread:
        assert spread.test is data.test
        for chosen in (order, order[:3], order[:1]):
            for draw in (None, 0, 1):
                ours, theirs = data.train.batch(chosen, draw), spread.train.batch(chosen, draw)
                np.testing.assert_array_equal(ours.frames, theirs.frames)
                np.testing.assert_array_equal(ours.targets, theirs.targets)
                assert ours.recordings is not None
                assert theirs.recordings is not None
                for one, other in zip(ours.recordings, theirs.recordings, strict=True):
                    np.testing.assert_array_equal(one, other)
        spread.train._pool._processes.copy().popitem()[1].kill()  # type: ignore[attr-defined]
        with pytest.raises(SourceLost, match="one of 2 processes that make samples was killed"):
            [spread.train.batch(order, 2) for _ in range(100)]


def test_none_are_started_where_none_are_asked_for(data: TrainingData) -> None:
    with made_by(data, 0) as same:
        assert same is data


class Unpicklable:
    """Samples that hold what no other process can have."""

    def __init__(self) -> None:
        self.held = lambda: None

    def __len__(self) -> int:
        return 4

    def batch(self, chosen: Any, draw: int | None) -> Any:
        raise AssertionError


def test_samples_that_cannot_be_sent_are_refused(data: TrainingData) -> None:
    with pytest.raises(InputError, match="cannot be sent to a process"), made_by(replace(data, train=Unpicklable()), 2):
        pass


@pytest.mark.slow
def test_a_training_that_is_cut_goes_on_to_the_same_bits_with_other_workers(data: TrainingData, tmp_path: Path) -> None:
    """Epoch 1 with two processes, epoch 2 with none: the weights of a training with none."""
    pytest.importorskip("sinabs")
    from i2e_deploy.training.config import FitConfig
    from i2e_deploy.training.loop import CHECKPOINT, fit
    from i2e_deploy.training.recipes import sized_recipe

    def trained(folder: Path, workers: tuple[int, int]) -> bytes:
        folder.mkdir()
        for asked, most in zip(workers, (1, None), strict=True):
            recipe = sized_recipe("speck2f", "small", data, 0)
            config = replace(recipe.config, epochs=2, batch_size=5, chip="speck2f")
            assert isinstance(config, FitConfig)
            with made_by(data, asked) as spread:
                for result in fit(recipe.network, spread, config, folder, running=recipe.running):
                    if result.epoch == most:
                        break
        return (folder / CHECKPOINT).read_bytes()

    from safetensors.numpy import load

    one, other = load(trained(tmp_path / "a", (2, 0))), load(trained(tmp_path / "b", (0, 0)))
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
