"""Frames in one file, `FRAMES.npz`, as samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.options import MAX_STEP_US
from i2e_deploy.datasets.listing import ALL, UNLABELLED, Listing
from i2e_deploy.errors import FileFormatError, InputError
from i2e_deploy.files import read_arrays
from i2e_deploy.text import counted, said
from i2e_deploy.training.data.making import Drawing, FromFrames
from i2e_deploy.training.data.options import DataOptions
from i2e_deploy.training.data.source import Source
from i2e_deploy.training.samples import Batch

#: Arrays of such a file beside `frames`.
KNOWN = ("labels", "values", "targets", "classes", "split", "step_us")


class ArraySamples:
    """Rows of an array as samples.

    Args:
        frames: [M, T, C, H, W].
        rows: int64 [N], of the array.
        targets: of the samples, see `Batch`.
        maker: checks and moves frames.
    """

    def __init__(self, frames: NDArray[Any], rows: NDArray[np.int64], targets: NDArray[Any], maker: FromFrames) -> None:
        self._frames, self._rows, self.targets, self._maker = frames, rows, targets, maker

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return said(self, counted(len(self), "sample"), f"of frames {list(self._frames.shape)}")

    def batch(self, chosen: NDArray[np.int64], draw: int | None) -> Batch:
        """See `Samples.batch`.

        Raises:
            InputError: a count below 0.
        """
        made = [
            self._maker.make(self._frames[row], int(number), draw, f"sample {row}")
            for number, row in zip(chosen, self._rows[chosen], strict=True)
        ]
        return Batch(np.stack(made), self.targets[chosen])


def open_arrays(path: Path, options: DataOptions) -> Source:
    """`frames` [N, T, C, H, W] with `labels` [N], or `values` [N, V] or [N, T, V]; see `open_data`.

    `targets`, as `evaluate` also calls values, are the same. Beside them may be `classes` (names), `split` (`train` or
    `test` for each) and `step_us`.

    Raises:
        FileFormatError: not such arrays, or arrays that do not fit each other.
    """
    arrays = read_arrays(path)
    frames = _frames(arrays, path)
    listing = _listing(arrays, path, len(frames))
    values = _values(arrays, path)
    there, given, height, width = frames.shape[1:]
    if options.sides not in (None, (height, width)):
        raise InputError(f"{path} has frames of {width} x {height} pixels: leave size out")
    steps = options.steps or there
    if steps > there:
        raise InputError(f"{path} has samples of {there} steps, asked for are {steps}: give at most {there}")
    shape = (1 if options.channels == 1 and given == 2 else given, height, width)
    step_us = options.step_us or _step_us(arrays, path)
    notes = [f"{steps} steps of {width} x {height} pixels, as {path.name} has"]
    if step_us is None:
        notes.append(f"{path.name} does not say how long a step is: say it with step_us")
    maker = FromFrames((steps, *shape), Drawing(options.augmentation, options.seed), options.binary)
    made = {"kind": "frames", "channels": options.channels, "binary": options.binary}

    def part(numbers: NDArray[np.int64], targets: NDArray[Any]) -> ArraySamples:
        return ArraySamples(frames, numbers, targets, maker)

    return Source(listing, part, shape, steps, step_us, notes, made, None, values)


def _frames(arrays: dict[str, Any], path: Path) -> NDArray[Any]:
    frames = arrays.get("frames")
    if frames is None or frames.ndim != 5 or frames.dtype.kind not in "buif" or not frames.size:
        what = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items()) or "nothing"
        raise FileFormatError(f"{path} holds {what}: expected `frames` [N, T, C, H, W] and `labels` [N] or `values`")
    return np.asarray(frames)


def _listing(arrays: dict[str, Any], path: Path, count: int) -> Listing:
    """Labels, classes and splits of the rows; of a regression one class for all."""
    labels = arrays.get("labels", np.full(count, UNLABELLED))
    least = 0 if "labels" in arrays else UNLABELLED
    if labels.shape != (count,) or labels.dtype.kind not in "biu" or int(labels.min()) < least:
        raise FileFormatError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}, expected numbers from 0 [{count}]"
        )
    classes = tuple(_words(arrays["classes"], path)) if "classes" in arrays else ()
    classes = classes or tuple(str(number) for number in range(int(labels.max()) + 1))
    if int(labels.max()) >= len(classes) or len(set(classes)) != len(classes):
        raise FileFormatError(
            f"{path}: labels up to {labels.max()} for {counted(len(set(classes)), 'name')} of classes"
        )
    splits = tuple(_words(arrays["split"], path)) if "split" in arrays else (ALL,) * count
    if len(splits) != count:
        raise FileFormatError(f"{path}: split names {len(splits)} samples of {count}")
    return Listing(tuple(str(row) for row in range(count)), labels.astype(np.int64), splits, classes)


def _values(arrays: dict[str, Any], path: Path) -> NDArray[np.float32] | None:
    """Values of a regression; None where there are labels, or neither."""
    named = [name for name in ("labels", "values", "targets") if name in arrays]
    if len(named) > 1:
        raise FileFormatError(f"{path} has `{named[0]}` and `{named[1]}`: leave one out")
    if not named or named == ["labels"]:
        return None
    values, (count, steps) = arrays[named[0]], arrays["frames"].shape[:2]
    values = values[:, None] if values.ndim == 1 else values
    fits = values.ndim in (2, 3) and len(values) == count and (values.ndim == 2 or values.shape[1] == steps)
    if not fits or values.dtype.kind not in "buif" or not np.isfinite(values).all():
        raise FileFormatError(
            f"{path}: values are {values.dtype} {list(values.shape)}: expected finite numbers [{count}, V] or "
            f"[{count}, {steps}, V]"
        )
    return np.asarray(values, np.float32)


def _words(array: NDArray[Any], path: Path) -> list[str]:
    if array.ndim != 1 or array.dtype.kind != "U":
        raise FileFormatError(f"{path}: classes and split are text [N], here is {array.dtype} {list(array.shape)}")
    return [str(word) for word in array]


def _step_us(arrays: dict[str, Any], path: Path) -> int | None:
    step = arrays.get("step_us", np.zeros(0, np.int64)).reshape(-1)
    if not len(step):
        return None
    if step.dtype.kind not in "iu" or not 1 <= int(step[0]) <= MAX_STEP_US:
        raise FileFormatError(f"{path} has step_us {step[0]}: expected whole microseconds, 1 to {MAX_STEP_US}")
    return int(step[0])
