"""Pictures as samples: decoded and converted when a batch is asked for, with new draws in each epoch."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.stream import SACCADE_US
from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.datasets.listing import Listing, list_names
from i2e_deploy.datasets.name_table import classes_of
from i2e_deploy.datasets.picture import Cut, Resize, decode_picture, picture_size
from i2e_deploy.datasets.seeing import Seeing
from i2e_deploy.datasets.sources import ImageSource, open_source
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.text import counted, said
from i2e_deploy.threads import on_threads, thread_count
from i2e_deploy.training.data.making import Drawing, FromPicture, Made
from i2e_deploy.training.data.options import LARGEST, STEPS, DataOptions
from i2e_deploy.training.data.source import Source
from i2e_deploy.training.samples import Batch

#: Pictures whose size is looked at before a size is chosen, evenly spread over the names.
LOOKED_AT = 200
#: Pictures are kept as pixels once they are decoded, unless new parts are cut out of their files in each epoch, where
#: all of a part of the data set take no more bytes than this.
HELD_BYTES = 1 << 29


class PictureSamples:
    """Pictures of a folder tree, a zip, a tar or Parquet files as frames.

    Args:
        source: where they are, see `datasets.open_source`.
        names: of the samples.
        targets: of them, see `Batch`.
        resize: how they get their size.
        maker: how they become frames.
        threads: that a batch is made on; None: as many as the engines take.
    """

    def __init__(
        self, source: str, names: tuple[str, ...], targets: NDArray[Any], resize: Resize, maker: FromPicture,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self._source, self.names, self.targets = source, names, targets
        self._resize, self._maker, self._threads = resize, maker, threads
        whole = maker.drawing.augmentation.crop == 1
        self._holds = whole and resize.size is not None and 3 * resize.size**2 * len(names) <= HELD_BYTES
        self._held: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return said(self, counted(len(self), "picture"), repr(self._source))

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`; with a sensor the events are there as recordings.

        Raises:
            FileFormatError: a picture is damaged or gone.
        """
        source = open_source(self._source)
        files = [(i, None if i in self._held else source.read(self.names[i])) for i in map(int, chosen)]
        made = on_threads(lambda file: self._sample(*file, draw), files, self._threads or thread_count())
        events = [own for _, own in made if own is not None]
        return Batch(np.stack([frames for frames, _ in made]), self.targets[chosen], events or None)

    def _sample(self, number: int, data: bytes | None, draw: int | None) -> Made:
        def load(cut: Cut | None) -> NDArray[np.uint8]:
            if data is None:
                return self._held[number]
            pixels = decode_picture(data, self._resize, self.names[number], cut)
            if self._holds:
                pixels.setflags(write=False)
                self._held[number] = pixels
            return pixels

        return self._maker.make(load, number, draw)


def open_pictures(path: str | Path, options: DataOptions) -> Source:
    """A folder tree, archive or Parquet files of pictures; see `open_data`."""
    place = str(Path(path).resolve())
    source = open_source(place)
    names = source.names()
    if not names:
        raise InputError(f"{path}: no pictures there")
    listing = list_pictures(names, options)
    size, notes = (options.side, []) if options.size else choose_size(source, listing.names)
    maker, said_of = picture_maker(options)
    resize = Resize(size, options.fit, options.resample)
    notes += said_of
    notes += [f"left out, as they are not read: {count} {ending}" for ending, count in source.left_out().items()]

    def part(numbers: NDArray[np.int64], targets: NDArray[Any]) -> PictureSamples:
        return PictureSamples(place, tuple(listing.names[i] for i in numbers), targets, resize, maker, options.threads)

    shape, seeing = (options.channels, size, size), maker.seeing
    return Source(
        listing,
        part,
        shape,
        seeing.steps,
        seeing.saccade_us,
        notes,
        seeing.record(resize, options.channels, options.binary),
    )


def picture_maker(options: DataOptions) -> tuple[FromPicture, list[str]]:
    """How pictures become frames, and notes on what was chosen."""
    steps, step_us, notes = options.steps or STEPS, options.step_us or SACCADE_US, []
    if options.steps is None:
        notes.append(f"{steps} steps, all that I2E has")
    if options.step_us is None:
        notes.append(f"a step is taken as {step_us / 1000:g} ms, the time of a saccade: I2E names none")
    seeing = Seeing(as_ratio(options.ratio), steps, sensor=options.realism, saccade_us=step_us,
                    moving_eye=options.moving_eye, copy=options.seed)  # fmt: skip
    drawing = Drawing(options.augmentation, options.seed)
    return FromPicture(seeing, drawing, options.channels, options.binary), notes


def list_pictures(names: list[str], options: DataOptions) -> Listing:
    """Pictures with the classes of their last folders, or of a table."""
    if options.labels is None:
        return list_names(names, "last")
    return list_names(names, "last", classes_of(options.labels, names))


def choose_size(source: ImageSource, names: tuple[str, ...]) -> tuple[int, list[str]]:
    """A side that suits the pictures, and a note that says so: the usual shorter side, at most `LARGEST`.

    Raises:
        FileFormatError: none of the pictures that are looked at says its size.
    """
    count = min(len(names), LOOKED_AT)
    sizes: list[tuple[int, int]] = []
    for index in range(count):
        with contextlib.suppress(FileFormatError):  # of a broken one whoever needs it is told
            sizes.append(picture_size(source.read(names[index * len(names) // count])))
    if not sizes:
        raise FileFormatError(f"none of {counted(count, 'picture')} says its size: give size")
    side = min(int(np.median([min(size) for size in sizes])), LARGEST)
    (width, height), often = Counter(sizes).most_common(1)[0]
    of = f"all {width} x {height}" if often == len(sizes) else f"mostly of {width} x {height}"
    return side, [f"pictures become {side} x {side} pixels: {counted(len(sizes), 'picture')} looked at, {of}"]
