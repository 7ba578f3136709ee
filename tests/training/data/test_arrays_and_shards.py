"""Frames in a file and shards as training samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import write_tree

from i2e_deploy.datasets.picture import Resize
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.training.data import Augmentation, DataOptions, open_data

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 4, (20, 3, 2, 6, 5))
LABELS = np.arange(20) % 2


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_frames_of_a_file(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "a.npz", frames=FRAMES, labels=LABELS, step_us=np.array(500), classes=np.array(["no", "yes"])
    )
    data = open_data(path, DataOptions(steps=2))
    assert (data.classes, data.input_shape, data.steps, data.step_us) == (("no", "yes"), (2, 6, 5), 2, 500)
    assert (len(data.train), len(data.test)) == (16, 4)
    seen = np.concatenate([part.batch(np.arange(len(part)), None).frames for part in (data.train, data.test)])
    assert sorted(map(bytes, seen)) == sorted(map(bytes, FRAMES[:, :2].astype(np.uint8)))
    one = open_data(path, DataOptions(channels=1, binary=True))
    batch = one.train.batch(np.arange(16), None)
    assert batch.frames.shape == (16, 3, 1, 6, 5)
    assert set(np.unique(batch.frames)) == {0, 1}


def test_frames_are_moved_as_drawn(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", frames=FRAMES, labels=LABELS, step_us=np.array(500))
    data = open_data(path, DataOptions(augmentation=Augmentation(shift=1)))
    still, drawn = (data.train.batch(np.arange(16), draw).frames.astype(int) for draw in (None, 3))
    padded = np.pad(still, ((0, 0),) * 3 + ((1, 1), (1, 1)))
    moves = [(down, right) for down in (0, 1, 2) for right in (0, 1, 2)]
    found = [
        [move for move in moves if (padded[i, ..., move[0] : move[0] + 6, move[1] : move[1] + 5] == drawn[i]).all()]
        for i in range(16)
    ]
    assert all(len(each) == 1 for each in found)
    assert len({each[0] for each in found}) > 3


def test_the_split_of_a_file_is_kept(tmp_path: Path) -> None:
    split = np.array(["test"] * 5 + ["train"] * 15)
    data = open_data(saved(tmp_path / "a.npz", frames=FRAMES, labels=LABELS, split=split))
    np.testing.assert_array_equal(data.test.batch(np.arange(5), None).frames, FRAMES[:5])
    assert data.step_us is None
    assert any("does not say how long a step is" in note for note in data.notes)


@pytest.mark.parametrize("name", ["values", "targets"])
def test_values_of_a_file_and_of_each_step(tmp_path: Path, name: str) -> None:
    for values in (RNG.random(20), RNG.random((20, 2)), RNG.random((20, 3, 1))):
        data = open_data(saved(tmp_path / "a.npz", frames=FRAMES.astype(np.float32) / 2, **{name: values}))
        batch = data.test.batch(np.arange(4), 7)
        assert data.classes == ()
        assert batch.targets.dtype == batch.frames.dtype == np.float32
        assert batch.targets.shape[1:] == (values.shape[1:] or (1,))


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"frames": FRAMES[0]}, "expected `frames`"),
        ({"frames": FRAMES}, "20 of 20 samples are in no class"),
        ({"frames": FRAMES, "labels": LABELS[:3]}, "labels are int64 "),
        ({"frames": FRAMES, "labels": LABELS - 1}, "expected numbers from 0"),
        ({"frames": FRAMES, "labels": LABELS, "classes": np.array(["a"])}, "labels up to 1 for 1 name"),
        ({"frames": FRAMES, "labels": LABELS, "classes": np.arange(2)}, "classes and split are text"),
        ({"frames": FRAMES, "labels": LABELS, "values": LABELS}, "leave one out"),
        ({"frames": FRAMES, "values": LABELS, "targets": LABELS}, "`values` and `targets`: leave one out"),
        ({"frames": FRAMES, "values": np.full(20, np.nan)}, "expected finite numbers"),
        ({"frames": FRAMES, "values": np.zeros((20, 4, 1))}, "expected finite numbers"),
        ({"frames": FRAMES, "labels": LABELS, "split": np.array(["train"] * 19)}, "split names 19 samples of 20"),
        ({"frames": FRAMES, "labels": LABELS, "step_us": np.array(0)}, "step_us 0: expected whole microseconds"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        open_data(saved(tmp_path / "a.npz", **arrays))


def test_counts_below_zero_and_more_steps_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", frames=-FRAMES, labels=LABELS)
    with pytest.raises(InputError, match="may be below 0"):
        open_data(path).train.batch(np.arange(3), None)
    with pytest.raises(InputError, match="samples of 3 steps, asked for are 4"):
        open_data(path, DataOptions(steps=4))
    with pytest.raises(InputError, match="sensor is not for frames"):
        open_data(path, DataOptions(sensor="ideal"))
    with pytest.raises(InputError, match="leave size out"):
        open_data(path, DataOptions(size=6))


def test_shards_give_what_the_pictures_give(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    pytest.importorskip("PIL")
    tree = write_tree(tmp_path / "pictures", 20)
    convert_dataset(tree, tmp_path / "shards", Settings("0.12", Resize(16), shard_items=4, row_group=3))
    pictures, shards = open_data(tree, DataOptions(size=16)), open_data(tmp_path / "shards")
    assert shards.classes == pictures.classes
    assert shards.input_shape == pictures.input_shape
    for part in ("train", "test"):
        one, two = getattr(pictures, part), getattr(shards, part)
        order = np.random.default_rng(0).permutation(len(one))
        first, second = one.batch(order, None), two.batch(order, None)
        np.testing.assert_array_equal(first.frames, second.frames)
        np.testing.assert_array_equal(first.targets, second.targets)
    few = open_data(tmp_path / "shards", DataOptions(steps=2)).train.batch(np.arange(5), 3)
    np.testing.assert_array_equal(few.frames, pictures.train.batch(np.arange(5), None).frames[:, :2])
    with pytest.raises(InputError, match="samples of 16 x 16 pixels"):
        open_data(tmp_path / "shards", DataOptions(size=32))
    broken = next((tmp_path / "shards").glob("*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-20])
    with pytest.raises(FileFormatError, match=broken.name):
        open_data(tmp_path / "shards")
