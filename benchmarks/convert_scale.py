"""Cost of converting a data set: a real run on a zip of images, and what 1.28 million would take.

python benchmarks/convert_scale.py CIFAR10.zip [--size 128] [--workers 2] > benchmarks/results/convert_scale.txt
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from rows import Row, machine

from i2e_deploy.conversion import convert
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.datasets.sources import open_source

IMAGENET = 1_281_167


def stages(path: str, size: int, count: int = 500, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Milliseconds an image of each stage, one core."""
    source, spent = open_source(path), dict.fromkeys(("read", "decode + resize", "convert + pack"), 0.0)
    for name in source.names()[:count]:
        start = clock()
        data = source.read(name)
        read = clock()
        pixels = decode_picture(data, Resize(size))
        decoded = clock()
        convert(pixels.transpose(2, 0, 1)[None], "0.07", packed=True, on_first=True, threads=1)
        for stage, seconds in zip(spent, (read - start, decoded - read, clock() - decoded), strict=True):
            spent[stage] += seconds
    return {stage: 1e3 * seconds / count for stage, seconds in spent.items()}


def short() -> Iterator[Row]:
    """For `check.py`: pictures made here, one process, its processor time; the stages alone over the whole."""
    with tempfile.TemporaryDirectory() as name:
        archive, count = Path(name) / "pictures.zip", 1000
        write_pictures(archive, count)
        bare = whole = float("inf")
        for turn in range(4):
            bare = min(bare, sum(stages(str(archive), 128, count, time.process_time).values()) * count / 1e3)
            start = time.process_time()
            convert_dataset(archive, Path(name) / f"out{turn}", Settings("0.07", Resize(128)))
            whole = min(whole, time.process_time() - start)
        yield Row("shards of 128 px, one process, stages / whole", bare / whole)
        yield Row("shards of 128 px, one process", count / whole, "images/s")


def write_pictures(archive: Path, count: int) -> None:
    """JPEGs of 160 x 160 pixels, smooth with some noise, as photographs are."""
    from PIL import Image

    rng, ramp = np.random.default_rng(0), np.linspace(0, 200, 160)
    with zipfile.ZipFile(archive, "w") as file:
        for i in range(count):
            turned = np.roll(ramp[:, None, None] + np.zeros((1, 160, 3)), i, axis=0)
            picture = (turned + rng.integers(0, 40, turned.shape)).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(picture).save(buffer, "JPEG")
            file.writestr(f"{i:04d}.jpg", buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(machine())
    stages(options.archive, options.size, 50)  # warm
    spent = stages(options.archive, options.size)
    print("one core, ms an image: " + ", ".join(f"{stage} {ms:.3f}" for stage, ms in spent.items()))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        manifest = convert_dataset(
            options.archive, Path(folder) / "out", Settings("0.07", Resize(options.size)), workers=options.workers
        )
        seconds = time.perf_counter() - start
    images, stored = manifest["plan"]["images"], sum(shard["bytes"] for shard in manifest["shards"])
    raw = images * (8 * 2 * options.size**2 // 8)
    print(
        f"{images:,} images -> {options.size} px, {len(manifest['shards'])} shards, {options.workers} workers: "
        f"{seconds:.1f} s, {images / seconds:,.0f} images/s; {stored / 1e6:.0f} MB ({stored / images:,.0f} bytes an "
        f"image, {raw / stored:.2f}x smaller than the packed bits), {len(manifest['skipped'])} broken"
    )
    print(
        f"at this rate {IMAGENET:,} images of this kind: {IMAGENET / images * seconds / 60:.1f} min and "
        f"{IMAGENET / images * stored / 1e9:.1f} GB on {options.workers} cores (ImageNet's own pictures are larger: "
        "decoding them costs more, see the stages)"
    )


if __name__ == "__main__":
    main()
