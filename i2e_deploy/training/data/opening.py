"""Any data set as training data: what is at a path is looked at, and read as what it is."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from i2e_deploy.datasets.picture import endings
from i2e_deploy.datasets.sources import open_parquet
from i2e_deploy.errors import InputError
from i2e_deploy.events.formats import SUFFIXES
from i2e_deploy.training.data.options import DataOptions
from i2e_deploy.training.data.source import Source, targets_of
from i2e_deploy.training.data.split import divide
from i2e_deploy.training.samples import TrainingData

#: What a path may hold.
Kind = Literal["pictures", "recordings", "shards", "frames"]
#: Endings of events that may be tables of something else: beside pictures they count for nothing.
_TABLES = (".csv", ".txt")


def open_data(data: Any, options: DataOptions | None = None) -> TrainingData:
    """Both parts of a data set, ready for `training.fit`.

    Args:
        data: a folder tree, `.zip`, `.tar` or Parquet files of pictures, `[train|test/]<class>/<name>`, the last folder
            is the class; a folder of shards, or one; a folder tree of event files, `[train|test/]<class>/.../<name>`,
            the first folder is the class; `FRAMES.npz`; or in Python a data set of torch or tonic, or a pair of them
            (train, test), whose items are (picture, frames or events; target).
        options: what is to be said about them; what is not is chosen, and `TrainingData.notes` says how.

    Raises:
        InputError: nothing there, or what is there cannot be told or split.
        FileFormatError: a damaged file.
        MissingDependency: a package that reads such files is not installed.
    """
    options = options or DataOptions()
    if not isinstance(data, str | os.PathLike):
        from i2e_deploy.training.data.objects import open_objects

        return replace(open_objects(data, options), settings=options.settings)
    source = open_kind(Path(data), options)
    targets, classes = targets_of(source, options, str(data))
    parts = divide(source.listing, options, source.files)
    train, test = (source.part(numbers, targets[numbers]) for numbers in (parts.train, parts.test))
    return TrainingData(
        train, test, classes, source.input_shape, source.steps, source.step_us, (*parts.notes, *source.notes),
        source.preprocessing, parts.record, options.settings,
    )  # fmt: skip


def open_kind(path: Path, options: DataOptions) -> Source:
    """What is at a path, opened as what it is, and not divided.

    Raises:
        InputError: see `kind_of`; or an option that data of this kind have no use for.
    """
    kind = kind_of(path)
    _refuse(kind, path, options)
    if kind == "pictures":
        from i2e_deploy.training.data.pictures import open_pictures

        return open_pictures(path, options)
    if kind == "shards":
        from i2e_deploy.training.data.shards import open_shards

        return open_shards(path, options)
    if kind == "frames":
        from i2e_deploy.training.data.arrays import open_arrays

        return open_arrays(path, options)
    from i2e_deploy.training.data.recordings import open_recordings

    return open_recordings(path, options)


def kind_of(path: Path) -> Kind:
    """What a path holds.

    Raises:
        InputError: nothing, or pictures and recordings beside each other.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such file or folder: give a folder tree or archive of pictures, shards, a folder tree of "
            "recordings, or FRAMES.npz"
        )
    if path.is_file():
        if path.suffix == ".npz":
            return "frames"
        return "shards" if path.suffix == ".parquet" and _is_shard(path) else "pictures"
    tables = sorted(path.glob("*.parquet"))
    if tables:
        return "shards" if _is_shard(tables[0]) else "pictures"
    found = Counter(
        Path(file).suffix.lower() for _, _, files in os.walk(path) for file in files if not file.startswith(".")
    )
    pictures = sum(found[ending] for ending in endings())
    sure = sum(found[ending] for ending in SUFFIXES if ending not in _TABLES)
    if pictures and sure:
        raise InputError(f"{path} holds {pictures} pictures and {sure} recordings: give a folder of one kind")
    if pictures:
        return "pictures"
    if any(found[ending] for ending in SUFFIXES):
        return "recordings"
    there = ", ".join(f"{count} {ending or 'without ending'}" for ending, count in found.most_common(5)) or "nothing"
    raise InputError(f"{path}: no pictures, shards or recordings there, but {there}")


def _is_shard(path: Path) -> bool:
    return "image" not in open_parquet(path).schema_arrow.names


def _refuse(kind: Kind, path: Path, options: DataOptions) -> None:
    """Raise InputError for an option that data of this kind have no use for."""
    default = DataOptions()
    of_pictures = ("ratio", "fit", "resample", "sensor", "moving_eye")
    useless = {
        "pictures": ("read",), "recordings": of_pictures, "shards": (*of_pictures, "read", "labels"),
        "frames": (*of_pictures, "read", "labels"),
    }  # fmt: skip
    for name in useless[kind]:
        if getattr(options, name) != getattr(default, name):
            raise InputError(f"{name} is not for {kind}: {path} holds such; leave it out")
    if kind != "pictures":
        options.augmentation.only_of_pictures(f"{path} holds {kind}")
