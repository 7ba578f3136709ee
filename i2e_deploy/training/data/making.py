"""One sample of one kind: pixels, events or frames become what the network sees, moved and thinned as it was drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.picture import Cut
from i2e_deploy.datasets.seeing import Seeing
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import FrameSpec, to_frames
from i2e_deploy.events.windows import into_steps
from i2e_deploy.training.data.augmentation import (
    STILL,
    Augmentation,
    Move,
    deformed,
    draw_move,
    draw_part,
    exposed,
    moved_events,
    moved_frames,
    moved_picture,
)

#: Frames unsigned [T, C, H, W], and the events that they count where there are some.
Made = tuple[NDArray[Any], Events | None]


@dataclass(frozen=True)
class Drawing:
    """What is random: the ranges, and the seed of what is left where nothing is to be random (a sensor's noise)."""

    augmentation: Augmentation
    seed: int

    def of(self, number: int, draw: int | None) -> tuple[np.random.Generator, Augmentation, Move]:
        """Generator and ranges of sample `number` in draw `draw`, and its move; see `Samples.batch`."""
        rng = np.random.default_rng(np.random.SeedSequence((self.seed if draw is None else draw, number)))
        ranges = Augmentation() if draw is None else self.augmentation
        return rng, ranges, draw_move(ranges, rng)

    def apart(self, number: int, draw: int | None) -> np.random.Generator | None:
        """A generator of its own for what was offered later, so that it changes nothing of the other draws."""
        return None if draw is None else np.random.default_rng(np.random.SeedSequence((draw, number), spawn_key=(1,)))


@dataclass(frozen=True)
class FromPicture:
    """Pictures become frames by I2E, or through a sensor.

    Args:
        seeing: how.
        drawing: what is random beside the saccades.
        channels: 2, or 1 for both polarities in one.
        binary: 0 and 1 instead of counts.
    """

    seeing: Seeing
    drawing: Drawing
    channels: int
    binary: bool

    def make(self, load: Callable[[Cut | None], NDArray[np.uint8]], number: int, draw: int | None) -> Made:
        """A picture, which `load` gives at the size of the input, uint8 [H, W, C]: whole, or a part of it."""
        rng, ranges, move = self.drawing.of(number, draw)
        apart = self.drawing.apart(number, draw)
        pixels = load(draw_part(ranges.crop, apart) if apart is not None and ranges.crop < 1 else None)
        if apart is not None and ranges.gamma:
            pixels = exposed(pixels, ranges.gamma, apart)
        pixels = moved_picture(pixels, move)
        if ranges.deformation is not None:
            pixels = deformed(pixels, ranges.deformation, rng)
        image, placed = np.ascontiguousarray(pixels.transpose(2, 0, 1)), None if draw is None else rng
        thinned = replace(STILL, drop=move.drop)
        if self.seeing.sensor is None:
            frames = in_channels(self.seeing.frames(image, placed), self.channels, self.binary)
            return moved_frames(frames, thinned, rng) if move.drop else frames, None
        height, width = image.shape[1:]
        events, _ = moved_events(self.seeing.events(image, rng, placed), thinned, height, width, rng)
        if self.channels == 1:
            events["p"] = 0
        edges = self.seeing.saccade_us * np.arange(self.seeing.steps + 1)
        return counted(events, between(events, edges), (self.channels, height, width), self.binary), events


@dataclass(frozen=True)
class FromEvents:
    """Recordings are counted into steps.

    Args:
        shape: (C, H, W) of a frame.
        steps: T.
        step_us: length of a step; None: the whole recording in steps of equal time, as `events.into_steps` cuts it.
        drawing: what is random.
        binary: 0 and 1 instead of counts.
    """

    shape: tuple[int, int, int]
    steps: int
    step_us: int | None
    drawing: Drawing
    binary: bool

    def make(self, events: Events, number: int, draw: int | None) -> Made:
        """Events in pixels of the frame (`events.seen_events`), from time 0."""
        rng, _, move = self.drawing.of(number, draw)
        if self.step_us is None:
            bounds = into_steps(events, self.steps)
        else:
            bounds = between(events, self.step_us * np.arange(self.steps + 1))
        if move != STILL:
            events, kept = moved_events(events, move, *self.shape[1:], rng)
            bounds = np.concatenate([[0], np.cumsum(kept)])[bounds]
        return counted(events, bounds, self.shape, self.binary), events


@dataclass(frozen=True)
class FromFrames:
    """Frames that are there already.

    Args:
        shape: (T, C, H, W) of a sample as it is made; one that has more steps keeps the first of them.
        drawing: what is random.
        binary: 0 and 1 instead of counts.
    """

    shape: tuple[int, int, int, int]
    drawing: Drawing
    binary: bool

    def make(self, frames: NDArray[Any], number: int, draw: int | None, where: str) -> NDArray[Any]:
        """Numbers [T, C, H, W]; `where` names the sample in errors.

        Raises:
            InputError: of another shape, below 0, or no whole numbers where events are dropped or made 0 and 1.
        """
        steps, channels, *size = self.shape
        if frames.ndim != 4 or frames.shape[0] < steps or list(frames.shape[2:]) != size:
            raise InputError(f"{where} is {list(frames.shape)}, the samples before it give {list(self.shape)}")
        rng, ranges, move = self.drawing.of(number, draw)
        if frames.dtype.kind == "f":
            if self.binary or ranges.drop or (channels == 1 and frames.shape[1] == 2):
                raise InputError(f"{where} is {frames.dtype}: binary, drop and one channel for two are for counts")
            frames = np.ascontiguousarray(frames[:steps], np.float32)
            return frames if move == STILL else moved_frames(frames, move, rng)
        if frames.dtype.kind not in "bui" or (frames.size and int(frames.min()) < 0):
            raise InputError(f"{where} is {frames.dtype} and may be below 0: expected counts of events")
        counts = in_channels(small(frames[:steps]), channels, self.binary)
        if counts.shape != self.shape:
            raise InputError(f"{where} has {frames.shape[1]} channels, the samples before it {channels}")
        return counts if move == STILL else moved_frames(counts, move, rng)


def between(events: Events, edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bounds [T, 2] of the events, sorted, between edges [T + 1] in microseconds."""
    places = np.searchsorted(events["t"], edges)
    return np.stack([places[:-1], places[1:]], axis=1)


def counted(events: Events, bounds: NDArray[np.int64], shape: tuple[int, int, int], binary: bool) -> NDArray[Any]:
    """Events in pixels of the frame, counted between bounds [T, 2]: unsigned [T, C, H, W]."""
    spec = FrameSpec((shape[2], shape[1]), shape, None, binary)
    return small(to_frames(events, np.ascontiguousarray(bounds, np.int64), spec))


def in_channels(frames: NDArray[Any], channels: int, binary: bool) -> NDArray[Any]:
    """Frames [T, 2, H, W] with both polarities added up where `channels` is 1, and with 0 and 1 alone if `binary`."""
    if channels == 1 and frames.shape[1] == 2:
        frames = small(frames.astype(np.int64).sum(axis=1, keepdims=True))
    return np.minimum(frames, 1) if binary else frames


def small(counts: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers from 0 as uint8, or where that does not hold them as uint32."""
    return counts.astype(np.uint8 if counts.size == 0 or counts.max() <= 255 else np.uint32)
