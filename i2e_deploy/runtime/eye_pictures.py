"""Pictures for a program with an eye: an array, or a folder, an archive or a file of pictures, with their labels."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.eye import Eye
from i2e_deploy.datasets.listing import UNLABELLED, list_names
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_array, read_arrays
from i2e_deploy.text import counted, said

#: Most bytes of the pixels of all pictures.
MAX_BYTES = 2**32


class Pictures(NamedTuple):
    """What a program with an eye is shown.

    Args:
        images: uint8 [N, C, H, W], C = 1, 3 or 4.
        labels: int64 [N], or None.
        classes: their names, where folders say them.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        labels = [] if self.labels is None else [counted(len(set(self.labels.tolist())), "label")]
        return said(self, f"images {list(self.images.shape)}", *labels)


def read_pictures(path: Path, eye: Eye, limit: int = 0, resize: Resize | None = None) -> Pictures:
    """Pictures at the eye's size.

    Args:
        path: `.npy` of uint8 [N, C, H, W] or [C, H, W]; `.npz` with `images` and `labels`; a folder tree, an archive,
            Parquet files or one picture, whose last folders are the classes.
        limit: at most so many; 0 = all. Of files, evenly from the classes.
        resize: how files get their size; None: the shorter side is scaled and the middle cut out, where the eye is
            square, else they must have it.

    Raises:
        InputError: nothing there, or pictures of another size.
        FileFormatError: a file is damaged.
    """
    if path.suffix in (".npy", ".npz"):
        return _from_array(path, limit)
    source = open_source(str(path))
    listing = list_names(source.names(), "last")
    if not listing.names:
        raise InputError(f"{path}: no pictures there")
    chosen = _evenly(listing.labels, limit)
    _, height, width = eye.shape
    if (size := len(chosen) * 3 * height * width) > MAX_BYTES:
        raise InputError(
            f"{len(chosen)} pictures of {height} x {width} are {size} bytes, at most {MAX_BYTES}: take fewer"
        )
    resize = resize or Resize(height if height == width else None)
    images = np.empty((len(chosen), 3, height, width), np.uint8)
    for row, index in zip(images, chosen, strict=True):
        name = listing.names[index]
        pixels = decode_picture(source.read(name), resize, name)
        if pixels.shape[:2] != (height, width):
            found = f"{pixels.shape[0]} x {pixels.shape[1]}"
            raise InputError(f"{name} is {found}, the eye takes {height} x {width}: a size that is no square must fit")
        row[:] = pixels.transpose(2, 0, 1)
    labels = listing.labels[chosen]
    return Pictures(images, None if (labels == UNLABELLED).any() else labels, listing.classes)


def _evenly(labels: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """The first of each class, the second of each, ..., in the order of the names; all for 0."""
    if not limit or limit >= len(labels):
        return np.arange(len(labels))
    place = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        place[labels == label] = np.arange((labels == label).sum())
    return np.sort(np.lexsort((labels, place))[:limit])


def _from_array(path: Path, limit: int) -> Pictures:
    labels = None
    if path.suffix == ".npz":
        arrays = read_arrays(path)
        if "images" not in arrays:
            raise InputError(f"{path} holds {', '.join(arrays)}: a program with an eye takes `images` [N, C, H, W]")
        images = arrays["images"]
        if "labels" in arrays:
            labels = arrays["labels"]
            if labels.dtype.kind not in "biu" or labels.shape != images.shape[:1]:
                raise FileFormatError(f"{path}: labels are {labels.dtype} {list(labels.shape)}: give whole numbers [N]")
    else:
        images = read_array(path)
    images = images[None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise InputError(
            f"{path} is {images.dtype} {list(images.shape)}: give pictures, uint8 [N, C, H, W] or [C, H, W]"
        )
    most = limit or len(images)
    return Pictures(images[:most], None if labels is None else labels[:most].astype(np.int64))
