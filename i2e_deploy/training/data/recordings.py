"""Recordings of event cameras as samples: read when a batch is asked for, and held in memory as far as a limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.listing import Listing, list_names
from i2e_deploy.datasets.name_table import classes_of
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import Recording
from i2e_deploy.events.formats import SUFFIXES
from i2e_deploy.events.frames import FrameSpec, seen_events
from i2e_deploy.text import counted, said
from i2e_deploy.threads import on_threads, thread_count
from i2e_deploy.training.data.making import Drawing, FromEvents
from i2e_deploy.training.data.options import LARGEST, STEPS, DataOptions
from i2e_deploy.training.data.source import Source
from i2e_deploy.training.samples import Batch

#: Recordings that are looked at before sizes and steps are chosen, evenly spread over the names.
LOOKED_AT = 200
#: Events that one part of a data set holds in memory, bytes.
HELD_BYTES = 2**30


class RecordingSamples:
    """Event files as frames, with their events.

    Args:
        root: the folder.
        names: of the files, relative to it; with `#n` behind it the n-th window of one.
        targets: of them, see `Batch`.
        spec: from the sensor to the frame.
        maker: from events to frames.
        read: how a file is read.
        threads: that a batch is read on; None: as many as the engines take.
    """

    def __init__(
        self, root: Path, names: tuple[str, ...], targets: NDArray[Any], spec: FrameSpec, maker: FromEvents,
        read: Callable[[Path], Recording], threads: int | None = None,
    ) -> None:  # fmt: skip
        self._root, self.names, self.targets = root, names, targets
        self._spec, self._maker, self._read, self._threads = spec, maker, read, threads
        self._held: dict[str, Events] = {}
        self._bytes = 0
        #: What the reader assumed or left out, and of how many recordings so far.
        self.notes = Counter[str]()

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return said(self, counted(len(self), "recording"), repr(str(self._root)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}, "_bytes": 0}

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`.

        Raises:
            InputError: a recording of another sensor.
            FileFormatError: a damaged file.
        """
        numbers = [int(number) for number in chosen]
        made = on_threads(lambda n: self._maker.make(self.events(n), n, draw), numbers, self._threads or thread_count())
        return Batch(
            np.stack([frames for frames, _ in made]),
            self.targets[chosen],
            [events for _, events in made if events is not None],
        )

    def events(self, number: int) -> Events:
        """The events of one sample in pixels of the frame, from time 0."""
        name = self.names[number]
        held = self._held.get(name)
        if held is not None:
            return held
        file, _, window = name.rpartition("#") if self._maker.step_us is not None else (name, "", "")
        recording = self._read(self._root / file)
        self.notes.update(recording.notes)
        if recording.damage is not None:
            self.notes[f"damaged, {recording.damage.reason}; what could be read was taken"] += 1
        if recording.sensor_size != self._spec.sensor_size:
            raise InputError(
                f"{self._root / file} is of a sensor {recording.sensor_size}, the others {self._spec.sensor_size}: "
                "give data of one sensor"
            )
        events = seen_events(recording.events, self._spec)
        if self._maker.step_us is not None:
            length = self._maker.steps * self._maker.step_us
            first, last = np.searchsorted(events["t"], [int(window) * length, (int(window) + 1) * length])
            events = events[first:last].copy()
            events["t"] -= int(window) * length
        if self._bytes + events.nbytes <= HELD_BYTES:
            self._held[name] = events
            self._bytes += events.nbytes
        return events


