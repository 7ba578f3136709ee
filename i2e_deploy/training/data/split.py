"""Which samples train and which test: as the data say it, or drawn by a seed, class by class and source by source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.datasets.listing import ALL, Listing
from i2e_deploy.datasets.name_table import read_table, rows_of
from i2e_deploy.errors import InputError
from i2e_deploy.text import counted, listed
from i2e_deploy.training.data.options import DataOptions

#: Longest regular expression for groups, characters.
MAX_PATTERN = 1000


@dataclass(frozen=True, eq=False)
class Parts:
    """int64 numbers of the samples of either part, in order; what a card says of it; and notes for people."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    record: dict[str, Any]
    notes: tuple[str, ...]


def divide(listing: Listing, options: DataOptions, files: Sequence[str] | None = None) -> Parts:
    """Both parts of the samples of a listing.

    Args:
        listing: the samples.
        options: how they are divided.
        files: what each sample was cut from, where that may be the same of several; then these are the sources, or
            what `groups` is searched in.

    Raises:
        InputError: a part or a class in the training would be empty, or groups do not fit the names.
    """
    if not listing.names:
        raise InputError("there are no samples")
    parts = _drawn(listing, options, files) if set(listing.splits) == {ALL} else _given(listing, options)
    if not len(parts.train) or not len(parts.test):
        counts = f"{counted(len(parts.train), 'training sample')}, {counted(len(parts.test), 'test sample')}"
        raise InputError(f"{counts}: either part needs one; give folders train and test, or more samples")
    return _fewer(parts, listing.labels, options)


