"""A video as one continuous stream of events: saccades on top of the motion in the picture.

I2E compares two pixels of one picture, as if the eye jumped from one to the other in no time. In a
video the picture changes while the eye moves, so the comparison is between where the eye was, then, and
where it is, now:

    dV = V(now)[plus] - V(before)[minus]

With pictures that stand still this is I2E; with an eye that stands still (plus = minus = centre) it is
the event camera's own rule on frame differences. Between two frames the picture is interpolated
linearly, in integers. Two frames are held at a time, however long the video is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.reference import OFF, ON
from i2e_deploy.conversion.stream import Spread, frames_to_events
from i2e_deploy.conversion.threshold import as_ratio, grey_threshold
from i2e_deploy.conversion.vectors import Kernels, as_table
from i2e_deploy.errors import FileFormatError, InputError, MissingDependency
from i2e_deploy.events.array import Events


def video_to_events(
    pictures: Iterable[NDArray[np.uint8]],
    frames_per_second: float,
    ratio: Fraction | float | str,
    steps_per_frame: int = 8,
    kernels: Kernels | None = None,
    spread: Spread = "even",
    rng: np.random.Generator | None = None,
) -> Iterator[Events]:
    """Events of a video, one packet an interval between two pictures.

    Args:
        pictures: uint8 [H, W] or [H, W, C], C = 1, 3 or 4, all of one size; read one at a time.
        frames_per_second: of the video.
        ratio: S_th0.
        steps_per_frame: saccades in an interval; they go through `kernels` in turn, on and on.
        kernels: saccades in time order; default the canonical eight.
        spread: see `stream.frames_to_events`.
        rng: see `stream.frames_to_events`.

    Yields:
        Events, sorted by time inside and across packets; the first picture is at t = 0.

    Raises:
        InputError: wrong sizes, dtype, rate, ratio or kernels.
    """
    if not 1e-6 <= frames_per_second <= 1e6 or steps_per_frame < 1:
        raise InputError(
            f"{frames_per_second} frames/s, {steps_per_frame} steps a frame: give 1e-6 to 1e6 frames/s, at least 1 step"
        )
    step_us = int(1e6 / frames_per_second / steps_per_frame)
    if step_us < 1:
        raise InputError(
            f"a step would take {1e6 / frames_per_second / steps_per_frame:.2f} us: it must take at least 1"
        )
    table, fraction, done = as_table(kernels, 1)[0], as_ratio(ratio), 0
    for shown, (first, second) in enumerate(pairwise(map(value_plane, pictures))):
        if first.shape != second.shape:
            raise InputError(f"pictures change size from {list(first.shape)} to {list(second.shape)}")
        cells = [table[(done + step) % len(table)] for step in range(steps_per_frame)]
        frames = interval_frames(first, second, fraction, np.array(cells))
        yield frames_to_events(frames, step_us, int(shown * 1e6 / frames_per_second), spread, rng)
        done += steps_per_frame


def value_plane(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """max(R, G, B): uint8 [H, W] or [H, W, C] to int64 [H, W].

    Raises:
        InputError: another shape or dtype.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
        raise InputError(f"picture is {picture.dtype} {list(picture.shape)}: give uint8 [H, W] or [H, W, C]")
    return (picture if picture.ndim == 2 else picture[..., :3].max(axis=2)).astype(np.int64)


def interval_frames(
    first: NDArray[np.int64], second: NDArray[np.int64], ratio: Fraction, cells: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Event frames uint8 0/1 [S, 2, H, W] of the S steps between two value planes [H, W].

    `cells` is int64 [S, 2] (minus, plus). The threshold of a step comes from the range of the picture at its start.
    """
    steps, (height, width) = len(cells), first.shape
    frames = np.zeros((steps, 2, height, width), np.uint8)
    before = first
    for step, (minus, plus) in enumerate(cells):
        now = ((steps - step - 1) * first + (step + 1) * second) // steps
        threshold = grey_threshold(ratio, int(before.max() - before.min()))
        difference = _shifted(now, int(plus)) - _shifted(before, int(minus))
        frames[step, ON], frames[step, OFF] = difference > threshold, -difference > threshold
        before = now
    return frames


def read_video(path: str | Path, max_pixels: int = 64_000_000) -> Iterator[NDArray[np.uint8]]:
    """Pictures of a video, uint8 RGB [H, W, 3], one at a time: animated GIF and WebP with Pillow, all else with PyAV.

    Raises:
        InputError: no such file.
        FileFormatError: not a video, damaged, or pictures above `max_pixels`.
        MissingDependency: pillow or av is not installed.
    """
    path = _existing(path)
    opened = _pillow_frames if path.suffix.lower() in PILLOW else _av_frames
    with _faults(path):
        for picture in opened(path, max_pixels):
            yield np.asarray(picture.convert("RGB"))


def video_rate(path: str | Path) -> float | None:
    """Pictures a second, as the file states (a GIF: from how long it shows its first picture); None: it does not.

    Raises:
        As `read_video`.
    """
    path = _existing(path)
    with _faults(path):
        if path.suffix.lower() in PILLOW:
            with _pillow_file(path) as file:
                shown_ms = file.info.get("duration", 0)
                return 1000 / shown_ms if shown_ms else None
        with _av_file(path) as container:
            rate = container.streams.video[0].average_rate
            return float(rate) if rate else None


#: Animations that Pillow reads.
PILLOW = (".gif", ".webp")


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    return path


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What the libraries raise on a broken file, as one error of ours."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path}: cannot be read as a video ({error})") from None


def _pillow_file(path: Path) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependency("pillow", "reading a GIF", "pip install 'i2e-deploy[data]'") from None
    return Image.open(path, formats=("GIF", "WEBP"))


def _pillow_frames(path: Path, max_pixels: int) -> Iterator[Any]:
    with _pillow_file(path) as file:
        from PIL import ImageSequence

        _check_pixels(path, file.width, file.height, max_pixels)
        yield from ImageSequence.Iterator(file)


@contextmanager
def _av_file(path: Path) -> Iterator[Any]:
    try:
        import av
    except ImportError:
        raise MissingDependency("av", f"reading {path.suffix} videos", "pip install 'i2e-deploy[video]'") from None
    # An open file and no protocols: a playlist cannot make FFmpeg open other files or addresses.
    with path.open("rb") as file, av.open(file, options={"protocol_whitelist": ""}) as container:
        if not container.streams.video:
            raise FileFormatError(f"{path}: has no video stream")
        yield container


def _av_frames(path: Path, max_pixels: int) -> Iterator[Any]:
    with _av_file(path) as container:
        stream = container.streams.video[0]
        _check_pixels(path, stream.codec_context.width, stream.codec_context.height, max_pixels)
        for frame in container.decode(stream):
            _check_pixels(path, frame.width, frame.height, max_pixels)
            yield frame.to_image()


def _check_pixels(path: Path, width: int, height: int, limit: int) -> None:
    if width * height > limit:
        raise FileFormatError(f"{path}: {width} x {height} pixels, the limit is {limit}")


def _shifted(value: NDArray[np.int64], cell: int) -> NDArray[np.int64]:
    """The neighbour `cell` of every pixel, border replicated."""
    height, width = value.shape
    padded = np.pad(value, 1, mode="edge")
    return padded[cell // 3 : cell // 3 + height, cell % 3 : cell % 3 + width]
