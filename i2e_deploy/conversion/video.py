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
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.reference import OFF, ON
from i2e_deploy.conversion.stream import Spread, frames_to_events
from i2e_deploy.conversion.threshold import as_ratio, grey_threshold
from i2e_deploy.conversion.vectors import Kernels, as_table
from i2e_deploy.conversion.video_file import MAX_PIXELS, stated_rate, timed_pictures
from i2e_deploy.errors import InputError
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
    times = (int(shown * 1e6 / frames_per_second) for shown in count())
    yield from _intervals(zip(times, pictures), ratio, steps_per_frame, kernels, spread, rng, step_us)  # noqa: B905


def timed_video_to_events(
    pictures: Iterable[tuple[int, NDArray[np.uint8]]],
    ratio: Fraction | float | str,
    steps_per_frame: int = 8,
    kernels: Kernels | None = None,
    spread: Spread = "even",
    rng: np.random.Generator | None = None,
) -> Iterator[Events]:
    """As `video_to_events`, for pictures that each have a time of their own.

    Args:
        pictures: (us at which it is shown first, uint8 picture), times rising; the steps between two pictures share
            the time between them.
        ratio, steps_per_frame, kernels, spread, rng: as there.

    Raises:
        InputError: as there, or times that go back or leave less than 1 us to a step.
    """
    yield from _intervals(pictures, ratio, steps_per_frame, kernels, spread, rng, None)


def _intervals(
    pictures: Iterable[tuple[int, NDArray[np.uint8]]],
    ratio: Fraction | float | str,
    steps: int,
    kernels: Kernels | None,
    spread: Spread,
    rng: np.random.Generator | None,
    step_us: int | None,
) -> Iterator[Events]:
    """A packet between two pictures; `step_us` None: the steps share the time between them."""
    table, fraction, done = as_table(kernels, 1)[0], as_ratio(ratio), 0
    planes = ((time, value_plane(picture)) for time, picture in pictures)
    for (start, first), (end, second) in pairwise(planes):
        if first.shape != second.shape:
            raise InputError(f"pictures change size from {list(first.shape)} to {list(second.shape)}")
        length = (end - start) // steps if step_us is None else step_us
        if length < 1:
            raise InputError(f"pictures are shown at {start} and {end} us: {steps} steps between them need 1 us each")
        cells = [table[(done + step) % len(table)] for step in range(steps)]
        frames = interval_frames(first, second, fraction, np.array(cells))
        yield frames_to_events(frames, length, start, spread, rng)
        done += steps


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


def read_video(path: str | Path, max_pixels: int = MAX_PIXELS) -> Iterator[NDArray[np.uint8]]:
    """Pictures of a video, uint8 RGB [H, W, 3], one at a time: animated GIF and WebP with Pillow, all else with PyAV.

    Raises:
        InputError: no such file.
        FileFormatError: not a video, damaged, cut off, or pictures above `max_pixels`.
        MissingDependency: pillow or av is not installed.
    """
    for _, picture in timed_pictures(path, max_pixels):
        yield picture


def video_rate(path: str | Path) -> float | None:
    """Pictures a second, as the file states (a GIF: from how long it shows its first picture); None: it does not.

    Each picture's own time is what `convert` uses; see `video_file.timed_pictures`.

    Raises:
        As `read_video`.
    """
    return stated_rate(path)


def _shifted(value: NDArray[np.int64], cell: int) -> NDArray[np.int64]:
    """The neighbour `cell` of every pixel, border replicated."""
    height, width = value.shape
    padded = np.pad(value, 1, mode="edge")
    return padded[cell // 3 : cell // 3 + height, cell % 3 : cell % 3 + width]
