"""Data sets that make frames when asked: images converted in the worker, recordings binned in the worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from i2e_deploy.conversion.convert import convert
from i2e_deploy.conversion.sensor import Sensor, make_pixels, simulate
from i2e_deploy.conversion.stream import SACCADE_US, events_to_frames
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import DEFAULT_ORDER, draw_kernels, kernel_table, saccades
from i2e_deploy.datasets.picture import Resize, decode_picture
from i2e_deploy.datasets.plan import Settings, make_plan
from i2e_deploy.datasets.shard_dataset import shared_counter
from i2e_deploy.datasets.sources import open_source
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events, check_events

#: Endings of files that count as recordings.
RECORDINGS = (".bin", ".raw", ".dat", ".es", ".aedat4", ".aedat", ".h5", ".hdf5", ".npy", ".npz")


class ImageDataset(Dataset[tuple[Tensor, int]]):
    """Images converted on the fly: (frames uint8 0/1 [T, 2, size, size], channel 0 = OFF; label).

    What sample i of epoch e draws depends on (seed, e, i) only, not on workers or order. Call `set_epoch`
    before each epoch (also with persistent workers).

    Args:
        source: folder tree by class, .zip, .tar, .parquet, see `sources`.
        ratio: S_th0.
        resize: how pictures get their size; give one, so that samples can be stacked.
        train: draw the placement of every saccade anew in each epoch.
        sensor: realism to add; its pixels are fixed by `seed`, its noise is drawn anew in each epoch.
        seed: of all draws.
        order: time order of the saccade lengths.
        steps: T.
        split: only names below this folder, e.g. `"train"`.

    Raises:
        InputError: no images, or wrong settings.
    """

    def __init__(
        self,
        source: str | Path,
        ratio: Fraction | float | str,
        resize: Resize,
        *,
        train: bool = True,
        sensor: Sensor | None = None,
        seed: int = 0,
        order: tuple[str, ...] = DEFAULT_ORDER,
        steps: int = 8,
        split: str | None = None,
    ) -> None:
        self._source, self._ratio, self._resize = str(source), as_ratio(ratio), resize
        names = open_source(self._source).names()
        plan = make_plan([name for name in names if split is None or name.startswith(f"{split}/")], Settings(ratio))
        self.classes = plan.classes
        self._items = [pair for shard in plan.shards for pair in zip(shard.names, shard.labels, strict=True)]
        self._kernels, self._train, self._sensor, self._seed = saccades(order, steps), train, sensor, seed
        self._epoch = shared_counter()

    def set_epoch(self, epoch: int) -> None:
        """Choose the draws of the next pass; workers that live on see it too."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        name, label = self._items[index]
        image = decode_picture(open_source(self._source).read(name), self._resize, name).transpose(2, 0, 1)
        rng = np.random.default_rng([self._seed, int(self._epoch), index % len(self)])
        table = draw_kernels(self._kernels, 1, rng) if self._train else kernel_table(self._kernels)
        if self._sensor is None:
            return torch.from_numpy(convert(image[None], self._ratio, table, threads=1)[0]), label
        height, width = image.shape[1:]
        pixels = make_pixels(self._sensor, height, width, self._seed)
        events = simulate(image, self._ratio, self._sensor, rng, pixels, table)
        return torch.from_numpy(events_to_frames(events, table.shape[1], height, width, SACCADE_US)), label


class RecordingFolder(Dataset[tuple[Tensor, int]]):
    """Event recordings in folders by class: (frames uint8 counts [T, 2, H, W], saturating at 255; label).

    Args:
        root: folder of class folders; below each, recordings of any depth.
        width: pixels a row of the sensor.
        height: rows.
        steps: T; the time from a recording's first to its last event is cut into so many equal bins.
        read: a file to events; default `events.read_events`, by the ending of the name.
        endings: which files count.
        binary: 0 and 1 instead of counts, as I2E's own frames are.

    Raises:
        InputError: no recordings there.
        FileFormatError: a broken one, when it is read.
    """

    def __init__(
        self,
        root: str | Path,
        width: int,
        height: int,
        steps: int = 8,
        read: Callable[[Path], Events] | None = None,
        endings: Sequence[str] = RECORDINGS,
        binary: bool = False,
    ) -> None:
        folder = Path(root)
        found = folder.iterdir() if folder.is_dir() else ()
        self.classes = tuple(sorted(path.name for path in found if path.is_dir()))
        self.files = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((folder / name).rglob("*"))
            if path.suffix in endings
        ]
        if not self.files:
            raise InputError(
                f"{folder}: no recordings; expected {folder}/<class>/<name> ending in {', '.join(endings)}"
            )
        self._size, self._steps, self._binary = (width, height), steps, binary
        self._read = read or read_recording

    def __len__(self) -> int:
        return len(self.files)

    def events(self, index: int) -> Events:
        """The events of one recording, checked against the sensor's size."""
        path = self.files[index][0]
        return check_events(self._read(path), *self._size, where=str(path))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        frames = count_frames(self.events(index), self._steps, self._size[1], self._size[0])
        return torch.from_numpy(np.minimum(frames, 1) if self._binary else frames), self.files[index][1]


def count_frames(events: Events, steps: int, height: int, width: int) -> Any:
    """Events counted in `steps` equal bins from the first to the last: uint8 [T, 2, H, W], saturating at 255."""
    counts = np.zeros((steps, 2, height, width), np.int64)
    if len(events):
        since = events["t"] - events["t"][0]
        bins = since * steps // (int(since[-1]) + 1)
        np.add.at(counts, (bins, events["p"], events["y"], events["x"]), 1)
    return np.minimum(counts, 255).astype(np.uint8)


def read_recording(path: Path) -> Events:
    """A recording of any format that `events` reads."""
    from i2e_deploy.events.files import read_events  # type: ignore[import-untyped, import-not-found, unused-ignore]

    events: Events = read_events(path).events
    return events


class FromTonic(Dataset[tuple[Tensor, int]]):
    """A tonic data set (NMNIST, CIFAR10DVS, NCALTECH101, DVSGesture, ...) as frames like those of `RecordingFolder`.

    Args:
        dataset: any tonic data set without a transform to frames; its items are (events, label).
        steps: T.
        binary: 0 and 1 instead of counts.

    Raises:
        InputError: an item is not events with fields t, x, y, p.
    """

    def __init__(self, dataset: Any, steps: int = 8, binary: bool = False) -> None:
        self._dataset, self._steps, self._binary = dataset, steps, binary
        self._width, self._height = (int(side) for side in dataset.sensor_size[:2])

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        events, label = self._dataset[index]
        frames = count_frames(from_tonic(events), self._steps, self._height, self._width)
        return torch.from_numpy(np.minimum(frames, 1) if self._binary else frames), int(label)


def from_tonic(events: Any) -> Events:
    """tonic's structured array (any order and dtype of x, y, t, p) to ours, sorted by time.

    Raises:
        InputError: fields are missing.
    """
    names = set(getattr(getattr(events, "dtype", None), "names", None) or ())
    if not {"t", "x", "y", "p"} <= names:
        raise InputError(f"events have fields {sorted(names)}: expected t, x, y, p")
    ours = np.empty(len(events), EVENT_DTYPE)
    for name in ("t", "x", "y", "p"):
        ours[name] = events[name]
    return ours[np.argsort(ours["t"], kind="stable")]


def to_tonic(events: Events) -> Any:
    """Our events to what tonic's transforms take: the same fields, polarity as bool."""
    theirs = np.empty(len(events), [("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "?")])
    for name in ("t", "x", "y", "p"):
        theirs[name] = events[name]
    return theirs
