"""Data sets for training: right samples, the same for any number of workers, new draws each epoch."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import write_tree
from torch.utils.data import DataLoader

from i2e_deploy.conversion import i2e_reference
from i2e_deploy.conversion.sensor import PRESETS
from i2e_deploy.datasets.live_dataset import ImageDataset
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.datasets.shard_dataset import ShardDataset, ShardStream
from i2e_deploy.errors import FileFormatError, InputError

parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
# Python 3.12 and later warn when a data loader forks a process with threads.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
pytest.importorskip("PIL")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tree of 20 images, and its shards."""
    root = tmp_path_factory.mktemp("sets")
    tree = write_tree(root / "images", 20)
    convert_dataset(tree, root / "shards", Settings("0.07", Resize(16), shard_items=4, row_group=3))
    return tree, root / "shards"


def expected(tree: Path, name: str) -> NDArray[np.uint8]:
    pixels = decode_picture((tree / name).read_bytes(), Resize(16))
    frames: NDArray[np.uint8] = i2e_reference(pixels.transpose(2, 0, 1)[None], "0.07")[0]
    return frames


def names_of(shards: Path) -> list[str]:
    return [
        name for path in sorted(shards.glob("*.parquet")) for name in parquet.read_table(path)["file_path"].to_pylist()
    ]


def test_random_access(places: tuple[Path, Path]) -> None:
    tree, shards = places
    dataset = ShardDataset(shards)
    names = names_of(shards)
    assert len(dataset) == len(names) == 20
    for index in (0, 19, 7, -1, 3):
        frames, label = dataset[index]
        np.testing.assert_array_equal(frames, expected(tree, names[index]))
        assert label == ("cat", "dog").index(names[index].split("/")[1])
    with pytest.raises(IndexError):
        dataset[20]
    assert len(ShardDataset(shards, "test")) + len(ShardDataset(shards, "train")) == 20


def key(frames: torch.Tensor) -> bytes:
    return frames.numpy().tobytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_stream_gives_every_sample_once(places: tuple[Path, Path], workers: int) -> None:
    tree, shards = places
    every = sorted(expected(tree, name).tobytes() for name in names_of(shards))
    stream = ShardStream(shards, seed=1, mixed_groups=2)
    orders = []
    for epoch in (0, 1, 0):
        stream.set_epoch(epoch)
        loader = DataLoader(stream, batch_size=None, num_workers=workers)
        orders.append([key(frames) for frames, _ in loader])
        assert sorted(orders[-1]) == every
    assert orders[0] == orders[2] != orders[1]


def test_stream_without_seed_keeps_the_order(places: tuple[Path, Path]) -> None:
    tree, shards = places
    found = [key(frames) for frames, _ in ShardStream(shards, seed=None)]
    assert found == [expected(tree, name).tobytes() for name in names_of(shards)]


def test_hugging_face_reads_our_shards(places: tuple[Path, Path], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    tree, shards = places
    loaded = datasets.load_dataset("parquet", data_files=str(shards / "train-*.parquet"), cache_dir=str(tmp_path))[
        "train"
    ]
    assert loaded.features["label"].names == ["cat", "dog"]
    row = loaded[0]
    raw = np.load(io.BytesIO(row["data"]), allow_pickle=False)
    assert raw[:8].view("<u2").tolist() == [8, 2, 16, 16]
    frames = np.unpackbits(raw[8:]).reshape(8, 2, 16, 16)[:, ::-1]
    np.testing.assert_array_equal(frames, expected(tree, row["file_path"]))


def test_on_the_fly_draws_depend_on_seed_epoch_and_index_only(places: tuple[Path, Path]) -> None:
    tree, _ = places
    dataset = ImageDataset(tree, "0.07", Resize(16), seed=3, split="train")
    assert len(dataset) == 16
    assert dataset.classes == ("cat", "dog")
    alone = [key(frames) for frames, _ in (dataset[i] for i in range(16))]
    for workers in (0, 2):
        loader = DataLoader(dataset, batch_size=4, num_workers=workers)
        assert [key(frame) for batch, _ in loader for frame in batch] == alone
    dataset.set_epoch(1)
    assert [key(frames) for frames, _ in (dataset[i] for i in range(16))] != alone
    still = ImageDataset(tree, "0.07", Resize(16), train=False)
    np.testing.assert_array_equal(still[0][0], expected(tree, still._items[0][0]))


def test_realism_as_augmentation(places: tuple[Path, Path]) -> None:
    tree, _ = places
    ideal = ImageDataset(tree, "0.07", Resize(16), train=False)
    noisy = ImageDataset(tree, "0.07", Resize(16), train=False, sensor=PRESETS["v2e-noisy"])
    assert noisy[0][0].shape == ideal[0][0].shape
    assert key(noisy[0][0]) == key(noisy[0][0]) != key(ideal[0][0])
    noisy.set_epoch(1)
    first = key(noisy[0][0])
    noisy.set_epoch(2)
    assert key(noisy[0][0]) != first


def damaged(path: Path, shards: Path, kind: str) -> Path:
    import pyarrow as pa

    whole = next(shards.glob("*.parquet"))
    good = whole.read_bytes()
    if kind == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif kind == "flipped":
        place = parquet.ParquetFile(whole).metadata.row_group(0).column(2).data_page_offset + 60
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
    elif kind == "columns":
        parquet.write_table(pa.table({"x": [1]}), path)
    elif kind == "null":
        parquet.write_table(pa.table({"data": pa.array([None], pa.binary()), "label": [0]}), path)
    elif kind == "text":
        parquet.write_table(pa.table({"data": ["abc"], "label": [0]}), path)
    elif kind == "lying item":
        parquet.write_table(pa.table({"data": [b"\x93NUMPY\x01\x00"], "label": [0]}), path)
    return path


@pytest.mark.parametrize("kind", ["truncated", "flipped", "columns", "null", "text", "lying item"])
def test_damaged_shards_end_in_a_clean_error(places: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    path = damaged(tmp_path / "bad.parquet", places[1], kind)
    with pytest.raises(FileFormatError, match=r"bad\.parquet"):
        list(ShardStream(path, seed=None))


def test_no_shards(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no shards"):
        ShardDataset(tmp_path)
