"""What the neurons that differ from the record first-layer have in common: the order of events moves them.

Called by `silicon.py`. Features differ in how far order matters to them: one with few negative weights is hardly ever
at its lower bound, and then only the sum of what it received counts. A lost, doubled or misread event moves such a
feature as much as any other; another order of the same events does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import DynapcnnProgram
from i2e_deploy.events.array import Events

Change = Callable[[Events, np.random.Generator], Events]
DRAWS = 3


def jitter(most_us: int) -> Change:
    """Every event moved by up to `most_us` later; times keep their places."""

    def change(events: Events, rng: np.random.Generator) -> Events:
        moved = events[np.argsort(events["t"] + rng.integers(0, most_us + 1, len(events)), kind="stable")].copy()
        moved["t"] = events["t"]
        return moved

    return change


def lose(share: float) -> Change:
    """A share of the events left out."""
    return lambda events, rng: events[rng.random(len(events)) >= share]


def double(share: float) -> Change:
    """A share of the events sent twice."""
    return lambda events, rng: np.repeat(events, 1 + (rng.random(len(events)) < share))


CHANGES: dict[str, Change] = {
    "events up to 0.2 ms late": jitter(200), "events up to 1 ms late": jitter(1000),
    "events up to 2 ms late": jitter(2000),
    "0.1 % of the events lost": lose(0.001), "0.1 % of the events doubled": double(0.001),
}  # fmt: skip


def what_is_left(
    program: DynapcnnProgram,
    recordings: Sequence[Events],
    ours: Sequence[NDArray[np.int64]],
    chips: NDArray[np.float32],
) -> None:
    """Neurons that differ, by feature, beside those that changes of our input would move.

    Args:
        ours: counts of the first layer by recording, [C, H, W].
        chips: the record, [recording, C, H, W].
    """
    differ = np.sum([(mine != theirs).sum(axis=(1, 2)) for mine, theirs in zip(ours, chips, strict=True)], axis=0)
    spikes = chips.sum(axis=(0, 2, 3))
    weight = program.layers[0].weight.astype(np.int64)
    few = np.argsort([-row[row < 0].sum() for row in weight])[:3]
    print("\nSpeck2f, what is left of first-layer: neurons that differ, and in the features of least negative weight")
    print(
        f"(features {', '.join(map(str, few))}: {spikes[few].sum() / spikes.sum():.0%} of the spikes), and over all 16"
    )
    print(
        "| ours beside | neurons that differ | in these | correlation with the record, by feature |\n|---|---|---|---|"
    )
    print(f"| the chip | {differ.sum():,} | {differ[few].sum() / differ.sum():.1%} | |")
    for name, change in CHANGES.items():
        rng, moved = np.random.default_rng(0), np.zeros(len(differ))
        for _ in range(DRAWS):
            for events, mine in zip(recordings, ours, strict=True):
                other = program.run_events(change(events, rng)).spikes[program.layer_names[0]].sum(axis=(0, 1))
                moved += (other != mine).sum(axis=(1, 2)) / DRAWS
        together = np.corrcoef(moved, differ)[0, 1]
        print(f"| ourselves, {name} | {moved.sum():,.0f} | {moved[few].sum() / moved.sum():.1%} | {together:.2f} |")
