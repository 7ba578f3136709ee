"""Image files to uint8 pixels of the wanted size; limits are checked before pixels are decoded."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import FileFormatError, InputError, MissingDependency
from i2e_deploy.requirements import install_command
from i2e_deploy.text import one_line

#: Pillow's names of the formats that are read; its other decoders stay closed.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "GIF", "TIFF")
#: Endings of file names that count as images.
ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".gif", ".tif", ".tiff")
#: Endings of HEIF files, the pictures of phones; they count as images where the extra `heic` is installed.
HEIF = (".heic", ".heif", ".hif")
#: Endings of pictures that are not read: their number is said.
UNREAD = (
    ".arw", ".avif", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".heic", ".heif", ".hif", ".ico", ".j2k", ".jfif", ".jp2",
    ".jxl", ".nef", ".orf", ".pbm", ".pcx", ".pfm", ".pnm", ".psd", ".raf", ".rw2", ".svg", ".tga", ".xcf",
)  # fmt: skip
#: Largest image file in bytes, and largest picture in pixels.
MAX_FILE_BYTES = 128 << 20
MAX_PIXELS = 64_000_000
#: Largest side after resizing, before cropping: a strip of one pixel would grow without bound.
MAX_SIDE = 2**16

#: From (width, height) of an upright picture to the part that is cut out of it: left, top, right, bottom in pixels.
Cut = Callable[[int, int], tuple[int, int, int, int]]

#: See `Resize`.
Fit = Literal["crop", "squash", "imagenet"]
Resample = Literal["bicubic", "bilinear", "nearest"]
FITS: tuple[Fit, ...] = get_args(Fit)
RESAMPLES: tuple[Resample, ...] = get_args(Resample)


@cache
def endings() -> tuple[str, ...]:
    """Endings of file names that count as images here."""
    return (*ENDINGS, *HEIF) if find_spec("pi_heif") is not None else ENDINGS


@dataclass(frozen=True)
class Resize:
    """How a picture becomes `size` x `size` pixels; always on 8-bit levels, before conversion.

    Args:
        size: pixels a side; None keeps the picture as it is.
        fit: `"crop"` scales the shorter side to `size` and cuts the middle; `"squash"` scales both sides
            (CIFAR in the paper); `"imagenet"` scales the shorter side to `size * 256 / 224` and cuts the
            middle (ImageNet's test pictures in the paper).
        resample: filter. The authors' training code uses bilinear, their data set card says bicubic.

    Raises:
        InputError: an unknown word, or a size outside 1 to 8192.
    """

    size: int | None = None
    fit: Fit = "crop"
    resample: Resample = "bicubic"

    def __post_init__(self) -> None:
        if self.size is not None and not 1 <= self.size <= 8192:
            raise InputError(f"size is {self.size}: give 1 to 8192 pixels")
        if self.fit not in FITS or self.resample not in RESAMPLES:
            raise InputError(
                f"fit is {self.fit!r}, resample {self.resample!r}: fit is one of {FITS}, resample of {RESAMPLES}"
            )


def decode_picture(data: bytes, resize: Resize, where: str = "image", cut: Cut | None = None) -> NDArray[np.uint8]:
    """Bytes of an image file to uint8 RGB [H, W, 3], upright: turned as its EXIF orientation says.

    Args:
        data: the file.
        resize: to which size, and how.
        where: names it in errors.
        cut: a part of the picture that gets the size instead of the whole, by both sides, whatever `resize.fit` says.

    Raises:
        MissingDependency: Pillow is not installed.
        FileFormatError: not an image of a known format, damaged, or larger than the limits.
    """
    image_module = pillow()
    if len(data) > MAX_FILE_BYTES:
        raise FileFormatError(f"{where}: {len(data)} bytes, the limit is {MAX_FILE_BYTES}")
    with warnings.catch_warnings():
        # Pillow warns of pictures above its own limit and of odd metadata: the first is refused below.
        warnings.simplefilter("ignore")
        try:
            picture = image_module.open(io.BytesIO(data), formats=_formats(data))
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise FileFormatError(f"{where}: {width} x {height} pixels, the limit is {MAX_PIXELS}")
            if picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1:
                raise FileFormatError(f"{where}: holds {picture.n_frames} pictures: save each as a file")
            return np.asarray(_resized(_rgb(_upright(picture), image_module), resize, image_module, cut))
        except FileFormatError:
            raise
        except image_module.UnidentifiedImageError:  # its text holds an address in memory: it would differ in each run
            raise FileFormatError(f"{where}: is not a whole picture (none of {', '.join(FORMATS)})") from None
        except Exception as error:  # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error, ...
            reason = one_line(error)
            raise FileFormatError(f"{where}: is not a whole picture ({reason})") from None


def picture_size(data: bytes, where: str = "image") -> tuple[int, int]:
    """(width, height) that the head of an image file states, as it is stored; nothing is decoded.

    Raises:
        MissingDependency: Pillow is not installed.
        FileFormatError: not an image of a known format.
    """
    image_module = pillow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            width, height = image_module.open(io.BytesIO(data), formats=_formats(data)).size
        except Exception as error:  # as in `decode_picture`
            raise FileFormatError(f"{where}: is not a whole picture ({type(error).__name__})") from None
    return int(width), int(height)


def resize_pixels(pixels: NDArray[np.uint8], resize: Resize, cut: Cut | None = None) -> NDArray[np.uint8]:
    """uint8 RGB [H, W, 3] at the wanted size; `cut` as in `decode_picture`.

    Raises:
        MissingDependency: Pillow is not installed.
        FileFormatError: a picture too thin to be scaled.
    """
    image_module = pillow()
    return np.asarray(_resized(image_module.fromarray(pixels), resize, image_module, cut))


def pillow() -> Any:
    """`PIL.Image`.

    Raises:
        MissingDependency: pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingDependency("pillow", "reading image files", install_command("pillow")) from None
    return Image


def _formats(data: bytes) -> tuple[str, ...]:
    """Pillow's names of the formats that may be tried: HEIF alone where the bytes begin as one, and it is installed."""
    if data[4:8] != b"ftyp" or find_spec("pi_heif") is None:
        return FORMATS
    import pi_heif

    pi_heif.register_heif_opener()
    return ("HEIF",)


def _upright(picture: Any) -> Any:
    from PIL import ImageOps

    return ImageOps.exif_transpose(picture)


def _rgb(picture: Any, image_module: Any) -> Any:
    """Pillow clips 16-bit greys to 255 when it converts them; here 65535 becomes 255."""
    if picture.mode.startswith("I;16"):
        picture = image_module.fromarray((np.asarray(picture) // 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise FileFormatError(f"mode {picture.mode!r} has no fixed range of grey: save as 8 or 16 bits")
    return picture.convert("RGB")


def _resized(picture: Any, resize: Resize, image_module: Any, cut: Cut | None) -> Any:
    """A Pillow RGB picture, or a part of it, at the wanted size."""
    if cut is not None:
        picture, resize = picture.crop(cut(*picture.size)), replace(resize, fit="squash")
    if resize.size is None:
        return picture
    method, size = getattr(image_module.Resampling, resize.resample.upper()), resize.size
    if picture.size == (size, size) and resize.fit != "imagenet":
        return picture
    if resize.fit == "squash":
        return picture.resize((size, size), method)
    width, height = picture.size
    scale = (round(size * 256 / 224) if resize.fit == "imagenet" else size) / min(width, height)
    if max(width, height) * scale > MAX_SIDE:
        raise FileFormatError(f"{width} x {height} pixels become a side of {max(width, height) * scale:.0f}: too thin")
    width, height = max(size, round(width * scale)), max(size, round(height * scale))
    left, top = (width - size) // 2, (height - size) // 2
    return picture.resize((width, height), method).crop((left, top, left + size, top + size))


def resize(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Grey images uint8 [N, H, W] to [N, size, size], bicubic, before any conversion.

    Bicubic on 8 bits is what the I2E data sets use; it gives their published event rate on MNIST.

    Raises:
        MissingDependency: pillow is not installed.
    """
    image = pillow()
    return np.stack([np.asarray(image.fromarray(i).resize((size, size), image.Resampling.BICUBIC)) for i in images])
