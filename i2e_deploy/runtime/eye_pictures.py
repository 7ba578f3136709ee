"""Pictures for a program with an eye: an array, or a folder, an archive or a file of pictures, with their labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.eye import Eye
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.datasets.card import Card
from i2e_deploy.datasets.listing import UNLABELLED, list_names
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_array, read_arrays
from i2e_deploy.runtime.eval_named import evenly_chosen, labels_of, silent, words_of
from i2e_deploy.text import counted, said

#: Most bytes of the pixels of all pictures.
MAX_BYTES = 2**32


class Pictures(NamedTuple):
    """What a program with an eye is shown.

    Args:
        images: uint8 [N, C, H, W], C = 1, 3 or 4.
        labels: int64 [N], or None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None = None

    def __repr__(self) -> str:
        labels = [] if self.labels is None else [counted(len(set(self.labels.tolist())), "label")]
        return said(self, f"images {list(self.images.shape)}", *labels)


def read_pictures(
    path: Path, eye: Eye, limit: int = 0, card: Card | None = None, say: Callable[[str], None] | None = None
) -> Pictures:
    """Pictures at the eye's size.

    Args:
        path: `.npy` of uint8 [N, C, H, W] or [C, H, W]; `.npz` with `images` and `labels`; a folder tree, an archive,
            Parquet files or one picture, whose last folders are the classes.
        limit: at most so many; 0 = all. Of files, evenly from the classes.
        card: of the network's data: numbers of the classes, and how pictures get their size; None: classes are numbered
            in the order of their names, the shorter side is scaled and the middle cut out. Where the eye is not square,
            pictures must have its size.
        say: called with each sentence on what was assumed.

    Raises:
        InputError: nothing there, pictures of another size, or a class that the card does not name.
        FileFormatError: a file is damaged.
    """
    if path.suffix in (".npy", ".npz"):
        return _from_array(path, limit)
    tell, source = say or silent, open_source(str(path))
    listing = list_names(source.names(), "last")
    if not listing.names:
        raise InputError(f"{path}: no pictures there")
    without = bool((listing.labels == UNLABELLED).any())
    labels = listing.labels if without else labels_of(listing, card, path, tell)
    chosen = np.arange(len(labels))[: limit or None] if without else evenly_chosen(
        listing, labels, limit or len(labels), tell
    )  # fmt: skip
    _, height, width = eye.shape
    if (size := len(chosen) * 3 * height * width) > MAX_BYTES:
        raise InputError(
            f"{len(chosen)} pictures of {height} x {width} are {size} bytes, at most {MAX_BYTES}: take fewer"
        )
    resize, images = _resize(eye, card, tell), np.empty((len(chosen), 3, height, width), np.uint8)
    for row, index in zip(images, chosen, strict=True):
        name = listing.names[index]
        pixels = decode_picture(source.read(name), resize, name)
        if pixels.shape[:2] != (height, width):
            found = f"{pixels.shape[0]} x {pixels.shape[1]}"
            raise InputError(f"{name} is {found}, the eye takes {height} x {width}: a size that is no square must fit")
        row[:] = pixels.transpose(2, 0, 1)
    return Pictures(images, None if without else labels[chosen])


def _resize(eye: Eye, card: Card | None, tell: Callable[[str], None]) -> Resize:
    """As the pictures of the card got their size; another threshold than theirs is said."""
    ratio = words_of(card, ratio="s_th0").get("ratio")
    if ratio is not None and as_ratio(ratio) != eye.ratio:
        tell(f"the network was trained at S_th0 = {ratio}, the eye has {eye.ratio}")
    side = eye.shape[1] if eye.shape[1] == eye.shape[2] else None
    return Resize(side, **words_of(card, fit="fit", resample="resample"))


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
