"""Small image files for tests of the data set tools."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np


def picture_bytes(seed: int, size: tuple[int, int] = (12, 10), kind: str = "PNG") -> bytes:
    """An encoded random picture; `size` is (width, height)."""
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_tree(root: Path, count: int, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """`count` pictures in `root/train/<class>/NNNN.png`, two of ten in `root/test/<class>/`."""
    for index in range(count):
        folder = root / ("test" if index % 10 > 7 else "train") / classes[index % len(classes)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index:04d}.png").write_bytes(picture_bytes(index))
    return root


def tree_bytes(root: Path) -> dict[str, bytes]:
    """Every file below `root` by relative name."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
