"""Random changes of training samples: the same move of a picture, of frames, or of events."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.picture import Cut
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events

if TYPE_CHECKING:
    from i2e_deploy.training.augment import Deformation

#: Parts of a picture that are tried, as torchvision does.
TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what is drawn anew for each sample and epoch; by default nothing is.

    Args:
        flip: half of the samples are mirrored, left to right.
        shift: pixels to either side and up or down; pictures repeat their edge, frames and events leave it empty.
        drop: greatest share of a sample's events that is left out at random, 0 to 1.
        deformation: of pictures, which then are grey and black outside (`training.Deformation`).
        crop: of pictures, the least share of the area that is cut out and gets the size of the input, at an aspect of
            3:4 to 4:3 (RandomResizedCrop, Szegedy et al. 2015; 0.08 is usual); 1: off. The part is cut out of the
            picture as it is in its file.
        gamma: of pictures, an exponent from 1 / (1 + gamma) to 1 + gamma for their grey values, as another exposure;
            0: off. Brightness and contrast have no counterpart here: I2E's threshold is a share of the range of grey
            values, so they change no event but by rounding. Nor have hue and saturation: I2E takes the brightest of
            red, green and blue, which both leave as it is.

    Raises:
        InputError: a value out of range.
    """

    flip: bool = False
    shift: int = 0
    drop: float = 0.0
    deformation: Deformation | None = None
    crop: float = 1.0
    gamma: float = 0.0

    def __post_init__(self) -> None:
        if not 0.01 <= self.crop <= 1 or not 0 <= self.gamma <= 4:
            raise InputError(f"crop is {self.crop}, gamma {self.gamma}: give a share from 0.01 to 1, and 0 to 4")
        if not 0 <= self.shift <= 4096 or not 0 <= self.drop <= 1:
            raise InputError(f"shift is {self.shift}, drop {self.drop}: give 0 to 4096 pixels and a share from 0 to 1")

    def only_of_pictures(self, where: str) -> None:
        """Refuse what is for pictures alone; `where` says what is no picture.

        Raises:
            InputError: `deformation`, `crop` or `gamma` is given.
        """
        still = Augmentation()
        for name in ("deformation", "crop", "gamma"):
            if getattr(self, name) != getattr(still, name):
                raise InputError(f"{name} is for pictures: {where}; leave it out")


@dataclass(frozen=True)
class Move:
    """What was drawn for a sample: mirrored or not, pixels right and down, and the share of events to drop."""

    flip: bool
    right: int
    down: int
    drop: float


#: A sample that stays as it is.
STILL = Move(False, 0, 0, 0.0)


def draw_move(ranges: Augmentation, rng: np.random.Generator) -> Move:
    """Always the same number of draws, so that what is drawn after it does not depend on the ranges."""
    flip, across, along, share = rng.random(4)
    width = 2 * ranges.shift + 1
    return Move(
        ranges.flip and flip < 0.5,
        int(across * width) - ranges.shift,
        int(along * width) - ranges.shift,
        ranges.drop * share,
    )


def draw_part(least: float, rng: np.random.Generator) -> Cut:
    """A part of a picture of any size, drawn as torchvision's RandomResizedCrop: the first of ten tries that fits.

    Where none does, the middle at the nearest aspect.
    """
    tries = rng.random((TRIES, 4))

    def cut(width: int, height: int) -> tuple[int, int, int, int]:
        for area, aspect, across, along in tries:
            share = (least + (1 - least) * area) * width * height
            ratio = (4 / 3) ** (2 * aspect - 1)
            wide, high = round(sqrt(share * ratio)), round(sqrt(share / ratio))
            if 0 < wide <= width and 0 < high <= height:
                left, top = int(across * (width - wide + 1)), int(along * (height - high + 1))
                return left, top, left + wide, top + high
        wide, high = min(width, max(1, round(height * 4 / 3))), min(height, max(1, round(width * 4 / 3)))
        left, top = (width - wide) // 2, (height - high) // 2
        return left, top, left + wide, top + high

    return cut


def exposed(pixels: NDArray[np.uint8], gamma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 [H, W, C] with another exponent of the grey values; see `Augmentation.gamma`."""
    exponent = (1 + gamma) ** (2 * rng.random() - 1)
    table: NDArray[np.uint8] = np.rint(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    made: NDArray[np.uint8] = table[pixels]
    return made


def moved_picture(pixels: NDArray[np.uint8], move: Move) -> NDArray[np.uint8]:
    """uint8 [H, W, C], mirrored and shifted; the edge is repeated."""
    if not (move.flip or move.right or move.down):
        return pixels
    height, width = pixels.shape[:2]
    rows = np.clip(np.arange(height) - move.down, 0, height - 1)
    columns = np.clip(np.arange(width) - move.right, 0, width - 1)
    return pixels[rows][:, columns[::-1] if move.flip else columns]


def moved_frames(frames: NDArray[Any], move: Move, rng: np.random.Generator) -> NDArray[Any]:
    """Unsigned integers [T, C, H, W], mirrored and shifted, and thinned event by event."""
    height, width = frames.shape[2:]
    made = np.zeros_like(frames)
    across, along = min(abs(move.right), width), min(abs(move.down), height)
    to_x, from_x = _halves(move.right, across, width)
    to_y, from_y = _halves(move.down, along, height)
    made[..., to_y, to_x] = frames[..., from_y, from_x]
    if move.flip:
        made = made[..., ::-1].copy()
    if move.drop:
        there = np.nonzero(made)
        made[there] = rng.binomial(made[there].astype(np.int64), 1 - move.drop).astype(made.dtype)
    return made


def moved_events(
    events: Events, move: Move, height: int, width: int, rng: np.random.Generator
) -> tuple[Events, NDArray[np.bool_]]:
    """Events on `width` x `height` pixels, shifted and mirrored as by `moved_frames`, and which of them are left."""
    made = events.copy()
    x, y = events["x"].astype(np.int64) + move.right, events["y"].astype(np.int64) + move.down
    kept = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    if move.drop:
        kept &= rng.random(len(events)) >= move.drop
    made["x"][kept], made["y"][kept] = (width - 1 - x if move.flip else x)[kept], y[kept]
    return made[kept], kept


def deformed(pixels: NDArray[np.uint8], ranges: Deformation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 [H, W, C] to uint8 [H, W, 1]: the greatest colour of each pixel, which is all that I2E sees, deformed."""
    from i2e_deploy.training.augment import deform

    grey: NDArray[np.uint8] = pixels[None, ..., :3].max(axis=3)
    made: NDArray[np.uint8] = deform(grey, ranges, [rng])[0]
    return made[..., None]


def _halves(move: int, size: int, length: int) -> tuple[slice, slice]:
    """Where to and where from along one axis."""
    if move >= 0:
        return slice(size, length), slice(0, length - size)
    return slice(0, length - size), slice(size, length)
