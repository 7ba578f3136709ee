"""Data sets of other libraries as samples: anything with `len` and `[i]` that gives (sample, target).

A sample is a picture (uint8 [C, H, W], [H, W] or [H, W, 3], float in [0, 1], or of pillow), frames [T, C, H, W], or a
structured array of events with fields t, x, y, p (tonic).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.conversion.threshold import to_uint8
from i2e_deploy.datasets.listing import ALL, Listing, class_order
from i2e_deploy.datasets.picture import Resize, resize_pixels
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import check_events
from i2e_deploy.events.frames import FrameSpec, seen_events
from i2e_deploy.text import counted, said
from i2e_deploy.training.data.making import Drawing, FromEvents, FromFrames, FromPicture, Made
from i2e_deploy.training.data.options import LARGEST, STEPS, DataOptions
from i2e_deploy.training.data.pictures import picture_maker
from i2e_deploy.training.data.recordings import frame_shape
from i2e_deploy.training.data.split import divide
from i2e_deploy.training.samples import Batch, TrainingData

#: One sample of the library, its number in the part, the draw, and what names it in errors, to what a batch holds.
Maker = Callable[[Any, int, "int | None", str], Made]


class ObjectSamples:
    """Items of a data set of another library.

    Args:
        dataset: theirs.
        rows: int64 [N], numbers of the items.
        targets: of the samples, see `Batch`.
        make: from an item to what a batch holds.
    """

    def __init__(self, dataset: Any, rows: NDArray[np.int64], targets: NDArray[Any], make: Maker) -> None:
        self._dataset, self._rows, self.targets, self._make = dataset, rows, targets, make

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return said(self, counted(len(self), "sample"), f"of {type(self._dataset).__name__}")

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`.

        Raises:
            InputError: an item is of another kind or shape than the first.
        """
        made = []
        for number in map(int, chosen):
            row = int(self._rows[number])
            where = f"{type(self._dataset).__name__} item {row}"
            made.append(self._make(self._dataset[row][0], number, draw, where))
        events = [own for _, own in made if own is not None]
        return Batch(np.stack([frames for frames, _ in made]), self.targets[chosen], events or None)


def open_objects(data: Any, options: DataOptions) -> TrainingData:
    """A data set of another library, or a pair of them (train, test); see `open_data`."""
    pair = tuple(data) if isinstance(data, tuple | list) else (data,)
    if len(pair) > 2 or any(not hasattr(one, "__getitem__") or not hasattr(one, "__len__") for one in pair):
        raise InputError(
            f"{type(data).__name__} is no data set: give a path, or objects with len and [i], one or a pair"
        )
    if any(not len(one) for one in pair):
        raise InputError("a data set without samples: give one or more")
    raw = [_targets_of(one) for one in pair]
    targets, classes = _numbered([target for part in raw for target in part], pair[0])
    first = pair[0][0][0]
    make, shape, steps, step_us, made, notes = _kind(first, pair[0], options)
    if len(pair) == 2:
        border = len(raw[0])
        train, test = (
            ObjectSamples(one, np.arange(len(one)), part, make)
            for one, part in zip(pair, (targets[:border], targets[border:]), strict=True)
        )
        record: dict[str, Any] = {"how": "given", "train_samples": len(train), "test_samples": len(test)}
        return TrainingData(train, test, classes, shape, steps, step_us, tuple(notes), made, record)
    labels = targets if classes else np.zeros(len(targets), np.int64)
    listing = Listing(tuple(map(str, range(len(targets)))), labels, (ALL,) * len(targets), classes)
    parts = divide(listing, options)
    train, test = (ObjectSamples(pair[0], part, targets[part], make) for part in (parts.train, parts.test))
    return TrainingData(train, test, classes, shape, steps, step_us, (*parts.notes, *notes), made, parts.record)


def _targets_of(dataset: Any) -> list[Any]:
    """The target of every item: `targets` of the data set where it has them, else every item is read once."""
    own = getattr(dataset, "targets", None)
    if own is not None and len(own) == len(dataset) and getattr(dataset, "target_transform", None) is None:
        return [target.tolist() if hasattr(target, "tolist") else target for target in own]
    found = []
    for index in range(len(dataset)):
        item = dataset[index]
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InputError(
                f"{type(dataset).__name__} item {index} is {type(item).__name__}: expected (sample, target)"
            )
        found.append(item[1].tolist() if hasattr(item[1], "tolist") else item[1])
    return found


