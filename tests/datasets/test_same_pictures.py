"""What `convert` makes of a folder: of these pictures only, upright, of the right class, none left out unsaid."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import picture_bytes, write_tree

from i2e_deploy.cli.app import run
from i2e_deploy.datasets.picture import ENDINGS, Resize, decode_picture
from i2e_deploy.datasets.plan import Settings, make_plan
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError, InputError

parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
Image = pytest.importorskip("PIL.Image")

SETTINGS = Settings("0.07", Resize(16), shard_items=4, row_group=2)


def change(path: Path, seed: int) -> None:
    """Another picture of the same name, size in bytes and time of change."""
    before = path.stat()
    data = picture_bytes(seed, kind="BMP")
    assert len(data) == before.st_size
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def bmp_tree(root: Path, count: int) -> list[Path]:
    root.mkdir()
    paths = [root / f"{number:02d}.bmp" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(picture_bytes(number, kind="BMP"))
    return paths


def test_other_pictures_of_the_same_names_are_no_finished_work(tmp_path: Path) -> None:
    paths = bmp_tree(tmp_path / "images", 10)
    out = tmp_path / "out"
    first = convert_dataset(tmp_path / "images", out, SETTINGS)
    assert convert_dataset(tmp_path / "images", out, SETTINGS) == first
    for path in paths:
        kept = path.read_bytes()
        change(path, 99)
        with pytest.raises(
            InputError, match=r"all-0000\d-of-00003.parquet was made of other pictures of the same names"
        ):
            convert_dataset(tmp_path / "images", out, SETTINGS)
        path.write_bytes(kept)
    assert convert_dataset(tmp_path / "images", out, SETTINGS) == first  # another time, the same content


def test_an_interrupted_run_goes_on_with_the_same_pictures_only(tmp_path: Path, monkeypatch: Any) -> None:
    paths = bmp_tree(tmp_path / "images", 10)
    out, whole = tmp_path / "out", convert_dataset(tmp_path / "images", tmp_path / "whole", SETTINGS)

    def interrupt(progress: Any) -> None:
        if progress.done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_dataset(tmp_path / "images", out, SETTINGS, progress=interrupt)
    finished = len(list(out.glob("*.parquet")))
    assert 0 < finished < 3
    kept = paths[0].read_bytes()
    change(paths[0], 99)
    with pytest.raises(InputError, match="was made of other pictures"):
        convert_dataset(tmp_path / "images", out, SETTINGS)
    paths[0].write_bytes(kept)
    assert convert_dataset(tmp_path / "images", out, SETTINGS) == whole


def as_of_0_1_0(folder: Path) -> dict[str, Any]:
    """A finished folder without what version 0.1.0 did not note."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    for shard in manifest["shards"]:
        del shard["content"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return manifest


def test_a_folder_of_0_1_0_is_taken_after_its_rows_were_compared(tmp_path: Path) -> None:
    paths, out = bmp_tree(tmp_path / "images", 6), tmp_path / "out"
    convert_dataset(tmp_path / "images", out, SETTINGS)
    old = as_of_0_1_0(out)
    assert convert_dataset(tmp_path / "images", out, SETTINGS) == old
    change(paths[5], 99)
    with pytest.raises(InputError, match=r"all-00001-of-00002.parquet does not hold what its pictures give now"):
        convert_dataset(tmp_path / "images", out, SETTINGS)


def test_a_broken_picture_counts_by_its_bytes(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "images", 6)
    (tree / "train/cat/0002.png").write_bytes(picture_bytes(2)[:60])
    first = convert_dataset(tree, tmp_path / "out", SETTINGS)
    assert convert_dataset(tree, tmp_path / "out", SETTINGS) == first
    (tree / "train/cat/0002.png").write_bytes(picture_bytes(2))
    with pytest.raises(InputError, match="was made of other pictures"):
        convert_dataset(tree, tmp_path / "out", SETTINGS)


def test_a_class_called_train(tmp_path: Path) -> None:
    """Beside `bus` and `car` it is a class like them: it had label -1."""
    names = ["bus/1.png", "car/1.png", "train/1.png", "train/2.png"]
    plan = make_plan(names, SETTINGS)
    assert plan.classes == ("bus", "car", "train")
    (shard,) = plan.shards
    assert (shard.names, shard.labels) == (tuple(names), (0, 1, 2, 2))
    split = make_plan(["train/bus/1.png", "val/bus/1.png", "train/train/1.png"], SETTINGS)
    assert split.classes == ("bus", "train")
    assert [shard.file.split("-")[0] for shard in split.shards] == ["train", "val"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(kind: str, orientation: int, tmp_path: Path) -> None:
    """As stored rows and columns are turned by hand, after the table of the EXIF standard (tag 0x0112)."""
    stored = np.zeros((24, 40, 3), np.uint8)
    stored[:8, :8], stored[:8, 32:] = (255, 0, 0), (0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind.lower()}"
    options: dict[str, dict[str, Any]] = {"JPEG": {"subsampling": 0, "quality": 95}, "WEBP": {"lossless": True}}
    Image.fromarray(stored).save(path, kind, exif=exif.tobytes(), **options.get(kind, {}))
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1), 7: stored[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(stored),
    }[orientation]  # fmt: skip
    got = decode_picture(path.read_bytes(), Resize())
    assert got.shape == upright.shape
    assert np.abs(got.astype(int) - upright).max() <= (40 if kind == "JPEG" else 0)


@pytest.mark.parametrize("archive", [False, True])
def test_kinds_that_are_not_read_are_counted(
    archive: bool, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = write_tree(tmp_path / "images", 4)
    monkeypatch.setattr("i2e_deploy.datasets.sources.endings", lambda: ENDINGS)
    for name in ("a.HEIC", "b.heic", "c.avif", "notes.txt", "._d.heic"):
        (tree / "train" / name).write_bytes(b"x")
    source = tree
    if archive:
        source = tmp_path / "a.zip"
        with zipfile.ZipFile(source, "w") as made:
            for path in sorted(tree.rglob("*.*")):
                made.write(path, path.relative_to(tree).as_posix())
    assert open_source(str(source)).left_out() == {".avif": 1, ".heic": 2}
    manifest = convert_dataset(source, tmp_path / "out", SETTINGS)
    assert manifest["left_out"] == {".avif": 1, ".heic": 2}
    assert run(["convert", str(source), "--out", str(tmp_path / "f.npy"), "--size", "16", "--json"]) == 0
    assert "left out, as they are not read: 1 .avif, 2 .heic" in " ".join(capsys.readouterr().err.split())
    shutil.rmtree(tree)
    (tree / "x").mkdir(parents=True)
    (tree / "x" / "a.heic").write_bytes(b"x")
    assert run(["convert", str(tree), "--out", str(tmp_path / "g.npy")]) == 2
    assert "there are 1 .heic" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "CMYK", "P", "I;16"])
def test_tiff_is_read(mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    picture = (
        Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    )
    (tmp_path / "x").mkdir()
    picture.save(tmp_path / "x" / "a.tif")
    assert open_source(str(tmp_path)).names() == ["x/a.tif"]
    got = decode_picture((tmp_path / "x" / "a.tif").read_bytes(), Resize())
    wanted = Image.fromarray(pixels) if mode == "I;16" else picture
    np.testing.assert_array_equal(got, np.asarray(wanted.convert("RGB")))


def test_a_tiff_of_several_pages_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((5, 5), level, np.uint8)) for level in (0, 255)]
    pages[0].save(tmp_path / "a.tiff", save_all=True, append_images=pages[1:])
    with pytest.raises(FileFormatError, match="holds 2 pictures"):
        decode_picture((tmp_path / "a.tiff").read_bytes(), Resize())
