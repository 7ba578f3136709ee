"""Real time, sensor realism and video: exact where nothing is drawn, statistical where something is."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.conversion import i2e_reference
from i2e_deploy.conversion.energy import first_layer_energy
from i2e_deploy.conversion.event_kernels import outside_dead_time
from i2e_deploy.conversion.sensor import PRESETS, Sensor, make_pixels, simulate
from i2e_deploy.conversion.stream import Spread, events_to_frames, frames_to_events
from i2e_deploy.conversion.vectors import kernel_table, saccades
from i2e_deploy.conversion.video import read_video, video_to_events
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.events.array import check_events, empty_events


def picture(seed: int, height: int = 20, width: int = 30) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    steps=st.integers(0, 8),
    rate=st.floats(0, 1),
    saccade=st.integers(1, 50_000),
    start=st.integers(-(10**9), 10**12),
    spread=st.sampled_from(["even", "start", "random"]),
)
def test_frames_to_events_and_back(
    seed: int, steps: int, rate: float, saccade: int, start: int, spread: Spread
) -> None:
    rng = np.random.default_rng(seed)
    frames = (rng.random((steps, 2, 7, 9)) < rate).astype(np.uint8)
    events = check_events(frames_to_events(frames, saccade, start, spread, rng), 9, 7)
    assert len(events) == frames.sum()
    if steps:
        np.testing.assert_array_equal(events_to_frames(events, steps, 7, 9, saccade, start), frames)


def test_even_spread_fills_the_bin() -> None:
    frames = np.zeros((2, 2, 2, 2), np.uint8)
    frames[1] = 1
    events = frames_to_events(frames, saccade_us=800)
    assert events["t"].tolist() == [800, 900, 1000, 1100, 1200, 1300, 1400, 1500]
    assert events[["y", "x", "p"]].tolist() == [(y, x, p) for y, x in [(0, 0), (0, 1), (1, 1), (1, 0)] for p in (0, 1)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"spread": "random"}, "generator"), ({"spread": "odd"}, "odd"), ({"saccade_us": 0}, "at least 1")],
)
def test_bad_stream_arguments(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        frames_to_events(np.zeros((1, 2, 1, 1), np.uint8), **arguments)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), ratio=st.fractions(0, 1, max_denominator=200))
def test_ideal_sensor_is_i2e(seed: int, ratio: Fraction) -> None:
    image = picture(seed)
    events = check_events(simulate(image, ratio, Sensor(), np.random.default_rng(0)), 30, 20)
    np.testing.assert_array_equal(events_to_frames(events, 8, 20, 30), i2e_reference(image[None], ratio)[0])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_reproducible_and_valid(name: str) -> None:
    image = picture(1)
    first, second = (simulate(image, "0.12", PRESETS[name], np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    check_events(first, 30, 20)
    assert first["t"].max() < 80_000
    other = simulate(image, "0.12", PRESETS[name], np.random.default_rng(6))
    assert (name == "ideal") == np.array_equal(first, other)


def test_low_pass_delays_weak_edges_and_loses_the_weakest() -> None:
    """tau = 1 / (2 pi 10 Hz) = 15.9 ms; a step of 1.1 thresholds crosses at tau ln 11 = 38 ms, beyond 30 ms."""
    image = np.zeros((1, 1, 40), np.uint8)
    image[0, 0, 10:], image[0, 0, 20:], image[0, 0, 39] = 22, 142, 255
    right = kernel_table(saccades(("alpha", "beta", "gamma"), 1))
    sensor, rng = Sensor(cutoff_hz=10), np.random.default_rng(0)
    events = simulate(image, Fraction(20, 255), sensor, rng, kernels=right, saccade_us=30_000)
    assert events["x"].tolist() == [19, 38]
    expected = 1e6 / (2 * np.pi * 10) * np.log([120 / 100, 113 / 93])
    np.testing.assert_array_equal(np.sort(events["t"]), np.sort(expected.astype(np.int64)))


def test_repeated_events_along_a_moving_edge() -> None:
    """Range 255, s = 51: a step of 255 passes s, 2 s, 3 s, 4 s; 5 s = dV is a tie and does not fire."""
    image = np.zeros((1, 1, 4), np.uint8)
    image[0, 0, 2:] = 255
    right = kernel_table(saccades(("alpha", "beta", "gamma"), 1))
    rng = np.random.default_rng(0)
    events = simulate(image, "0.2", Sensor(repeat=True), rng, kernels=right, saccade_us=1000, motion_us=1000)
    assert events["t"].tolist() == [200, 400, 600, 800]
    assert set(events["x"].tolist()) == {1}


def test_noise_has_its_rate() -> None:
    """Statistical: Poisson counts within five standard deviations, on a flat black picture."""
    image, seconds = np.zeros((1, 100, 100), np.uint8), 8 * 0.125
    for sensor, rate, on in (
        (Sensor(leak_rate_hz=2), 2.0, 1.0),
        (Sensor(shot_noise_rate_hz=3), 3.0, 0.5),
        (Sensor(hot_fraction=1, hot_rate_hz=4), 4.0, 0.5),
    ):
        events = simulate(image, "0.12", sensor, np.random.default_rng(0), saccade_us=125_000)
        mean = rate * 1e4 * seconds
        assert abs(len(events) - mean) < 5 * mean**0.5
        assert abs(events["p"].mean() - on) < 0.05


def test_mismatch_belongs_to_the_sensor_not_to_the_recording() -> None:
    sensor = Sensor(sigma_thres=0.3)
    pixels = make_pixels(sensor, 20, 30, seed=3)
    runs = [simulate(picture(0), "0.12", sensor, np.random.default_rng(seed), pixels) for seed in (1, 2)]
    np.testing.assert_array_equal(runs[0], runs[1])
    other = simulate(picture(0), "0.12", sensor, np.random.default_rng(1), make_pixels(sensor, 20, 30, seed=4))
    assert not np.array_equal(runs[0], other)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), dead=st.integers(1, 60))
def test_refractory_period_is_kept(seed: int, dead: int) -> None:
    rng = np.random.default_rng(seed)
    t, pixel = np.sort(rng.integers(0, 300, 200)), rng.integers(0, 4, 200)
    keep = outside_dead_time(t, pixel, 4, dead)
    last: dict[int, int] = {}
    for time, place, kept in zip(t.tolist(), pixel.tolist(), keep.tolist(), strict=True):
        assert kept == (place not in last or time - last[place] >= dead)
        if kept:
            last[place] = time


def test_sensor_values_are_checked() -> None:
    for bad in ({"sigma_thres": -1}, {"hot_fraction": 2}, {"jitter_us": float("nan")}):
        with pytest.raises(InputError, match=next(iter(bad))):
            Sensor(**bad)
    with pytest.raises(InputError, match="pixels are for"):
        simulate(picture(0), "0.12", Sensor(), np.random.default_rng(0), make_pixels(Sensor(), 5, 5, 0))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), frames=st.integers(2, 4), rate=st.sampled_from([25, 30, 50.0]))
def test_still_video_is_i2e(seed: int, frames: int, rate: float) -> None:
    image = picture(seed)
    packets = list(video_to_events([image.transpose(1, 2, 0)] * frames, rate, "0.12"))
    assert len(packets) == frames - 1
    step = int(1e6 / rate / 8)
    expected = i2e_reference(image[None], "0.12")[0]
    for index, events in enumerate(packets):
        np.testing.assert_array_equal(events_to_frames(events, 8, 20, 30, step, int(index * 1e6 / rate)), expected)
    check_events(np.concatenate(packets), 30, 20)


def test_still_eye_is_a_frame_difference() -> None:
    first, second = picture(0)[0], picture(1)[0]
    centre = np.array([[[4, 4]]])
    (events,) = video_to_events([first, second], 100, "0.2", steps_per_frame=1, kernels=centre)
    change = second.astype(int) - first
    limit = (int(first.max()) - int(first.min())) * 2 // 10
    frames = events_to_frames(events, 1, 20, 30, 10_000)
    np.testing.assert_array_equal(frames[0], np.stack([-change > limit, change > limit]))


def test_long_video_in_bounded_memory() -> None:
    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index in range(600):
            yield np.roll(base, index, axis=1)

    base = picture(0, 64, 64).transpose(1, 2, 0)
    next(video_to_events([base, base], 25, "0.12"))
    tracemalloc.start()
    last = -1
    for events in video_to_events(pictures(), 25, "0.12", steps_per_frame=2):
        assert events["t"][0] > last
        last = int(events["t"][-1])
    assert tracemalloc.get_traced_memory()[1] < 6 << 20
    tracemalloc.stop()
    assert last // 40_000 == 598


def test_animated_gif_and_broken_videos(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    pictures = [image_module.fromarray(picture(seed).transpose(1, 2, 0)) for seed in range(3)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:])
    (tmp_path / "a.gif").write_bytes(file.getvalue())
    assert [frame.shape for frame in read_video(tmp_path / "a.gif")] == [(20, 30, 3)] * 3
    (tmp_path / "b.gif").write_bytes(b"GIF89a" + bytes(20))
    for path, limit in ((tmp_path / "b.gif", 1000), (tmp_path / "a.gif", 100)):
        with pytest.raises(FileFormatError, match=path.name):
            list(read_video(path, limit))


def test_video_file_through_pyav(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 32, 16
        for seed in range(4):
            rgb = np.ascontiguousarray(picture(seed, 16, 32).transpose(1, 2, 0))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    assert [frame.shape for frame in read_video(tmp_path / "a.mp4")] == [(16, 32, 3)] * 4
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    (tmp_path / "hls.mp4").write_text("#EXTM3U\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n")
    for name in ("list.mp4", "hls.mp4"):
        with pytest.raises(FileFormatError, match=name):
            list(read_video(tmp_path / name))


def test_bad_video_arguments() -> None:
    image = picture(0).transpose(1, 2, 0)
    for pictures, rate, text in (
        ([image, image[:5]], 25, "change size"),
        ([image.astype(np.float32)] * 2, 25, "uint8"),
        ([image, image], 0, "1e-6 to 1e6 frames"),
        ([image, image], 500_000, "at least 1"),
    ):
        with pytest.raises(InputError, match=text):
            list(video_to_events(pictures, rate, "0.12"))  # type: ignore[arg-type]


def test_energy_of_the_paper() -> None:
    """arXiv 2511.08065: 543 uJ, 0.36 uJ, 28.68 uJ with the conversion, 18.9x at 5 %; 14.3x at the measured 6.66 %."""
    paper = first_layer_energy(0.05)
    assert round(paper.ann_uj) == 543
    assert round(paper.conversion_uj, 2) == 0.36
    assert round(paper.conversion_uj + paper.spiking_uj, 2) == 28.68
    assert round(paper.advantage, 1) == 18.9
    assert round(first_layer_energy(0.0666).advantage, 1) == 14.3
    with pytest.raises(InputError, match="event rate"):
        first_layer_energy(1.5)


def test_empty_events_make_empty_frames() -> None:
    assert not events_to_frames(empty_events(), 8, 4, 4).any()
