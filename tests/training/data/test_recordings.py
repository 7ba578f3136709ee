"""Recordings as training samples: what `evaluate` counts, in parts that share no source."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from event_strategies import random_events

from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events import FrameSpec, by_time, frames_reference, read, write
from i2e_deploy.runtime import read_samples
from i2e_deploy.training.data import Augmentation, DataOptions, open_data

SIZE = (20, 16)


def write_recordings(root: Path, count: int = 12, classes: tuple[str, ...] = ("left", "right")) -> Path:
    """`count` recordings of three people in folders by class, some of them a folder deeper."""
    for index in range(count):
        name = f"{classes[index % len(classes)]}/{'deep/' if index % 5 == 0 else ''}p{index % 3}_{index:02d}.npz"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(root / name, random_events(400 + index, *SIZE, seed=index, span=60), SIZE)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recordings(tmp_path_factory.mktemp("recordings"))


def test_samples_are_what_evaluate_counts(tree: Path) -> None:
    data = open_data(tree, DataOptions(steps=5, test_share=0.25))
    assert (data.classes, data.input_shape, data.steps) == (("left", "right"), (2, 16, 20), 5)
    theirs = read_samples(tree, (2, 16, 20), 5)
    counted = {frames.tobytes(): label for frames, label in zip(theirs.frames, theirs.labels, strict=True)}  # type: ignore[arg-type]
    for part in (data.train, data.test):
        batch = part.batch(np.arange(len(part)), None)
        assert batch.frames.dtype == np.uint8
        for frames, target in zip(batch.frames, batch.targets, strict=True):
            assert counted.pop(frames.astype(np.int32).tobytes()) == target
    assert not counted
    assert data.step_us == theirs.step_us


def test_events_are_those_that_the_frames_count(tree: Path) -> None:
    options = DataOptions(size=8, augmentation=Augmentation(flip=True, shift=2, drop=0.4))
    data = open_data(tree, options)
    numbers = np.arange(len(data.train))
    still, drawn = data.train.batch(numbers, None), data.train.batch(numbers, 5)
    for batch in (still, drawn):
        assert batch.recordings is not None
        for frames, events in zip(batch.frames, batch.recordings, strict=True):
            counts = np.zeros((2, 8, 8), np.int64)
            np.add.at(counts, (events["p"], events["y"], events["x"]), 1)
            np.testing.assert_array_equal(frames.sum(axis=0), counts)
    assert drawn.frames.sum() < still.frames.sum()
    np.testing.assert_array_equal(data.train.batch(numbers[::-1].copy(), 5).frames[::-1], drawn.frames)


def test_moved_frames_keep_every_event_in_its_step(tree: Path) -> None:
    """A flip alone mirrors the still frames."""
    data = open_data(tree, DataOptions(augmentation=Augmentation(flip=True)))
    numbers = np.arange(len(data.train))
    still, drawn = data.train.batch(numbers, None).frames, data.train.batch(numbers, 1).frames
    mirrored = [bool((b == a[..., ::-1]).all()) for a, b in zip(still, drawn, strict=True)]
    same = [bool((b == a).all()) for a, b in zip(still, drawn, strict=True)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert any(mirrored)
    assert any(same)


def test_people_stay_on_one_side(tree: Path) -> None:
    data = open_data(tree, DataOptions(groups=r"p(\d)_", test_share=0.3))
    people = [{name.split("/")[-1][:2] for name in part.names} for part in (data.train, data.test)]  # type: ignore[attr-defined]
    assert not people[0] & people[1]
    assert people[0] | people[1] == {"p0", "p1", "p2"}
    assert "3 sources each on one side" in data.notes[0]


def test_a_step_length_cuts_windows_of_one_recording_on_one_side(tree: Path) -> None:
    data = open_data(tree, DataOptions(steps=3, step_us=1000, test_share=0.3))
    files = [{name.partition("#")[0] for name in part.names} for part in (data.train, data.test)]  # type: ignore[attr-defined]
    assert not files[0] & files[1]
    spec = FrameSpec(SIZE, (2, 16, 20))
    for number, name in enumerate(data.train.names):  # type: ignore[attr-defined]
        file, _, window = name.partition("#")
        events = read(tree / file).events
        bounds = by_time(events, 1000, partial=True)[3 * int(window) : 3 * int(window) + 3]
        frames = frames_reference(events, bounds, spec)
        np.testing.assert_array_equal(data.train.batch(np.array([number]), None).frames[0], frames)
    assert len(data.train) + len(data.test) == sum(
        max(1, (int(np.ptp(read(path).events["t"])) + 1) // 3000) for path in tree.rglob("*.npz")
    )


def test_folders_train_and_test_are_the_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write_recordings(tmp_path / part, 6)
    data = open_data(tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (6, 6, ("left", "right"))
    assert data.card.split["how"] == "given"


def test_large_sensors_are_shrunk_and_it_is_said(tmp_path: Path) -> None:
    for index in range(4):
        path = tmp_path / "ab"[index % 2] / f"{index}.npz"
        path.parent.mkdir(exist_ok=True)
        write(path, random_events(500, 320, 240, seed=index, span=60), (320, 240))
    data = open_data(tmp_path, DataOptions(test_share=0.5))
    assert data.input_shape == (2, 96, 128)
    assert any("shrunk to 128 a side" in note for note in data.notes)
    batch = data.train.batch(np.arange(2), None)
    assert batch.frames.sum() == 1000


def test_what_is_held_in_memory_does_not_travel(tree: Path) -> None:
    train = open_data(tree).train
    first = train.batch(np.arange(3), None)
    again = pickle.loads(pickle.dumps(train))
    assert len(pickle.dumps(train)) < 10_000
    np.testing.assert_array_equal(again.batch(np.arange(3), None).frames, first.frames)


def test_refusals(tmp_path: Path) -> None:
    write_recordings(tmp_path / "a", 4)
    with pytest.raises(InputError, match="fit is not for recordings"):
        open_data(tmp_path / "a", DataOptions(fit="squash"))
    write(tmp_path / "a" / "left" / "other.npz", random_events(50, 5, 5, seed=1), (5, 5))
    with pytest.raises(InputError, match=r"is of a sensor .* give data of one sensor"):
        open_data(tmp_path / "a")
    write_recordings(tmp_path / "b", 4)
    broken = next((tmp_path / "b").rglob("*.npz"))
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(FileFormatError, match=broken.name):
        open_data(tmp_path / "b")
    (tmp_path / "b" / "x.png").touch()
    with pytest.raises(InputError, match="holds 1 pictures and 4 recordings"):
        open_data(tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.doc").touch()
    with pytest.raises(InputError, match=r"no pictures, shards or recordings there, but 1 \.doc"):
        open_data(tmp_path / "c")
