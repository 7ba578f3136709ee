"""Samples a second of processor time that the trainer gets from each kind of data.

I2E_DEPLOY_DATA=... python benchmarks/trainer_data.py
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rows import machine

from i2e_deploy.datasets.picture import Resize
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.samples import Samples

BATCH = 128


def rate(samples: Samples, batches: int) -> float:
    """Samples a second of processor time, of drawn batches in random order, after one that warms up."""
    order = np.random.default_rng(0).permutation(len(samples))
    order = np.resize(order, (batches + 1) * BATCH).reshape(-1, BATCH)
    samples.batch(order[0], 0)
    start = time.process_time()
    for chosen in order[1:]:
        samples.batch(chosen, 1)
    return batches * BATCH / (time.process_time() - start)


def rates(folder: Path, batches: int) -> Iterator[tuple[str, float]]:
    data = Path(os.environ["I2E_DEPLOY_DATA"])
    pictures = data / "cifar10_jpeg.zip"
    flipped = Augmentation(flip=True, shift=4)
    for name, options in (
        ("CIFAR-10, JPEG in a zip, 48 px", DataOptions(size=48, fit="squash")),
        ("the same, flipped and shifted", DataOptions(size=48, fit="squash", augmentation=flipped)),
        ("the same, 128 px", DataOptions(size=128, fit="squash")),
        ("the same, 48 px through a sensor", DataOptions(size=48, fit="squash", sensor="speck", moving_eye=True)),
    ):
        yield name, rate(open_data(pictures, options).train, batches)
    small = folder / "shards"
    few = folder / "few"
    few.mkdir()
    _unpack(pictures, few, 2000)
    convert_dataset(few, small, Settings("0.07", Resize(48, "squash")))
    yield "shards of 48 px", rate(open_data(small).train, batches)
    recordings = open_data(data / "nmnist_small").train
    every = np.arange(len(recordings))
    start = time.process_time()
    recordings.batch(every, 0)
    yield "N-MNIST, read for the first time", len(every) / (time.process_time() - start)
    yield "N-MNIST, held in memory", rate(recordings, batches)


def _unpack(pictures: Path, folder: Path, count: int) -> None:
    """Some of the pictures as `<class>/<name>`."""
    import zipfile

    with zipfile.ZipFile(pictures) as archive:
        names = [name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg")]
        for name in names[:: len(names) // count]:
            _, label, file = name.split("/")
            (folder / label).mkdir(exist_ok=True)
            (folder / label / file).write_bytes(archive.read(name))


def main() -> None:
    print(machine())
    print(f"batches of {BATCH} in random order, every saccade placed anew; samples a second of processor time")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in rates(Path(folder), 8):
            print(f"{name:36}  {value:8,.0f}")


if __name__ == "__main__":
    main()
