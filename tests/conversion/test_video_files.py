"""Video files: each picture at its own time, and a file that was cut off is an error or said."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from public_data import case

from i2e_deploy.cli.app import run
from i2e_deploy.conversion.video import timed_video_to_events, video_to_events
from i2e_deploy.conversion.video_file import timed_pictures
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.files import read_events

Image = pytest.importorskip("PIL.Image")

#: Codecs that every build of FFmpeg has, by ending.
CODECS = {"mkv": "mpeg4", "webm": "libvpx", "avi": "mpeg4", "mpg": "mpeg2video", "mp4": "mpeg4", "mov": "mpeg4"}


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(seed).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8))


def film(path: Path, times_ms: list[int]) -> Path:
    """A file of PyAV that shows a picture at each of the times."""
    av = pytest.importorskip("av")
    from fractions import Fraction

    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[path.suffix[1:]], rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25 if path.suffix in (".avi", ".mpg") else 1000)
        for time, picture in zip(times_ms, pictures(len(times_ms)), strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def times(path: Path) -> list[Any]:
    return [time for time, _ in timed_pictures(path)]


@pytest.mark.parametrize("ending", ["mkv", "webm", "mp4", "mov"])
def test_a_variable_rate_is_kept(ending: str, tmp_path: Path) -> None:
    random = np.random.default_rng(len(ending))
    for number in range(3):
        given = np.cumsum([0, *random.integers(1, 50, 12).tolist()])
        given = (given * 40).tolist()
        assert times(film(tmp_path / f"{number}.{ending}", given)) == [1000 * time for time in given]


@pytest.mark.parametrize("ending", ["avi", "mpg"])
def test_a_constant_rate_is_kept(ending: str, tmp_path: Path) -> None:
    given = [40 * number for number in range(30)]
    assert times(film(tmp_path / f"a.{ending}", given)) == [1000 * time for time in given]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_pictures_of_an_animation_have_their_own_durations(ending: str, seed: int, tmp_path: Path) -> None:
    shown = (10 * np.random.default_rng(seed).integers(1, 80, 6)).tolist()
    images = [Image.fromarray(picture) for picture in pictures(6, seed)]
    images[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=images[1:], duration=shown)
    assert times(tmp_path / f"a.{ending}") == [0, *(1000 * np.cumsum(shown[:-1])).tolist()]


def test_events_lie_between_their_pictures() -> None:
    """Each interval holds what the interval alone gives; at equal distances it is `video_to_events`."""
    random = np.random.default_rng(3)
    for _ in range(5):
        moments = np.cumsum(random.integers(8, 100_000, 5)).tolist()
        shown = pictures(5, int(random.integers(100)))
        packets = list(timed_video_to_events(zip(moments, shown, strict=True), "0.12"))
        for events, (start, end), pair in zip(packets, pairwise(moments), pairwise(shown), strict=True):
            alone = np.concatenate(list(timed_video_to_events([(0, pair[0]), (end - start, pair[1])], "0.12")))
            np.testing.assert_array_equal(events["t"] - start, alone["t"])
            assert start <= events["t"][0] <= events["t"][-1] < end
    even = list(timed_video_to_events([(40_000 * i, picture) for i, picture in enumerate(shown)], "0.12"))
    np.testing.assert_array_equal(np.concatenate(even), np.concatenate(list(video_to_events(shown, 25, "0.12"))))
    for wrong in ([0, 0], [0, 7], [9, 3]):
        with pytest.raises(InputError, match="need 1 us each"):
            list(timed_video_to_events(zip(wrong, shown[:2], strict=True), "0.12"))


@pytest.mark.parametrize("ending", CODECS)
def test_a_cut_video_is_an_error_or_said(ending: str, tmp_path: Path) -> None:
    whole = film(tmp_path / f"a.{ending}", [40 * number for number in range(30)])
    data, cut = whole.read_bytes(), tmp_path / f"b.{ending}"
    assert len(times(whole)) == 30
    for share in np.random.default_rng(0).uniform(0.05, 0.98, 8):
        cut.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileFormatError, match=r"is cut off after \d+ pictures|cannot be read as a video"):
            times(cut)
        said: list[str] = []
        try:
            got = list(timed_pictures(cut, on_cut=said.append))
        except FileFormatError:
            continue  # nothing could be read
        assert 0 < len(got) < 30
        assert len(said) == 1
        assert f"is cut off after {len(got)} pictures" in said[0]


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_a_cut_animation_is_an_error(ending: str, tmp_path: Path) -> None:
    images = [Image.fromarray(picture) for picture in pictures(5)]
    images[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=images[1:], duration=40)
    data = (tmp_path / f"a.{ending}").read_bytes()
    for share in np.random.default_rng(1).uniform(0.05, 0.999, 10):
        (tmp_path / f"b.{ending}").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileFormatError, match=r"is cut off after|cannot be read as a video"):
            times(tmp_path / f"b.{ending}")


@pytest.mark.parametrize("out", ["e.npz", "e.aedat4", "e.raw"])
def test_convert_of_a_cut_video(out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("faery")
    whole = film(tmp_path / "a.mkv", [40 * number for number in range(30)])
    (tmp_path / "b.mkv").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    how = ["convert", str(tmp_path / "b.mkv"), "--out", str(tmp_path / out), "--size", "16"]
    assert run(how) == 2
    assert "is cut off after" in capsys.readouterr().err
    assert not (tmp_path / out).exists()
    assert run([*how, "--broken", "skip", "--json"]) == 0
    printed = capsys.readouterr()
    assert "is cut off after" in json.loads(printed.out)["cut_off"]
    assert "is cut off after" in printed.err
    assert len(read_events(tmp_path / out).events) == json.loads(printed.out)["count"] > 0


def test_found_videos() -> None:
    assert times(case("gif_own_durations.gif")) == [0, 500_000, 520_000, 540_000, 560_000, 580_000]
    assert times(case("video_variable_rate.mkv"))[-3:] == [2_200_000, 3_200_000, 3_240_000]
    with pytest.raises(FileFormatError, match="is cut off"):
        times(case("video_cut_mkv_0_events_rc0.mkv"))