def _numbered(targets: list[Any], dataset: Any) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Targets as a batch holds them, and names of the classes: names are sorted, numbers are what they are."""
    if all(isinstance(target, str) for target in targets):
        classes = tuple(sorted(set(targets), key=class_order))
        return np.array([classes.index(target) for target in targets], np.int64), classes
    if all(type(target) is int and target >= 0 for target in targets):
        named = getattr(dataset, "classes", None) or ()
        count = max(targets) + 1
        classes = tuple(map(str, named)) if len(named) >= count else tuple(map(str, range(count)))
        return np.array(targets, np.int64), classes
    try:
        values = np.array([] if all(type(target) is int for target in targets) else targets, np.float32)
    except (TypeError, ValueError):
        values = np.empty(0, np.float32)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim not in (2, 3) or len(values) != len(targets) or not np.isfinite(values).all():
        raise InputError(
            f"targets such as {targets[0]!r:.40}: expected names, numbers of classes from 0, or finite values"
        )
    return values, ()


def _kind(
    first: Any, dataset: Any, options: DataOptions
) -> tuple[Maker, tuple[int, int, int], int, int | None, dict[str, Any], list[str]]:
    """What makes samples, shape, steps, step in microseconds, record and notes, by what the first item is."""
    drawing = Drawing(options.augmentation, options.seed)
    if getattr(getattr(first, "dtype", None), "names", None):
        options.augmentation.only_of_pictures(f"{type(dataset).__name__} holds recordings")
        return _events(dataset, drawing, options)
    array = np.asarray(first)
    if array.ndim == 4:
        options.augmentation.only_of_pictures(f"{type(dataset).__name__} holds frames")
        there, given, height, width = array.shape
        steps = options.steps or there
        shape = (1 if options.channels == 1 and given == 2 else given, height, width)
        from_frames = FromFrames((steps, *shape), drawing, options.binary)
        made = {"kind": "frames", "binary": options.binary}
        notes = [f"{steps} steps of {width} x {height} pixels, as the samples have"]
        return _FramesMaker(from_frames), shape, steps, options.step_us, made, notes
    pixels = _pixels(first, f"{type(dataset).__name__} item 0")
    size = options.side or min(*pixels.shape[:2], LARGEST)
    notes = [] if options.size else [f"pictures become {size} x {size} pixels, as the first has"]
    maker, said_of = picture_maker(options)
    seeing, resize = maker.seeing, Resize(size, options.fit, options.resample)
    return (
        _PictureMaker(maker, resize), (options.channels, size, size), seeing.steps, seeing.saccade_us,
        seeing.record(resize, options.channels, options.binary), [*notes, *said_of],
    )  # fmt: skip


def _events(
    dataset: Any, drawing: Drawing, options: DataOptions
) -> tuple[Maker, tuple[int, int, int], int, int | None, dict[str, Any], list[str]]:
    size = getattr(dataset, "sensor_size", None)
    if size is None:
        raise InputError(f"{type(dataset).__name__} states no sensor_size (width, height): set it on the data set")
    sensor = (int(size[0]), int(size[1]))
    shape, notes = frame_shape(sensor, options)
    steps = options.steps or STEPS
    if options.steps is None:
        notes.append(f"{steps} steps")
    if options.step_us is None:
        notes.append(f"each recording in {steps} steps of equal time; how long they are is not known: say step_us")
    maker = FromEvents(shape, steps, options.step_us, drawing, options.binary)
    made = {"kind": "recordings", "sensor_size": list(sensor), "binary": options.binary, "cut": "whole"}
    return _EventsMaker(maker, FrameSpec(sensor, shape)), shape, steps, options.step_us, made, notes


class _FramesMaker:
    def __init__(self, maker: FromFrames) -> None:
        self._maker = maker

    def __call__(self, sample: Any, number: int, draw: int | None, where: str) -> Made:
        return self._maker.make(np.asarray(sample), number, draw, where), None


class _PictureMaker:
    def __init__(self, maker: FromPicture, resize: Resize) -> None:
        self._maker, self._resize = maker, resize

    def __call__(self, sample: Any, number: int, draw: int | None, where: str) -> Made:
        pixels = _pixels(sample, where)
        return self._maker.make(lambda cut: resize_pixels(pixels, self._resize, cut), number, draw)


class _EventsMaker:
    def __init__(self, maker: FromEvents, spec: FrameSpec) -> None:
        self._maker, self._spec = maker, spec

    def __call__(self, sample: Any, number: int, draw: int | None, where: str) -> Made:
        from i2e_deploy.datasets.recordings import from_tonic

        events = check_events(from_tonic(sample), *self._spec.sensor_size, where=where)
        return self._maker.make(seen_events(events, self._spec), number, draw)


def _pixels(sample: Any, where: str) -> NDArray[np.uint8]:
    """A picture of any library as uint8 RGB [H, W, 3]."""
    array = np.asarray(sample.convert("RGB") if hasattr(sample, "convert") else sample)
    if array.dtype.kind == "f":
        array = to_uint8(array)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3) or not array.size:
        raise InputError(
            f"{where} is {array.dtype} {list(array.shape)}: expected a picture uint8 or in [0, 1], frames "
            "[T, C, H, W], or events with fields t, x, y, p"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))
