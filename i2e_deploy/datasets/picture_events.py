"""Pictures, image sequences and videos to one continuous stream of events, a packet at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.engine import convert
from i2e_deploy.conversion.stream import SACCADE_US, frames_to_events
from i2e_deploy.conversion.vectors import saccades
from i2e_deploy.conversion.video import timed_video_to_events, video_to_events
from i2e_deploy.conversion.video_file import OnCut, timed_pictures
from i2e_deploy.datasets.picture import decode_picture, resize_pixels
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.sources import ImageSource
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events

#: Endings of files that are read as videos.
VIDEOS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
#: Called with (pictures done, name of the last).
Show = Callable[[int, str], None]


def video_events(
    path: Path, settings: Settings, fps: float | None, show: Show, on_cut: OnCut | None = None
) -> Iterator[Events]:
    """A video file, resized as `settings` says; each picture at its own time, or `fps` pictures a second.

    Args:
        path: the file.
        settings: how to convert.
        fps: pictures a second; None: each has its own time in the file.
        show: told of each picture.
        on_cut: told why a file that was cut off ends; None: that is an error.

    Raises:
        InputError: no such file, or it gives its pictures no times and `fps` is not given.
        FileFormatError: not a video, damaged, or cut off.
        MissingDependency: pillow or av is not installed.
    """

    def pictures() -> Iterator[tuple[int | None, NDArray[np.uint8]]]:
        for number, (time, picture) in enumerate(timed_pictures(path, on_cut=on_cut), 1):
            show(number, path.name)
            yield time, resize_pixels(picture, settings.resize)

    def timed() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        last = -1
        for number, (time, picture) in enumerate(pictures(), 1):
            if time is None or time <= last:
                when = "at no known time" if time is None else f"at {time} us, not after the one before ({last} us)"
                raise InputError(f"{path} shows picture {number} {when}: give --fps")
            yield time, picture
            last = time

    if fps is not None:
        return _moving((picture for _, picture in pictures()), fps, settings)
    kernels = saccades(settings.order, settings.steps)
    return timed_video_to_events(timed(), settings.ratio, settings.steps, kernels)


def sequence_events(source: ImageSource, settings: Settings, fps: float | None, show: Show) -> Iterator[Events]:
    """Pictures in the order of their names: frames of a video at `fps`, or else shown for one I2E sample each."""

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for number, name in enumerate(source.names(), 1):
            yield decode_picture(source.read(name), settings.resize, name)
            show(number, name)

    return _shown(pictures(), settings) if fps is None else _moving(pictures(), fps, settings)


def _moving(pictures: Iterator[NDArray[np.uint8]], rate: float, settings: Settings) -> Iterator[Events]:
    kernels = saccades(settings.order, settings.steps)
    return video_to_events(pictures, rate, settings.ratio, settings.steps, kernels)


def _shown(pictures: Iterator[NDArray[np.uint8]], settings: Settings) -> Iterator[Events]:
    """Each picture for `steps` saccades of `SACCADE_US`."""
    kernels = saccades(settings.order, settings.steps)
    for number, picture in enumerate(pictures):
        frames = convert(picture.transpose(2, 0, 1)[None], settings.ratio, kernels)[0]
        yield frames_to_events(frames, start_us=number * settings.steps * SACCADE_US)
