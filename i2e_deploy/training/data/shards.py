"""Shards of converted pictures as samples: ours and those that the authors of I2E released."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.stream import SACCADE_US
from i2e_deploy.datasets.listing import ALL, SPLITS, UNLABELLED, Listing
from i2e_deploy.datasets.shard_dataset import Shards
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.text import counted, said
from i2e_deploy.training.data.making import Drawing, FromFrames
from i2e_deploy.training.data.options import DataOptions
from i2e_deploy.training.data.source import Source
from i2e_deploy.training.samples import Batch

#: Packed items that one part of a data set holds in memory, bytes.
HELD_BYTES = 2**30


class ShardSamples:
    """Rows of shards as frames.

    Args:
        shards: the files.
        rows: int64 [N], numbers of the samples over all of them.
        targets: of the samples, see `Batch`.
        maker: checks and moves frames.
    """

    def __init__(self, shards: Shards, rows: NDArray[np.int64], targets: NDArray[Any], maker: FromFrames) -> None:
        self._shards, self._rows, self.targets, self._maker = shards, rows, targets, maker
        self._held: OrderedDict[int, list[tuple[bytes, int]]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return said(self, counted(len(self), "sample"), counted(len(self._shards.paths), "shard"))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": OrderedDict(), "_bytes": 0}

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`.

        Raises:
            FileFormatError: a damaged row group.
            InputError: a sample of another shape.
        """
        made = []
        for number in map(int, chosen):
            row = int(self._rows[number])
            group = bisect_right(self._shards.starts, row) - 1
            inside = row - self._shards.starts[group]
            frames, _ = self._shards.sample(group, inside, self._group(group)[inside])
            made.append(self._maker.make(frames.numpy(), number, draw, f"row {row} of the shards"))
        return Batch(np.stack(made), self.targets[chosen])

    def _group(self, number: int) -> list[tuple[bytes, int]]:
        """A row group, from memory where it is there; the one that was not used for longest makes room."""
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        rows = self._shards.read(number)
        self._held[number] = rows
        self._bytes += sum(len(data) for data, _ in rows)
        while self._bytes > HELD_BYTES and len(self._held) > 1:
            _, gone = self._held.popitem(last=False)
            self._bytes -= sum(len(data) for data, _ in gone)
        return rows


def open_shards(path: str | Path, options: DataOptions) -> Source:
    """A folder of shards, or one; see `open_data`."""
    shards = Shards(path)
    listing = list_shards(shards, str(path))
    first, _ = shards.sample(0, 0, shards.read(0)[0])
    there, channels, height, width = first.shape
    if options.sides not in (None, (height, width)):
        raise InputError(
            f"{path} has samples of {width} x {height} pixels: leave size out, or convert the pictures anew"
        )
    steps = options.steps or there
    if steps > there:
        raise InputError(f"{path} has samples of {there} steps, asked for are {steps}: give at most {there}")
    step_us = options.step_us or SACCADE_US
    shape = (min(channels, options.channels), height, width)
    notes = [f"{steps} steps of {width} x {height} pixels, as the shards have"]
    if options.step_us is None:
        notes.append(f"a step is taken as {step_us / 1000:g} ms, the time of a saccade: shards name none")
    maker = FromFrames((steps, *shape), Drawing(options.augmentation, options.seed), options.binary)
    made = {"kind": "shards", "channels": options.channels, "binary": options.binary}

    def part(numbers: NDArray[np.int64], targets: NDArray[Any]) -> ShardSamples:
        return ShardSamples(shards, numbers, targets, maker)

    return Source(listing, part, shape, steps, step_us, notes, made)


def list_shards(shards: Shards, where: str) -> Listing:
    """Every row of the shards: its label, and the split that the name of its file begins with.

    Raises:
        FileFormatError: a label that the classes of the files do not have.
    """
    names, labels, splits = [], [], []
    for index, path in enumerate(shards.paths):
        of_file, file_labels = shards.names_and_labels(index)
        names += [name or f"{path.name}#{row}" for row, name in enumerate(of_file)]
        labels += file_labels
        word = path.name.partition("-")[0]
        splits += [word if word in SPLITS else ALL] * len(file_labels)
    numbers = np.array(labels, np.int64)
    classes = shards.classes() or tuple(str(n) for n in range(int(numbers.max(initial=UNLABELLED)) + 1))
    if numbers.max(initial=UNLABELLED) >= len(classes) or numbers.min(initial=0) < UNLABELLED:
        raise FileFormatError(f"{where}: labels from {numbers.min()} to {numbers.max()} for {len(classes)} classes")
    return Listing(tuple(names), numbers, tuple(splits), classes)
