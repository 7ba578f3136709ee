"""Pictures from files to uint8 batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, InputError, MissingDependency

#: Largest picture that is opened, in pixels; a compressed file can claim far more than it holds.
MAX_PIXELS = 64 * 2**20
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Grey images uint8 [N, H, W] to [N, size, size], bicubic, before any conversion.

    Bicubic on 8 bits is what the I2E data sets use; it gives their published event rate on MNIST.

    Raises:
        MissingDependency: pillow is not installed.
    """
    image = _pillow()
    return np.stack([np.asarray(image.fromarray(i).resize((size, size), image.Resampling.BICUBIC)) for i in images])


def read_images(paths: Sequence[Path], size: int) -> NDArray[np.uint8]:
    """Picture files as RGB, shortest side resized to `size`, centre cropped: uint8 [N, 3, size, size].

    Raises:
        InputError: a file that is absent or too large.
        FileFormatError: a file that is not a whole picture.
        MissingDependency: pillow is not installed.
    """
    return np.stack([_read_image(path, size) for path in paths])


def find_images(path: Path) -> list[Path]:
    """`path` itself, or every picture in the folder and below, in sorted order.

    Raises:
        InputError: nothing there.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"no such file or folder: {path}")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise InputError(f"{path} holds no pictures ({', '.join(SUFFIXES)})")
    return found


def _pillow() -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise MissingDependency("pillow", "reading pictures", "pip install 'i2e-deploy[data]'") from error
    return Image


def _read_image(path: Path, size: int) -> NDArray[np.uint8]:
    image = _pillow()
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        with image.open(path) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise InputError(f"{path} has {width}x{height} pixels: at most {MAX_PIXELS} are read; scale it down")
            rgb = picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise FileFormatError(f"{path} is not a whole picture: {error}") from error
    scale = size / min(width, height)
    scaled = rgb.resize((max(size, round(width * scale)), max(size, round(height * scale))), image.Resampling.BICUBIC)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    return np.asarray(scaled.crop((left, top, left + size, top + size))).transpose(2, 0, 1)
