"""Convert a folder of your own photos: shards for training, and one photo as a stream of timestamped events.

    python examples/convert_photos.py PHOTOS OUT

PHOTOS may have one folder a class. OUT gets `shards/` (Parquet, as the I2E authors publish theirs) and
`first.npy` (events of the first photo with the noise of a DVS128).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from i2e_deploy.conversion import PRESETS, RATIO, simulate
from i2e_deploy.datasets import Resize, Settings, ShardDataset, convert_dataset, decode_picture, open_source


def main(photos: Path, out: Path) -> None:
    """Convert, then show what came out."""
    resize = Resize(128, "crop")
    manifest = convert_dataset(photos, out / "shards", Settings(RATIO["imagenet"], resize))
    dataset = ShardDataset(out / "shards")
    frames, label = dataset[0]
    print(f"{len(dataset)} photos, {len(manifest['skipped'])} broken, classes {manifest['plan']['classes']}")
    print(f"first: frames {list(frames.shape)}, label {label}, event rate {100 * frames.float().mean():.2f} %")

    source = open_source(str(photos))
    image = decode_picture(source.read(source.names()[0]), resize).transpose(2, 0, 1)
    rng = np.random.default_rng(0)
    events = simulate(image, RATIO["imagenet"], PRESETS["dvs128"], rng, saccade_us=20_000, motion_us=20_000)
    np.save(out / "first.npy", events)
    print(f"as a DVS128 would see it: {len(events)} events in {events['t'][-1] / 1000:.1f} ms")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
