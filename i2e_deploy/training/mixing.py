"""Augmentation of frames that keeps them whole numbers: events dropped, and the events of two samples mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.errors import InputError
from i2e_deploy.text import record_repr
from i2e_deploy.training.samples import Batch, Samples

#: Tags that keep the draws of mixing apart from those of the samples themselves.
_DROP, _MIX = 1, 2


@dataclass(frozen=True)
class Mixing:
    """How training samples are changed; what is drawn depends on the draw and the number of a sample alone.

    Args:
        drop: probability that a sample loses events: in a stretch of steps, in a rectangle, or anywhere at random, each
            a third of the times (EventDrop, Gu et al. 2021).
        drop_most: largest share of the steps, of either side of the rectangle, or of the events, that goes.
        mixup: parameter of the Beta distribution of the share that a sample keeps; the rest comes from another sample
            of the batch: each event stays with the probability of its sample's share, so that frames stay counts
            (mixup, Zhang et al. 2018, for events). Targets are mixed in the same shares. 0: off.

    Raises:
        InputError: a value out of range.
    """

    drop: float = 0.0
    drop_most: float = 0.5
    mixup: float = 0.0

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if not 0 <= self.drop <= 1 or not 0 < self.drop_most <= 1 or self.mixup < 0:
            given = f"drop {self.drop}, drop_most {self.drop_most}, mixup {self.mixup}"
            raise InputError(f"mixing: {given}: the first two are shares from 0 to 1, the last 0 or more")

    @property
    def active(self) -> bool:
        """Whether it changes anything."""
        return self.drop > 0 or self.mixup > 0


@dataclass(frozen=True, eq=False)
class Mixed:
    """A batch, and where samples are mixed the other targets and the share of the first: float32 [B]."""

    batch: Batch
    others: NDArray[Any] | None = None
    share: NDArray[np.float32] | None = None

    __repr__ = record_repr


def mixed_batch(
    samples: Samples, chosen: NDArray[np.int64], partners: NDArray[np.int64], draw: int, mixing: Mixing
) -> Mixed:
    """Some samples, augmented.

    Args:
        samples: of which they are.
        chosen: int64 [B], numbers of samples.
        partners: int64 [B], of the samples that they are mixed with.
        draw: see `Samples.batch`.
        mixing: what is done.

    Raises:
        InputError: the frames are no counts.
    """
    batch = samples.batch(chosen, draw)
    if not mixing.active:
        return Mixed(batch)
    if batch.frames.dtype.kind not in "bui":
        raise InputError(f"mixing: frames are {batch.frames.dtype}: events can be dropped and mixed in counts alone")
    frames = dropped(batch.frames, chosen, draw, mixing)
    if not mixing.mixup:
        return Mixed(replace(batch, frames=frames, recordings=None))
    other = samples.batch(partners, draw)
    shares = np.empty(len(chosen), np.float32)
    mixed = np.empty_like(frames)
    others = dropped(other.frames, partners, draw, mixing)
    for i, number in enumerate(chosen):
        rng = _rng(draw, int(number), _MIX)
        shares[i] = rng.beta(mixing.mixup, mixing.mixup)
        kept = rng.binomial(frames[i], shares[i]) + rng.binomial(others[i], 1 - shares[i])
        mixed[i] = np.minimum(kept, np.iinfo(frames.dtype).max)
    return Mixed(replace(batch, frames=mixed, recordings=None), other.targets, shares)


def dropped(frames: NDArray[Any], numbers: NDArray[np.int64], draw: int, mixing: Mixing) -> NDArray[Any]:
    """Frames [B, T, C, H, W] without the events that go; see `Mixing`."""
    if not mixing.drop:
        return frames
    left = frames.copy()
    for sample, number in zip(left, numbers, strict=True):
        rng = _rng(draw, int(number), _DROP)
        if rng.random() >= mixing.drop:
            continue
        kind = rng.integers(3)
        if kind == 0:
            sample[_stretch(rng, sample.shape[0], mixing.drop_most)] = 0
        elif kind == 1:
            rows, columns = (_stretch(rng, side, mixing.drop_most) for side in sample.shape[-2:])
            sample[..., rows, columns] = 0
        else:
            sample[...] = rng.binomial(sample, 1 - mixing.drop_most * rng.random())
    return left


def _stretch(rng: np.random.Generator, length: int, most: float) -> slice:
    """A random part of an axis, at most `most` of it."""
    size = int(rng.integers(0, max(1, int(most * length)) + 1))
    start = int(rng.integers(0, length - size + 1))
    return slice(start, start + size)


def _rng(draw: int, number: int, tag: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((draw, number, tag)))
