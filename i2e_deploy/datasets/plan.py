"""What a conversion at scale will write, decided before anything is written.

The plan depends on the sorted names and the settings only: not on workers, executor or time. So any
process may write any shard, and a second run finds out what is missing by looking. What the pictures hold is hashed
shard by shard while they are read (`shard.content_of`), and compared before a shard counts as finished.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from i2e_deploy.conversion.threshold import as_ratio
from i2e_deploy.conversion.vectors import DEFAULT_ORDER, saccades
from i2e_deploy.datasets.listing import list_names
from i2e_deploy.datasets.picture import ENDINGS, Resize
from i2e_deploy.errors import InputError

#: What to do with a picture that cannot be read.
OnBroken = Literal["skip", "fail"]
#: Changes when a new version would write other bytes for the same settings.
FORMAT = 1


@dataclass(frozen=True)
class Settings:
    """How images become shards.

    Args:
        ratio: S_th0.
        resize: see `picture.Resize`.
        order: time order of the saccade lengths.
        steps: T, 1 to 8.
        shard_items: images a shard; what a killed worker loses at most.
        row_group: images a row group; what one random read decodes.
        on_broken: `"skip"` a broken image and report it, or `"fail"`.

    Raises:
        InputError: a value out of range.
    """

    ratio: Fraction | float | str
    resize: Resize = field(default_factory=Resize)
    order: tuple[str, ...] = DEFAULT_ORDER
    steps: int = 8
    shard_items: int = 1000
    row_group: int = 100
    on_broken: OnBroken = "skip"

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", as_ratio(self.ratio))
        saccades(self.order, self.steps)
        if not 1 <= self.row_group <= self.shard_items <= 1_000_000:
            sizes = f"row_group is {self.row_group}, shard_items {self.shard_items}"
            raise InputError(f"{sizes}: give 1 <= row_group <= shard_items <= 1000000")
        if self.on_broken not in ("skip", "fail"):
            raise InputError(f"on_broken is {self.on_broken!r}: give 'skip' or 'fail'")

    def record(self) -> dict[str, Any]:
        """For the manifest: plain JSON values."""
        return {
            "s_th0": str(self.ratio),
            "size": self.resize.size,
            "fit": self.resize.fit,
            "resample": self.resize.resample,
            "order": list(self.order),
            "steps": self.steps,
            "shard_items": self.shard_items,
            "row_group": self.row_group,
            "on_broken": self.on_broken,
        }


@dataclass(frozen=True)
class Shard:
    """One file to write: its name, and the names and labels of its images in order."""

    file: str
    names: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """All shards of a conversion; `digest` is equal for equal names and settings."""

    settings: Settings
    classes: tuple[str, ...]
    shards: tuple[Shard, ...]
    digest: str

    def record(self) -> dict[str, Any]:
        """For the plan file and the manifest."""
        return {
            "format": FORMAT,
            "digest": self.digest,
            "settings": self.settings.record(),
            "classes": list(self.classes),
            "images": sum(len(shard.names) for shard in self.shards),
        }


def make_plan(names: list[str], settings: Settings, class_of: Mapping[str, str] | None = None) -> Plan:
    """Cut the names, split by split, into shards `<split>-NNNNN-of-NNNNN.parquet`.

    Args:
        names: of the pictures.
        settings: how they are converted.
        class_of: name of the class of each; None: its last folder.

    Raises:
        InputError: no names, or two equal ones.
    """
    if not names:
        raise InputError(f"no image found: files must end in {', '.join(ENDINGS)}")
    listing = list_names(names, "last", class_of)
    splits: dict[str, list[int]] = {}
    for index, split in enumerate(listing.splits):
        splits.setdefault(split, []).append(index)
    shards = []
    for split, members in splits.items():
        count = -(-len(members) // settings.shard_items)
        for index in range(count):
            part = members[index * settings.shard_items : (index + 1) * settings.shard_items]
            file = f"{split}-{index:05d}-of-{count:05d}.parquet"
            labels = tuple(int(listing.labels[i]) for i in part)
            shards.append(Shard(file, tuple(listing.names[i] for i in part), labels))
    record: list[Any] = [FORMAT, settings.record(), list(listing.names)]
    if class_of is not None:
        record.append([class_of[name] for name in listing.names])
    return Plan(settings, listing.classes, tuple(shards), hashlib.sha256(json.dumps(record).encode()).hexdigest())
