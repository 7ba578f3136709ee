"""Samples a second that the trainer gets from each kind of data, alone and by workers, beside what a step eats.

I2E_DEPLOY_DATA=... OMP_NUM_THREADS=1 python benchmarks/trainer_data.py
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rows import machine

from i2e_deploy.datasets.picture import Resize
from i2e_deploy.datasets.plan import Settings
from i2e_deploy.datasets.scale import convert_dataset
from i2e_deploy.training.data import Augmentation, DataOptions, open_data
from i2e_deploy.training.data.workers import made_by
from i2e_deploy.training.optimising import make_optimiser
from i2e_deploy.training.recipes import sized_recipe
from i2e_deploy.training.samples import Samples, TrainingData

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
        ("the same, 48 px, a random part each", DataOptions(size=48, augmentation=Augmentation(crop=0.25))),
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


Speed = tuple[float, float]


def timed(turn: Callable[[], object], batches: int) -> Speed:
    """Samples a second of wall-clock time, and of processor time of this process."""
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(batches):
        turn()
    return batches * BATCH / (time.perf_counter() - wall), batches * BATCH / (time.process_time() - own)


def with_workers(batches: int) -> Iterator[tuple[str, Speed]]:
    """Pictures a second by 0, 1 and 2 processes, which give the same samples, and of a training step."""
    pictures = Path(os.environ["I2E_DEPLOY_DATA"]) / "cifar10_jpeg.zip"
    plain = DataOptions(size=48, fit="squash", threads=1)
    sensed = replace(plain, sensor="speck", moving_eye=True)
    for what, options in (("48 px", plain), ("48 px through a sensor", sensed)):
        data = open_data(pictures, options)
        order = np.random.default_rng(0).permutation(len(data.train))
        wanted = data.train.batch(order[:BATCH], 1).frames
        for workers in (0, 1, 2):
            chosen = iter(np.resize(order[BATCH:], (batches, BATCH)))
            with made_by(data, workers) as spread:
                assert (spread.train.batch(order[:BATCH], 1).frames == wanted).all()
                made = timed(partial(next_batch, spread.train, chosen), batches)
                yield (f"{what}, {workers} workers" if workers else f"{what}, no worker, one thread"), made
    for name in ("small", "medium"):
        yield f"a training step of the recipe {name!r}", step_speed(data, name, batches // 2)


def next_batch(samples: Samples, chosen: Iterator[NDArray[np.int64]]) -> None:
    samples.batch(next(chosen), 1)


def step_speed(data: TrainingData, name: str, batches: int) -> Speed:
    """Forward, backward and optimiser, of a batch that is there."""
    recipe = sized_recipe("speck2f", name, data, 0)
    batch = data.train.batch(np.arange(BATCH), 0)
    frames, targets = torch.from_numpy(batch.frames).float(), torch.from_numpy(batch.targets)
    optimiser = make_optimiser(recipe.network, recipe.config.optimising)

    def step() -> None:
        loss = recipe.config.loss.of_samples(recipe.running.outputs(recipe.network, frames), targets).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    step()
    return timed(step, batches)


def main() -> None:
    print(machine())
    print(f"batches of {BATCH} in random order, every saccade placed anew; samples a second of processor time")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in rates(Path(folder), 8):
            print(f"{name:42}  {value:8,.0f}", flush=True)
    load = os.getloadavg()[0]
    print(f"CIFAR-10, JPEG in a zip, by workers; other programs ran beside it, a load of {load:.1f} beforehand")
    print(f"{'pictures a second':42}  {'of wall-clock time':>20}  {'of the processor time of the trainer':>36}")
    for name, (wall, own) in with_workers(8):
        print(f"{name:42}  {wall:20,.0f}  {own:36,.0f}", flush=True)


if __name__ == "__main__":
    main()
