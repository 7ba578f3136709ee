"""`convert` to an event file: videos, image sequences, pictures shown one after another."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from i2e_deploy.cli.app import run
from i2e_deploy.conversion import i2e_reference
from i2e_deploy.conversion.stream import events_to_frames
from i2e_deploy.conversion.video import video_rate, video_to_events
from i2e_deploy.events.files import read_events

Image = pytest.importorskip("PIL.Image")


def convert(*arguments: object) -> int:
    return run(["convert", *map(str, arguments)])


def some_pictures(folder: Path, count: int) -> list[Path]:
    rng = np.random.default_rng(0)
    folder.mkdir()
    paths = [folder / f"{number}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(path)
    return paths


def test_pictures_are_shown_one_after_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = some_pictures(tmp_path / "photos", 3)
    out = tmp_path / "e.npz"
    assert convert(tmp_path / "photos", "--out", out, "--size", "16", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    recording = read_events(out)
    assert printed["count"] == len(recording.events)
    assert recording.sensor_size == (16, 16)
    for number, path in enumerate(paths):
        pixels = np.asarray(Image.open(path)).transpose(2, 0, 1)[None]
        frames = events_to_frames(recording.events, 8, 16, 16, start_us=number * 80_000)
        np.testing.assert_array_equal(frames, i2e_reference(pixels, "0.12")[0])


def test_pictures_as_frames_of_a_video(tmp_path: Path) -> None:
    paths = some_pictures(tmp_path / "photos", 3)
    out = tmp_path / "e.npz"
    assert convert(tmp_path / "photos", "--out", out, "--size", "16", "--fps", "50") == 0
    expected = np.concatenate(list(video_to_events([np.asarray(Image.open(path)) for path in paths], 50, "0.12")))
    np.testing.assert_array_equal(read_events(out).events, expected)


def test_video_at_its_own_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [Image.open(path) for path in some_pictures(tmp_path / "photos", 3)]
    for name, options in (("a.gif", {"duration": 40}), ("b.gif", {})):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], **options)
    assert video_rate(tmp_path / "a.gif") == 25
    out = tmp_path / "e.npz"
    assert convert(tmp_path / "a.gif", "--out", out, "--size", "16") == 0
    assert 40_000 < read_events(out).events["t"][-1] < 80_000  # two intervals of 40 ms
    capsys.readouterr()
    assert convert(tmp_path / "b.gif", "--out", tmp_path / "f.npz") == 2
    assert "give --fps" in capsys.readouterr().err
    (tmp_path / "c.gif").write_bytes(b"GIF89a" + bytes(20))
    assert convert(tmp_path / "c.gif", "--out", tmp_path / "f.npz") == 2
    assert not (tmp_path / "f.npz").exists()


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "1e-300", "1e9"])
def test_rates_that_no_video_has(fps: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some_pictures(tmp_path / "photos", 2)
    out = tmp_path / "e.npz"
    assert convert(tmp_path / "photos", "--out", out, "--size", "16", "--fps", fps) == 2
    assert "give 1e-6 to 1e6 frames/s" in capsys.readouterr().err
    assert not out.exists()
