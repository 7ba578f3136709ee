"""Pictures, image sequences and videos to one continuous stream of events, a packet at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.engine import convert
from i2e_deploy.conversion.stream import SACCADE_US, frames_to_events
from i2e_deploy.conversion.vectors import saccades
from i2e_deploy.conversion.video import read_video, video_rate, video_to_events
from i2e_deploy.datasets.picture import decode_picture, resize_pixels
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.sources import ImageSource
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events

#: Endings of files that are read as videos.
VIDEOS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
#: Called with (pictures done, name of the last).
Show = Callable[[int, str], None]


def video_events(path: Path, settings: Settings, fps: float | None, show: Show) -> Iterator[Events]:
    """A video file, resized as `settings` says; `fps` pictures a second, default the file's own rate.

    Raises:
        InputError: no such file, or its rate is unknown and not given.
        FileFormatError: not a video, or damaged.
        MissingDependency: pillow or av is not installed.
    """
    rate = video_rate(path) if fps is None else fps
    if rate is None:
        raise InputError(f"{path} does not say how many pictures it shows a second: give --fps")

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for number, picture in enumerate(read_video(path), 1):
            show(number, path.name)
            yield resize_pixels(picture, settings.resize)

    return _moving(pictures(), rate, settings)


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
