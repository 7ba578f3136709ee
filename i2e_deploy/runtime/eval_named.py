"""Samples for an evaluation by the names of classes: the card of a network says which output is which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.options import MAX_STEP_US
from i2e_deploy.conversion.sensor import Sensor
from i2e_deploy.datasets.card import Card
from i2e_deploy.datasets.listing import ALL, UNLABELLED, Listing
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import Events
from i2e_deploy.events.files import Recording, read_events
from i2e_deploy.files import holds_arrays
from i2e_deploy.runtime.eval_data import MAX_SAMPLES, MAX_VALUES, Samples
from i2e_deploy.text import counted, listed
from i2e_deploy.training.data.opening import kind_of, open_kind
from i2e_deploy.training.data.options import STEPS, DataOptions

#: Samples made at a time.
BATCH = 64


def read_named(
    path: Path, shape: tuple[int, ...], card: Card | None, steps: int | None = None, limit: int = 0,
    say: Callable[[str], None] | None = None, read: Callable[[Path], Recording] = read_events,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:  # fmt: skip
    """Pictures, shards, recordings in class folders, or `FRAMES.npz` as a network with this card takes them.

    Args:
        path: see `training.data.open_data`. Of folders `train` and `test` the latter is taken.
        shape: (C, H, W) of the program's input.
        card: of the network's data; None: classes are numbered in the order of their names, and pictures become
            events with the options of `convert`; both is said.
        steps: T; None: the card's, else 8.
        limit: at most so many samples, evenly from the classes; 0 = all.
        say: called with each sentence on what was assumed.
        read: how a recording is read.
        progress: called with (samples made, of how many).

    Raises:
        InputError: nothing there, a class that the card does not name, or data that do not fit the program.
        FileFormatError: a file is damaged.
    """
    tell = say or silent
    options = _options(path, shape, card, steps, read)
    source = open_kind(path, options)
    if source.input_shape != tuple(shape):
        raise InputError(f"{path} gives samples {list(source.input_shape)}, this program takes {list(shape)}")
    if source.values is None and (kind_of(path) != "frames" or holds_arrays(path, "classes")):
        labels = labels_of(source.listing, card, path, tell)
    else:  # values, or numbers, which are those of the outputs
        labels = source.listing.labels
    chosen = evenly_chosen(source.listing, labels, min(limit or MAX_SAMPLES, MAX_SAMPLES), tell)
    if (values := len(chosen) * source.steps * prod(shape)) > MAX_VALUES:
        raise InputError(
            f"{len(chosen)} samples of {source.steps} steps are {values} counts, at most {MAX_VALUES}: take fewer"
        )
    targets = (labels if source.values is None else source.values.astype(np.float64))[chosen]
    part = source.part(chosen, targets)
    frames = np.empty((len(chosen), source.steps, *shape), np.int32)
    own = list[Events]()
    for start in range(0, len(chosen), BATCH):
        batch = part.batch(np.arange(start, min(start + BATCH, len(chosen))), None)
        if batch.frames.dtype.kind == "f":
            raise InputError(f"{path} holds frames of {batch.frames.dtype}: a chip takes whole numbers")
        frames[start : start + BATCH] = batch.frames
        own += batch.recordings or ()
        if progress is not None:
            progress(min(start + BATCH, len(chosen)), len(chosen))
    assumed = getattr(part, "notes", None)  # of recordings, by what was read
    for note in (
        source.notes if assumed is None else (f"{counted(n, 'recording')}: {note}" for note, n in assumed.items())
    ):
        tell(note)
    step_us = None if source.step_us is None else min(source.step_us, MAX_STEP_US)
    return Samples(frames, targets, tuple(own), step_us)


def silent(line: str) -> None:
    """Where nobody listens."""


def _options(
    path: Path, shape: tuple[int, ...], card: Card | None, steps: int | None, read: Callable[[Path], Recording]
) -> DataOptions:
    """As the data of the card were prepared, for an input of this shape."""
    if len(shape) != 3:
        raise InputError(f"this program takes {list(shape)}: events need (C, H, W)")
    kind, made = kind_of(path), dict(card.preprocessing) if card is not None else {}
    known: dict[str, Any] = {}
    try:
        if kind == "pictures":
            known = words_of(card, fit="fit", resample="resample", ratio="s_th0")
            if isinstance(made.get("sensor"), dict):
                known |= {"sensor": Sensor(**made["sensor"]), "moving_eye": made.get("moving_eye") is True}
        elif kind == "recordings":
            known = {"read": read}
            if made.get("cut") == "windows" and card is not None:
                known["step_us"] = card.step_us
        if kind in ("pictures", "recordings"):
            known |= {"size": (shape[1], shape[2]), "steps": steps or (card.steps if card is not None else STEPS)}
        elif steps is not None:
            known["steps"] = steps
        return DataOptions(channels=min(shape[0], 2), binary=made.get("binary") is True, **known)
    except TypeError as error:
        raise InputError(f"the preprocessing in the card cannot be used ({error}): {made}") from None


def words_of(card: Card | None, **keys: str) -> dict[str, Any]:
    """Options of pictures by the key under which the preprocessing of a card has them: those that stand there."""
    made = {} if card is None else card.preprocessing
    return {name: made[key] for name, key in keys.items() if isinstance(made.get(key), str)}


def labels_of(listing: Listing, card: Card | None, path: Path, tell: Callable[[str], None]) -> NDArray[np.int64]:
    """The number of every sample's class as the network has it.

    Raises:
        InputError: a sample without a class, or a class that the card does not name.
    """
    without = np.flatnonzero(listing.labels == UNLABELLED)
    if len(without):
        raise InputError(
            f"{path}: {len(without)} of {len(listing.names)} samples are in no class, the first is "
            f"{listing.names[without[0]]!r}: expected folders by class"
        )
    if card is None or not card.classes:
        tell(f"the model names no classes: output 0 is taken for {listed(listing.classes)}, in this order")
        return listing.labels
    number = {name: index for index, name in enumerate(card.classes)}
    used = sorted(set(listing.labels.tolist()))
    unknown = [listing.classes[label] for label in used if listing.classes[label] not in number]
    if unknown:
        raise InputError(
            f"{path} has classes that the model does not name: {listed(unknown)}; it names {listed(card.classes)}"
        )
    table = np.array([number.get(name, UNLABELLED) for name in listing.classes], np.int64)
    return table[listing.labels]


def evenly_chosen(
    listing: Listing, labels: NDArray[np.int64], most: int, tell: Callable[[str], None]
) -> NDArray[np.int64]:
    """Numbers of the samples: the test part where folders name parts; the first of each class, the second, ..."""
    numbers = np.arange(len(listing.names))
    there = set(listing.splits)
    if there != {ALL}:
        part = next((name for name in ("test", "val", "validation", "train") if name in there), ALL)
        numbers = np.flatnonzero(np.array(listing.splits) == part)
        tell(f"the part {part!r} is taken, of {', '.join(sorted(there))}")
    place, ranked = Counter[int](), list[tuple[int, int, int]]()
    for number in numbers:
        label = int(labels[number])
        ranked.append((place[label], label, int(number)))
        place[label] += 1
    return np.array([number for _, _, number in sorted(ranked)[:most]], np.int64)
