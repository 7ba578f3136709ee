"""The definition of I2E: slow, obvious, integers only. Every other implementation equals it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import Kernels, as_table
from i2e_deploy.errors import InputError

OFF, ON = 0, 1


def check_images(shape: Sequence[int], dtype: object) -> None:
    """Raise InputError unless `shape` is [B, C, H, W] with C in (1, 3, 4) and `dtype` is uint8."""
    if len(shape) != 4 or shape[1] not in (1, 3, 4) or 0 in shape[2:]:
        raise InputError(f"images have shape {list(shape)}: give [B, C, H, W] with C = 1 (grey), 3 (RGB) or 4 (RGBA)")
    if dtype != np.uint8 and str(dtype) != "torch.uint8":
        raise InputError(f"images have dtype {dtype}: the integer rule is for uint8")


def i2e_reference(
    images: NDArray[np.uint8], ratio: Fraction | float | str, kernels: Kernels | None = None
) -> NDArray[np.uint8]:
    """Convert images to event frames, pixel by pixel as the paper writes it.

    Args:
        images: uint8 [B, C, H, W], C = 1, 3 or 4 (alpha is ignored), any memory order.
        ratio: S_th0, see `threshold.as_ratio`.
        kernels: the saccades in time order (default the canonical eight), or cells int64 [1 or B, T, 2].

    Returns:
        uint8 0/1 [B, T, 2, H, W]; channel 0 = OFF (darker), 1 = ON (brighter).

    Raises:
        InputError: wrong shape, dtype, ratio or kernels.

    Source: arXiv 2511.08065, section 3; the rule for ties in `threshold`.
    """
    check_images(images.shape, images.dtype)
    fraction, tables = as_ratio(ratio), as_table(kernels, len(images))
    value = images[:, :3].max(axis=1).astype(np.int64)
    batch, height, width = value.shape
    padded = np.pad(value, ((0, 0), (1, 1), (1, 1)), mode="edge")
    frames = np.zeros((batch, tables.shape[1], 2, height, width), np.uint8)
    for b in range(batch):
        threshold = fraction.numerator * (value[b].max() - value[b].min())
        for t, (minus, plus) in enumerate(tables[b % len(tables)]):
            bright, dark = (padded[b, c // 3 : c // 3 + height, c % 3 : c % 3 + width] for c in (plus, minus))
            difference = fraction.denominator * (bright - dark)
            frames[b, t, ON] = difference > threshold
            frames[b, t, OFF] = -difference > threshold
    return frames
