"""Small random deformations of grey pictures, each drawn from a generator of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, radians, sin

import numba
import numpy as np
from numpy.typing import NDArray

from i2e_deploy.text import record_repr

#: Side of the grid on which the elastic field is drawn.
GRID = 5


@dataclass(frozen=True)
class Deformation:
    """Ranges of the random deformation; every value is drawn uniformly per picture.

    Args:
        rotation: degrees to either side.
        zoom: share of the size to either side.
        shear: share of the size to either side.
        shift: pixels to either side.
        elastic: standard deviation in pixels of a smooth field drawn on a 5x5 grid.
    """

    rotation: float = 10.0
    zoom: float = 0.1
    shear: float = 0.1
    shift: float = 2.0
    elastic: float = 0.5

    __repr__ = record_repr


def deform(
    images: NDArray[np.uint8], ranges: Deformation, generators: Sequence[np.random.Generator]
) -> NDArray[np.uint8]:
    """Deform each picture its own way: uint8 [B, H, W] -> uint8 [B, H, W], bilinear, black outside.

    Args:
        images: the pictures.
        ranges: of what is drawn.
        generators: one a picture, so that its bits do not depend on the rest of the batch.
    """
    batch, height, width = images.shape
    affine = np.empty((batch, 2, 3), np.float64)
    fields = np.empty((batch, 2, GRID, GRID), np.float64)
    for i, rng in enumerate(generators):
        affine[i] = _affine(ranges, rng, height, width)
        fields[i] = rng.standard_normal((2, GRID, GRID)) * ranges.elastic
    out = np.empty_like(images)
    _warp(np.ascontiguousarray(images), affine, fields, _cubic(height), _cubic(width), out)
    return out


def _affine(ranges: Deformation, rng: np.random.Generator, height: int, width: int) -> list[list[float]]:
    """Where pixel (x, y), counted from the centre, comes from: rows (x, y), columns (x, y, constant)."""
    turn, zoom, squeeze, shear, right, down = (2 * rng.random(6) - 1) * (
        radians(ranges.rotation), ranges.zoom, ranges.zoom / 2, ranges.shear, ranges.shift, ranges.shift,
    )  # fmt: skip
    across, along = 1 + zoom, (1 + zoom) * (1 + squeeze)
    aspect = width / height
    return [
        [cos(turn) * across, (shear - sin(turn) * across) * aspect, right],
        [sin(turn) * along / aspect, cos(turn) * along, down],
    ]


@lru_cache(maxsize=8)
def _cubic(size: int) -> NDArray[np.float64]:
    """Weights [size, GRID] of Keys' cubic convolution (a = -0.75) from the grid to so many pixels; edges repeat."""
    weights = np.zeros((size, GRID))
    for pixel in range(size):
        place = (pixel + 0.5) * GRID / size - 0.5
        first = int(np.floor(place)) - 1
        for node in range(first, first + 4):
            distance = abs(place - node)
            near = (1.25 * distance - 2.25) * distance * distance + 1
            far = -0.75 * (((distance - 5) * distance + 8) * distance - 4)
            weights[pixel, min(max(node, 0), GRID - 1)] += near if distance <= 1 else far
    return weights


@numba.njit(cache=True, nogil=True)
def _warp(images, affine, fields, rows, columns, out):  # type: ignore[no-untyped-def]
    """Picture by picture, pixel by pixel: affine map, plus the field, then the four pixels around."""
    batch, height, width = images.shape
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                dx = dy = 0.0
                for i in range(GRID):
                    for j in range(GRID):
                        weight = rows[y, i] * columns[x, j]
                        dx += weight * fields[b, 0, i, j]
                        dy += weight * fields[b, 1, i, j]
                u, v = x - middle_x, y - middle_y
                source_x = affine[b, 0, 0] * u + affine[b, 0, 1] * v + affine[b, 0, 2] + dx + middle_x
                source_y = affine[b, 1, 0] * u + affine[b, 1, 1] * v + affine[b, 1, 2] + dy + middle_y
                left, top = int(np.floor(source_x)), int(np.floor(source_y))
                value = 0.0
                for yy in range(top, top + 2):
                    for xx in range(left, left + 2):
                        if 0 <= yy < height and 0 <= xx < width:
                            value += images[b, yy, xx] * (1 - abs(source_x - xx)) * (1 - abs(source_y - yy))
                out[b, y, x] = min(max(int(np.rint(value)), 0), 255)