def open_recordings(path: str | Path, options: DataOptions) -> Source:
    """A folder tree of event files; see `open_data`."""
    root = Path(path).resolve()
    listing = list_recordings(root, options)
    sensor, lasting, notes = _look(root, listing.names, options.read)
    steps = options.steps or STEPS
    if options.steps is None:
        notes.append(f"{steps} steps")
    shape, said_size = frame_shape(sensor, options)
    notes += said_size
    files, step_us = None, options.step_us
    if step_us is None:
        step_us = max(1, round(float(np.median(lasting)) / steps)) if lasting else None
        if step_us is not None:
            notes.append(f"each recording in {steps} steps of equal time, {step_us / 1000:g} ms in the median")
    else:
        count = len(listing.names)
        listing = windows_of(root, listing, options.read, steps * step_us)
        files = [name.rpartition("#")[0] for name in listing.names]
        notes.append(
            f"{counted(count, 'recording')} cut into {counted(len(listing.names), 'sample')} of {steps} steps of "
            f"{step_us / 1000:g} ms; the rest of each is left out"
        )
    maker = FromEvents(shape, steps, options.step_us, Drawing(options.augmentation, options.seed), options.binary)
    spec = FrameSpec(sensor, shape)

    def part(numbers: NDArray[np.int64], targets: NDArray[Any]) -> RecordingSamples:
        names = tuple(listing.names[i] for i in numbers)
        return RecordingSamples(root, names, targets, spec, maker, options.read, options.threads)

    made = {"kind": "recordings", "sensor_size": list(sensor), "channels": options.channels, "binary": options.binary,
            "cut": "windows" if options.step_us else "whole"}  # fmt: skip
    return Source(listing, part, shape, steps, step_us, notes, made, files)


def list_recordings(root: Path, options: DataOptions) -> Listing:
    """Event files below a folder with the classes of their first folders, or of a table.

    Raises:
        InputError: there are none, or see `name_table.rows_of`.
    """
    tables = {Path(path).resolve() for path in (options.labels, options.values, options.groups) if path is not None}
    files = (path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path not in tables)
    names = [path.relative_to(root).as_posix() for path in files if path.is_file()]
    if not names:
        raise InputError(f"{root}: no recordings; expected <class>/<name> ending in {', '.join(SUFFIXES)}")
    if options.labels is None:
        return list_names(names, "first")
    return list_names(names, "first", classes_of(options.labels, names))


def frame_shape(sensor: tuple[int, int], options: DataOptions) -> tuple[tuple[int, int, int], list[str]]:
    """(C, H, W) of the frames, and a note where it was chosen: the sensor's, shrunk to at most `LARGEST` pixels."""
    if options.sides is not None:
        return (options.channels, *options.sides), []
    width, height = sensor
    longer = max(width, height)
    if longer <= LARGEST:
        return (options.channels, height, width), [f"frames of {width} x {height} pixels, as the sensor has"]
    small = tuple(max(1, side * LARGEST // longer) for side in (height, width))
    return (options.channels, small[0], small[1]), [
        f"frames of {small[1]} x {small[0]} pixels: the sensor's {width} x {height}, shrunk to {LARGEST} a side"
    ]


def windows_of(root: Path, listing: Listing, read: Callable[[Path], Recording], length_us: int) -> Listing:
    """Every recording cut into whole windows of so many microseconds, one at least; the name of each ends in `#n`."""
    rows = []
    for index, name in enumerate(listing.names):
        events = read(root / name).events
        lasting = int(events["t"][-1] - events["t"][0]) + 1 if len(events) else 0
        rows += [(index, f"{name}#{window}") for window in range(max(1, lasting // length_us))]
    of = np.array([index for index, _ in rows], np.int64)
    splits = tuple(listing.splits[i] for i in of)
    return Listing(tuple(name for _, name in rows), listing.labels[of], splits, listing.classes)


def _look(
    root: Path, names: tuple[str, ...], read: Callable[[Path], Recording]
) -> tuple[tuple[int, int], list[int], list[str]]:
    """Size of the sensor, how long recordings last in microseconds, and what the reader assumed."""
    count = min(len(names), LOOKED_AT)
    sizes: dict[tuple[int, int], str] = {}
    lasting, assumed = [], Counter[str]()
    for index in range(count):
        name = names[index * len(names) // count]
        recording = read(root / name)
        if recording.sensor_size is None:
            raise InputError(f"{root / name} does not state the sensor's size: give sensor_size (--sensor-size)")
        sizes.setdefault(recording.sensor_size, name)
        if len(recording.events):
            lasting.append(int(recording.events["t"][-1] - recording.events["t"][0]))
        assumed.update(recording.notes)
    if len(sizes) > 1:
        (one, name), (other, second), *_ = sizes.items()
        raise InputError(f"{root}: {name} is of a sensor {one}, {second} of {other}: give data of one sensor")
    return next(iter(sizes)), lasting, [f"{n} of {count} recordings looked at: {note}" for note, n in assumed.items()]
