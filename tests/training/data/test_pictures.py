"""Pictures as training samples: equal to the reference, drawn by sample and epoch alone."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import picture_bytes, write_tree

from i2e_deploy.conversion import PRESETS, i2e_reference
from i2e_deploy.conversion.vectors import placement_tables, saccades
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.data import pictures as reader
from i2e_deploy.training.samples import TrainingData

pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 pictures to train, 4 to test, of 12 x 10 pixels."""
    return write_tree(tmp_path_factory.mktemp("pictures"), 20)


def all_of(data: TrainingData) -> NDArray[np.int64]:
    return np.arange(len(data.train))


def test_still_samples_are_the_reference(tree: Path) -> None:
    data = open_data(tree, DataOptions(size=16, ratio="0.07"))
    assert (len(data.train), len(data.test)) == (16, 4)
    assert (data.classes, data.input_shape, data.steps, data.step_us) == (("cat", "dog"), (2, 16, 16), 8, 10_000)
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.png") if "train" in path.parts)
    batch = data.train.batch(np.array([3, 0, 15]), None)
    for frames, target, number in zip(batch.frames, batch.targets, (3, 0, 15), strict=True):
        pixels = decode_picture((tree / names[number]).read_bytes(), Resize(16))
        np.testing.assert_array_equal(frames, i2e_reference(pixels.transpose(2, 0, 1)[None], "0.07")[0])
        assert data.classes[target] == names[number].split("/")[1]
    assert batch.frames.dtype == np.uint8
    assert batch.targets.dtype == np.int64
    assert batch.recordings is None


def test_a_drawn_sample_has_each_saccade_at_one_of_its_places(tree: Path) -> None:
    data = open_data(tree, DataOptions(size=12, steps=2))
    frames = data.train.batch(np.array([5]), 7).frames[0]
    name = sorted(path for path in tree.rglob("*.png") if "train" in path.parts)[5]
    image = decode_picture(name.read_bytes(), Resize(12)).transpose(2, 0, 1)[None]
    for step, places in enumerate(placement_tables(saccades(steps=2))):
        candidates = [i2e_reference(image, "0.12", place[None, None])[0, 0] for place in places]
        assert any((frames[step] == candidate).all() for candidate in candidates)


@pytest.mark.parametrize(
    "options",
    [
        DataOptions(size=12),
        DataOptions(size=12, sensor="dvs128", moving_eye=True),
        DataOptions(size=12, sensor=PRESETS["v2e-noisy"], channels=1),
        DataOptions(size=12, augmentation=Augmentation(flip=True, shift=3, drop=0.5)),
    ],
)
def test_sample_and_draw_give_the_same_bits_in_any_batch(tree: Path, options: DataOptions) -> None:
    data = open_data(tree, options)
    whole = data.train.batch(all_of(data), 3)
    shuffled = np.random.default_rng(0).permutation(len(data.train))
    again = open_data(tree, options).train.batch(shuffled, 3)
    np.testing.assert_array_equal(again.frames, whole.frames[shuffled])
    np.testing.assert_array_equal(again.targets, whole.targets[shuffled])
    np.testing.assert_array_equal(data.train.batch(np.array([4]), 3).frames[0], whole.frames[4])
    assert (data.train.batch(all_of(data), 4).frames != whole.frames).any()
    still = data.train.batch(all_of(data), None).frames
    np.testing.assert_array_equal(data.train.batch(all_of(data), None).frames, still)
    assert (still != whole.frames).any()


