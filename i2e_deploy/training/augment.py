"""Small random deformations of grey pictures, batched, from an explicit generator."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
import torch.nn.functional as F
from torch import Tensor


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


def deform(images: Tensor, ranges: Deformation, generator: torch.Generator) -> Tensor:
    """Deform each picture its own way: uint8 [B, H, W] -> uint8 [B, H, W], bilinear, black outside."""
    batch, height, width = images.shape

    def draw(limit: float) -> Tensor:
        return (torch.rand(batch, generator=generator) * 2 - 1) * limit

    angle, zoom, squeeze, shear = (
        draw(radians(ranges.rotation)),
        draw(ranges.zoom),
        draw(ranges.zoom / 2),
        draw(ranges.shear),
    )
    down, right = draw(2 * ranges.shift / height), draw(2 * ranges.shift / width)
    across, along = 1 + zoom, (1 + zoom) * (1 + squeeze)
    rows = (angle.cos() * across, shear - angle.sin() * across, right, angle.sin() * along, angle.cos() * along, down)
    grid = F.affine_grid(torch.stack(rows, 1).view(batch, 2, 3), [batch, 1, height, width], align_corners=False)
    field = torch.randn(batch, 2, 5, 5, generator=generator) * (2 * ranges.elastic / height)
    field = F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
    moved = F.grid_sample(images[:, None].float(), grid + field.permute(0, 2, 3, 1), align_corners=False)
    return moved[:, 0].round().clamp(0, 255).to(torch.uint8)
