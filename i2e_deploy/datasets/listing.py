"""Which samples there are: their classes and splits, as the folders or a table say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, said

#: First folders that name a split; Hugging Face finds them in the names of the shards.
SPLITS = ("train", "test", "validation", "val")
#: Label of a sample without a class, and the split of one whose folders name none.
UNLABELLED, ALL = -1, "all"


@dataclass(frozen=True, eq=False)
class Listing:
    """Samples by name, sorted.

    Args:
        names: paths with `/`.
        labels: int64 [N], number of the class in `classes`; `UNLABELLED` where there is none.
        splits: of each: `train`, `test`, `validation`, `val`, or `ALL`.
        classes: names, numbers by value, then words.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    splits: tuple[str, ...]
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        return said(self, counted(len(self.names), "sample"), f"{len(self.classes)} classes")


def list_names(
    names: Sequence[str], class_folder: Literal["first", "last"], class_of: Mapping[str, str] | None = None
) -> Listing:
    """Class and split of every name.

    Args:
        names: paths with `/`, relative to the data set.
        class_folder: which of the folders of a name, below that of the split, is its class.
        class_of: the class of every name, instead of folders; "" for none.

    Raises:
        InputError: two names are equal.
    """
    ordered = sorted(names)
    if len(set(ordered)) != len(ordered):
        raise InputError("two samples have the same name")
    divided = split_folders(ordered)
    if class_of is None:
        of_each = [_class_of(name, divided, class_folder) for name in ordered]
    else:
        of_each = [class_of[name] for name in ordered]
    classes = tuple(sorted(set(of_each) - {""}, key=class_order))
    number = {"": UNLABELLED, **{name: index for index, name in enumerate(classes)}}
    labels = np.array([number[name] for name in of_each], np.int64)
    return Listing(tuple(ordered), labels, tuple(_split_of(name, divided) for name in ordered), classes)


def split_folders(names: Sequence[str]) -> frozenset[str]:
    """First folders that are splits: called train, test, ... and holding folders, or with none but such beside them.

    A folder `train` of pictures beside `bus` and `car` is a class.
    """
    folders = [name.split("/")[:-1] for name in names]
    firsts = {parts[0] for parts in folders if parts}
    holding = {parts[0] for parts in folders if len(parts) > 1}
    return frozenset(firsts & set(SPLITS) if firsts <= set(SPLITS) else firsts & set(SPLITS) & holding)


def class_order(name: str) -> tuple[bool, int, str]:
    """Key of sorting: numbers by value, then words; class '10' comes after '9'."""
    return (False, int(name), name) if name.isascii() and name.isdigit() else (True, 0, name)


def _split_of(name: str, splits: frozenset[str]) -> str:
    first, _, rest = name.partition("/")
    return first if rest and first in splits else ALL


def _class_of(name: str, splits: frozenset[str], which: Literal["first", "last"]) -> str:
    """The first or last folder that is not the split."""
    folders = name.split("/")[:-1]
    if folders and folders[0] in splits:
        folders = folders[1:]
    return folders[0 if which == "first" else -1] if folders else ""
