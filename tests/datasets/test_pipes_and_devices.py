"""A pipe or a device in a folder of pictures: a pipe would wait for ever, a device has no end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import picture_bytes

from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.datasets.shard_dataset import Shards
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events import empty_events
from i2e_deploy.events.files import read_events, write_events
from i2e_deploy.files import read_array

pytest.importorskip("PIL")
pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")

STRANGE = ("pipe", "device", "link to a device", "link to a pipe")


def strange(kind: str, path: Path) -> Path:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "/dev/full")
    return path


@pytest.mark.parametrize("kind", STRANGE)
def test_in_a_folder_it_is_a_broken_picture(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "cat"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(picture_bytes(0))
    strange(kind, folder / "b.png")
    source = open_source(str(tmp_path / "in"))
    assert source.names() == ["cat/a.png", "cat/b.png"]
    with pytest.raises(FileFormatError, match=r"b.png: is no file but a pipe, a device or the like: take it away"):
        source.read("cat/b.png")
    pytest.importorskip("pyarrow")
    manifest = convert_dataset(tmp_path / "in", tmp_path / "out", Settings("0.12"))
    assert [name for name, _ in manifest["skipped"]] == ["cat/b.png"]
    assert manifest["shards"][0]["rows"] == 1
    with pytest.raises(FileFormatError, match=r"b\.png: is no file"):
        convert_dataset(tmp_path / "in", tmp_path / "strict", Settings("0.12", on_broken="fail"))


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("name", ["a.png", "a.zip", "a.tar", "a.parquet"])
def test_as_the_source_itself_it_is_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a pipe, a device or the like: give a folder or a file"):
        open_source(str(strange(kind, tmp_path / name)))


@pytest.mark.parametrize("kind", STRANGE)
def test_other_readers_take_files_only(kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_events(strange(kind, tmp_path / "a.raw"))
    (tmp_path / "elsewhere").unlink(missing_ok=True)
    with pytest.raises(InputError, match="no such file"):
        read_array(strange(kind, tmp_path / "a.npy"))
    pytest.importorskip("pyarrow")
    (tmp_path / "elsewhere").unlink(missing_ok=True)
    strange(kind, tmp_path / "s.parquet")
    with pytest.raises(FileFormatError, match=r"s\.parquet: is no file"):
        Shards(tmp_path)


def test_a_link_to_a_picture_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(picture_bytes(1))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "real")
    source = open_source(str(tmp_path / "in"))
    assert source.read("a.png") == picture_bytes(1)


@pytest.mark.parametrize("kind", STRANGE)
def test_as_an_output_it_is_refused_and_stays(kind: str, tmp_path: Path) -> None:
    """As root, a name in /dev was taken from its device."""
    path = strange(kind, tmp_path / "a.npz")
    before = sorted(each.name for each in tmp_path.iterdir())
    with pytest.raises(InputError, match=r"a\.npz is a device, a pipe or a socket: give the name of a file"):
        write_events(path, empty_events(), (34, 34))
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    assert path.is_fifo() or path.is_char_device()
