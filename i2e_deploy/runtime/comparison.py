"""Compare two runs exactly and name the first place where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.trace import Integers
from i2e_deploy.text import record_repr


@dataclass(frozen=True)
class Difference:
    """The first difference between two arrays of one name.

    Args:
        array: name of the array, e.g. `layer1` or `layer1_v_mem`.
        label: name of the layer in the network.
        sample: index of the sample.
        step: time step from 0; None for a final state.
        neuron: index of the neuron, e.g. (channel, row, column).
        expected, actual: the two values.
        count: how many values of the array differ.
        total: values of the array.
        largest: largest difference of two values.
        shapes: where already the shapes differ, the expected and the actual one (None: no such array);
            sample, step, neuron and values then say nothing.
    """

    array: str
    label: str
    sample: int
    step: int | None
    neuron: tuple[int, ...]
    expected: float
    actual: float
    count: int
    total: int
    largest: float = 0
    shapes: tuple[tuple[int, ...], tuple[int, ...] | None] | None = None

    __repr__ = record_repr

    def __str__(self) -> str:
        if self.shapes is not None:
            wanted, got = self.shapes
            found = "is missing" if got is None else f"has shape {list(got)}"
            return f"{self.array} ({self.label!r}) {found}, expected shape {list(wanted)}"
        when = "in the final state" if self.step is None else f"at step {self.step}"
        name = f"{self.array} ({self.label!r})" if self.label else self.array
        return (
            f"{name} differs first {when}, sample {self.sample}, neuron {self.neuron}: "
            f"expected {self.expected:.9g}, got {self.actual:.9g} ({self.count} values differ in all)"
        )


@dataclass(frozen=True)
class EventDifference:
    """The first difference between two arrays of events of one name.

    Args:
        array: name of the array.
        index: of the first event that differs.
        expected, actual: that event, field by field; None: there is none.
        counts: number of events, expected and actual.
    """

    array: str
    index: int
    expected: dict[str, int] | None
    actual: dict[str, int] | None
    counts: tuple[int, int]

    __repr__ = record_repr

    def __str__(self) -> str:
        return (
            f"{self.array} differs first at event {self.index}: expected {self.expected or 'none'}, "
            f"got {self.actual or 'none'} ({self.counts[0]} events expected, {self.counts[1]} found)"
        )


def compare_events(name: str, wanted: NDArray[np.void], got: NDArray[np.void]) -> EventDifference | None:
    """The first difference of two arrays of events [N], in their order; None if they are equal."""
    shared = min(len(wanted), len(got))
    unequal = np.flatnonzero(wanted[:shared] != got[:shared])
    if not len(unequal) and len(wanted) == len(got):
        return None
    index = int(unequal[0]) if len(unequal) else shared
    both = [
        dict(zip(part.dtype.names or (), map(int, part[index].item()), strict=True)) if index < len(part) else None
        for part in (wanted, got)
    ]
    return EventDifference(name, index, both[0], both[1], (len(wanted), len(got)))


def compare(
    expected: Mapping[str, Integers], actual: Mapping[str, Integers], labels: Mapping[str, str]
) -> list[Difference]:
    """Differences of `actual` from `expected`, one an array, earliest layer first.

    Args:
        expected, actual: arrays [B, T, ...] by name; a name with `_` is a final state [B, ...].
        labels: name of the network's layer for each array.
    """
    found: list[Difference] = []
    for name, wanted in expected.items():
        got = actual.get(name)
        label = labels.get(name.partition("_")[0], "")
        if got is None or got.shape != wanted.shape:
            shapes = (wanted.shape, None if got is None else got.shape)
            found.append(Difference(name, label, 0, None, (), 0, 0, wanted.size, wanted.size, shapes=shapes))
        elif not np.array_equal(wanted, got):
            found.append(_first(name, label, wanted, got))
    return found


def _first(name: str, label: str, wanted: Integers, got: Integers) -> Difference:
    where = np.argwhere(wanted != got)
    timed = "_" not in name
    if timed:  # earliest step of any sample first
        where = where[np.lexsort((where[:, 0], where[:, 1]))]
    index = tuple(int(i) for i in where[0])
    return Difference(
        array=name,
        label=label,
        sample=index[0],
        step=index[1] if timed else None,
        neuron=index[2:] if timed else index[1:],
        expected=wanted[index].item(),
        actual=got[index].item(),
        count=len(where),
        total=wanted.size,
        largest=float(np.abs(wanted.astype(np.float64) - got).max()),
    )