def draw_split(labels: NDArray[np.int64], sources: Sequence[str] | None, share: float, seed: int) -> NDArray[np.bool_]:
    """Which samples test: of every class about `share`, and all samples of a source on one side.

    The sources, in an order drawn by `seed`, go to the test part while that brings the counts of their classes nearer
    to the share, and never if they are the last of a class.

    Args:
        labels: int64 [N].
        sources: of each sample; None: each sample is its own.
        share: of the test part.
        seed: of the order.

    Returns:
        bool [N].
    """
    numbers = np.arange(len(labels)) if sources is None else np.unique(np.asarray(sources), return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    _, own = np.unique(labels, return_inverse=True)
    total = np.bincount(own)
    wanted, taken, left = share * total, np.zeros(len(total)), total.copy()
    test = np.zeros(len(labels), np.bool_)
    for group in np.random.default_rng(seed).permutation(len(members)):
        classes, counts = np.unique(own[members[group]], return_counts=True)
        nearer = (
            np.abs(taken[classes] + counts - wanted[classes]).sum() < np.abs(taken[classes] - wanted[classes]).sum()
        )
        if nearer and (left[classes] > counts).all():
            test[members[group]] = True
            taken[classes] += counts
            left[classes] -= counts
    return test


def sources_of(names: Sequence[str], groups: str) -> list[str]:
    """The source of every sample, see `DataOptions.groups`.

    Raises:
        InputError: no regular expression, one that is found in no name of a sample, or a table without a sample.
    """
    path = Path(groups)
    if len(groups) <= 255 and path.is_file():
        return [source for (source,) in rows_of(read_table(path, 1), names, path)]
    try:
        if len(groups) > MAX_PATTERN:
            raise ValueError(f"{len(groups)} characters, at most {MAX_PATTERN}")
        pattern = re.compile(groups)
    except (re.error, ValueError, OverflowError) as error:
        raise InputError(f"groups are {groups[:100]!r}: no file, and no regular expression ({error})") from None
    found = [pattern.search(name) for name in names]
    without = [name for name, match in zip(names, found, strict=True) if match is None]
    if without:
        raise InputError(
            f"groups {groups!r} is found in {len(names) - len(without)} of {len(names)} names, not in {without[0]!r}: "
            "give a pattern that fits every name"
        )
    return [match[1] or "" if pattern.groups else match[0] for match in found if match is not None]


def _given(listing: Listing, options: DataOptions) -> Parts:
    """Train, and test or else validation, as their folders say."""
    if options.groups is not None:
        raise InputError("groups are for a drawn split: these data have folders for train and test; leave groups out")
    splits = np.array(listing.splits)
    there = set(listing.splits)
    test = next((name for name in ("test", "val", "validation") if name in there), None)
    if "train" not in there or test is None:
        raise InputError(f"the folders name the parts {', '.join(sorted(there))}: expected train and test, or neither")
    left = {name: count for name, count in Counter(listing.splits).items() if name not in ("train", test)}
    train, tested = np.flatnonzero(splits == "train"), np.flatnonzero(splits == test)
    notes = [f"split as the folders say it: {len(train)} to train, {len(tested)} of {test!r} to test"]
    notes += [f"{counted(count, 'sample')} of {name!r} left out" for name, count in sorted(left.items())]
    missing = sorted(set(listing.labels[tested]) - set(listing.labels[train]))
    if missing:
        names = listed([listing.classes[n] if n >= 0 else "without a class" for n in missing])
        raise InputError(f"the test part has classes that the training part lacks: {names}")
    return Parts(train, tested, {"how": "given", "test": test}, tuple(notes))


def _drawn(listing: Listing, options: DataOptions, files: Sequence[str] | None) -> Parts:
    sources = files
    if options.groups is not None:
        names = listing.names if files is None else tuple(dict.fromkeys(files))
        found = dict(zip(names, sources_of(names, options.groups), strict=True))
        sources = [found[name] for name in files or names]
    test = draw_split(listing.labels, sources, options.test_share, options.seed)
    train, tested = np.flatnonzero(~test), np.flatnonzero(test)
    of = "" if sources is None else f", {len(set(sources))} sources each on one side"
    notes = [f"split drawn with seed {options.seed}: {len(train)} to train, {len(tested)} to test{of}"]
    if sources is None:
        notes.append("each sample was taken for a source of its own: say with groups which belong together")
    record: dict[str, Any] = {"how": "drawn", "seed": options.seed, "test_share": options.test_share}
    if options.groups is not None:
        record["groups"] = options.groups
    missing = sorted(set(listing.labels) - set(listing.labels[tested]))
    if missing and listing.classes:
        lacking = listed([listing.classes[n] for n in missing])
        notes.append(f"without test samples, as too few or of one source: {lacking}")
    return Parts(train, tested, record, tuple(notes))


def _fewer(parts: Parts, labels: NDArray[np.int64], options: DataOptions) -> Parts:
    """At most as many samples as are asked for, and the counts for the card."""
    train = balanced(parts.train, labels, options.most, options.seed)
    test = balanced(parts.test, labels, options.most_test, options.seed)
    notes = [
        f"of them {len(few)} to {word}, drawn with seed {options.seed}"
        for few, all_, word in ((train, parts.train, "train"), (test, parts.test, "test"))
        if len(few) < len(all_)
    ]
    record = {**parts.record, "train_samples": len(train), "test_samples": len(test)}
    return Parts(train, test, record, (*parts.notes, *notes))


def balanced(numbers: NDArray[np.int64], labels: NDArray[np.int64], most: int | None, seed: int) -> NDArray[np.int64]:
    """At most `most` of the samples, in order: one of each class, a second of each, ..., drawn by `seed`.

    A larger `most` gives the same samples and more.
    """
    if most is None or most >= len(numbers):
        return numbers
    drawn = np.random.default_rng(seed).permutation(len(numbers))
    place, ranked = Counter[int](), list[tuple[int, int, int]]()
    for position in drawn:
        label = int(labels[numbers[position]])
        ranked.append((place[label], len(ranked), int(position)))
        place[label] += 1
    return np.sort(numbers[[position for _, _, position in sorted(ranked)[:most]]])