def test_pictures_are_decoded_once_where_memory_holds_them(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counted(data: bytes, resize: Resize, where: str, cut: Any) -> NDArray[np.uint8]:
        decoded.append(where)
        return decode_picture(data, resize, where, cut)

    monkeypatch.setattr(reader, "decode_picture", counted)
    held = open_data(tree, DataOptions(size=12)).train
    first = [held.batch(np.arange(16), draw).frames for draw in (1, 2)]
    assert len(decoded) == len(set(decoded)) == 16
    monkeypatch.setattr(reader, "HELD_BYTES", 3 * 12 * 12 * 16 - 1)
    fresh = open_data(tree, DataOptions(size=12)).train
    again = [fresh.batch(np.arange(16), draw).frames for draw in (1, 2)]
    assert len(decoded) == 16 * 3
    np.testing.assert_array_equal(first, again)
    monkeypatch.undo()
    parts = open_data(tree, DataOptions(size=12, augmentation=Augmentation(crop=0.3))).train
    parts.batch(np.arange(16), None)
    assert (parts.batch(np.arange(16), 1).frames != parts.batch(np.arange(16), 2).frames).any()
    np.testing.assert_array_equal(parts.batch(np.arange(16), None).frames, held.batch(np.arange(16), None).frames)


def test_threads_change_nothing(tree: Path) -> None:
    one, four = (open_data(tree, DataOptions(size=12, sensor="speck", threads=n)).train for n in (1, 4))
    np.testing.assert_array_equal(one.batch(np.arange(16), 1).frames, four.batch(np.arange(16), 1).frames)


def test_with_a_sensor_the_recordings_are_what_the_frames_count(tree: Path) -> None:
    data = open_data(tree, DataOptions(size=12, sensor="dvs128"))
    batch = data.train.batch(np.arange(4), 2)
    assert batch.recordings is not None
    for frames, events in zip(batch.frames, batch.recordings, strict=True):
        counts = np.zeros(frames.shape, np.int64)
        np.add.at(counts, (events["t"] // 10_000, events["p"], events["y"], events["x"]), 1)
        np.testing.assert_array_equal(frames, counts)
    binary = open_data(tree, DataOptions(size=12, sensor="dvs128", binary=True)).train.batch(np.arange(4), 2)
    np.testing.assert_array_equal(binary.frames, np.minimum(batch.frames, 1))


def test_one_channel_adds_the_polarities(tree: Path) -> None:
    both, one = (open_data(tree, DataOptions(size=12, channels=n)) for n in (2, 1))
    assert one.input_shape == (1, 12, 12)
    added = both.train.batch(np.arange(3), 1).frames.sum(axis=2, keepdims=True)
    np.testing.assert_array_equal(one.train.batch(np.arange(3), 1).frames, added)


def test_size_and_split_are_chosen_and_said(tmp_path: Path) -> None:
    for index in range(20):
        folder = tmp_path / ("10" if index % 2 else "9")
        folder.mkdir(exist_ok=True)
        (folder / f"{index}.png").write_bytes(picture_bytes(index, (20, 14)))
    data = open_data(tmp_path)
    assert data.classes == ("9", "10")
    assert data.input_shape == (2, 14, 14)
    assert (len(data.train), len(data.test)) == (16, 4)
    assert np.bincount(data.test.batch(np.arange(4), None).targets).tolist() == [2, 2]
    text = "; ".join(data.notes)
    for part in ("split drawn with seed 0: 16 to train, 4 to test", "14 x 14", "all 20 x 14", "8 steps", "10 ms"):
        assert part in text
    assert data.card.preprocessing["size"] == 14
    assert data.card.split == {"how": "drawn", "seed": 0, "test_share": 0.2, "train_samples": 16, "test_samples": 4}


def test_an_archive_gives_the_same_as_its_folder(tree: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in tree.rglob("*.png"):
            archive.write(path, path.relative_to(tree).as_posix())
    folder, packed = (open_data(place, DataOptions(size=12)) for place in (tree, tmp_path / "a.zip"))
    first, second = (data.train.batch(np.arange(16), 5) for data in (folder, packed))
    np.testing.assert_array_equal(first.frames, second.frames)
    np.testing.assert_array_equal(first.targets, second.targets)


def test_labels_and_values_of_a_table(tree: Path, tmp_path: Path) -> None:
    names = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.png"))
    (tmp_path / "labels.csv").write_text(
        "name,label\n" + "".join(f"{n},{['odd', 'even'][i % 2]}\n" for i, n in enumerate(names))
    )
    data = open_data(tree, DataOptions(size=12, labels=tmp_path / "labels.csv"))
    assert data.classes == ("even", "odd")
    (tmp_path / "values.csv").write_text("".join(f"{Path(n).stem},{i},{i / 4}\n" for i, n in enumerate(names)))
    data = open_data(tree, DataOptions(size=12, values=tmp_path / "values.csv"))
    assert data.classes == ()
    targets = data.train.batch(np.arange(16), None).targets
    assert targets.dtype == np.float32
    wanted = [[i, i / 4] for i, name in enumerate(names) if name.startswith("train")]
    np.testing.assert_array_equal(targets, np.array(wanted, np.float32))


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("0000,1\n", "says nothing of 19 of 20 samples"),
        ("0000,1\n0000,2\n", "line 2: '0000' stands there twice"),
        ("0000,1\n0001\n", "line 2: 1 cells, expected a name and 1 more"),
        ("name,value\n", "holds no line with a name"),
        ("\xff", "no CSV file in UTF-8"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tree: Path, tmp_path: Path, table: str, text: str) -> None:
    (tmp_path / "values.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(InputError, match=text):
        open_data(tree, DataOptions(values=tmp_path / "values.csv"))


def test_values_must_be_numbers(tree: Path, tmp_path: Path) -> None:
    lines = [f"{i:04d},{'nan' if i == 7 else i}" for i in range(20)]
    (tmp_path / "values.csv").write_text("\n".join(lines))
    with pytest.raises(FileFormatError, match=r"'train/dog/0007.png' it says 'nan': expected finite numbers"):
        open_data(tree, DataOptions(values=tmp_path / "values.csv"))


def test_what_cannot_be_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_data(tmp_path / "nothing")
    (tmp_path / "a.png").write_bytes(picture_bytes(0))
    with pytest.raises(InputError, match=r"1 of 1 samples are in no class, the first is 'a.png'"):
        open_data(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "one" / "a.png")
    with pytest.raises(InputError, match="has the one class 'one'"):
        open_data(tmp_path)


def test_a_broken_picture_is_named_when_it_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path, 20)
    broken = tmp_path / "train" / "cat" / "0000.png"
    broken.write_bytes(broken.read_bytes()[:40])
    data = open_data(tmp_path, DataOptions(size=12))
    with pytest.raises(FileFormatError, match=r"train/cat/0000.png: is not a whole picture"):
        data.train.batch(np.arange(4), 0)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sensor": "eye"}, "choose one of ideal"),
        ({"moving_eye": True}, "without a sensor"),
        ({"channels": 3}, "channels is 3: give 1 to 2"),
        ({"test_share": 1.0}, "test_share is 1.0"),
        ({"ratio": "2"}, "S_th0"),
        ({"most": 0}, "most is 0: give 1 or more"),
        ({"labels": Path("a"), "values": Path("b")}, "not both"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        DataOptions(**options)  # type: ignore[arg-type]
