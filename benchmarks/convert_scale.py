"""Cost of converting a data set: a real run on a zip of images, and what 1.28 million would take.

python benchmarks/convert_scale.py CIFAR10.zip [--size 128] [--workers 2] > benchmarks/results/convert_scale.txt
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from i2e import machine

from i2e_deploy.conversion import convert
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.datasets.sources import open_source

IMAGENET = 1_281_167


def stages(path: str, size: int, count: int = 500) -> None:
    """Milliseconds an image of each stage, one core."""
    source, spent = open_source(path), dict.fromkeys(("read", "decode + resize", "convert + pack"), 0.0)
    for name in source.names()[:count]:
        start = time.perf_counter()
        data = source.read(name)
        read = time.perf_counter()
        pixels = decode_picture(data, Resize(size))
        decoded = time.perf_counter()
        convert(pixels.transpose(2, 0, 1)[None], "0.07", packed=True, on_first=True, threads=1)
        for stage, seconds in zip(spent, (read - start, decoded - read, time.perf_counter() - decoded), strict=True):
            spent[stage] += seconds
    print("one core, ms an image: " + ", ".join(f"{stage} {1e3 * t / count:.3f}" for stage, t in spent.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(machine())
    stages(options.archive, options.size, 50)  # warm
    stages(options.archive, options.size)
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
