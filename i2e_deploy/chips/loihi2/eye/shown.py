"""Pictures as the frames that an eye takes: in the first step, with their border repeated once; then nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.eye import Eye
from i2e_deploy.conversion.reference import check_images
from i2e_deploy.conversion.threshold import to_uint8
from i2e_deploy.errors import InputError


def frames_of(eye: Eye, images: NDArray[np.uint8] | NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Frames uint8 [B, T, C, H + 2, W + 2], T the steps of the eye's events.

    Args:
        images: see `conversion.convert`: [B, C, H, W], C = 1, 3 or 4. The eye of one channel is shown V, the largest
            of the three; the eye of three is shown a grey picture three times.

    Raises:
        InputError: wrong shape, dtype or range of values, or pictures of another size.
    """
    pixels: NDArray[np.uint8] = images if images.dtype == np.uint8 else to_uint8(images)  # type: ignore[assignment, arg-type]
    check_images(pixels.shape, pixels.dtype)
    channels, height, width = eye.shape
    if pixels.shape[2:] != (height, width):
        raise InputError(
            f"the pictures are {pixels.shape[2]} x {pixels.shape[3]}, the eye takes {height} x {width}: resize them"
        )
    colours = pixels[:, :3]
    seen = colours.max(axis=1, keepdims=True) if channels == 1 else np.broadcast_to(colours, (len(colours), *eye.shape))
    frames = np.zeros((len(seen), eye.steps, channels, height + 2, width + 2), np.uint8)
    frames[:, 0] = np.pad(seen, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    return frames
