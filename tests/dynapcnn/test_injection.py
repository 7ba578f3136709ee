"""Frames to events: nothing lost, Sinabs' order where asked for, neighbours apart where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from i2e_deploy.chips.dynapcnn.event_options import EventOptions, choices
from i2e_deploy.chips.dynapcnn.injection import inject
from i2e_deploy.chips.dynapcnn.spikes import TICK

ORDERS = choices()["order"]


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(ORDERS), st.sampled_from(["start", "end"]), st.booleans(),
    st.integers(1, 3000),
)  # fmt: skip
def test_events_give_the_frames_back(seed: int, order: str, tick: str, ticks: bool, step_us: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 7, 4))
    frames = rng.integers(0, 4, shape) * (rng.random(shape) < 0.4)
    values: dict[str, Any] = {"order": order, "tick": tick}
    options = EventOptions(step_us=step_us, seed=seed, **values)
    stimuli = inject(frames, options, ticks)
    assert (np.diff(stimuli["t"]) >= 0).all()
    is_tick = stimuli["c"] == TICK
    assert is_tick.sum() == (len(frames) if ticks else 0)
    assert (stimuli["t"][is_tick] == (np.arange(is_tick.sum()) + (tick == "end")) * step_us).all()
    events = stimuli[~is_tick]
    back = np.zeros_like(frames)
    np.add.at(back, (events["t"] // step_us, events["c"], events["y"], events["x"]), 1)
    np.testing.assert_array_equal(back, frames)


@pytest.mark.parametrize("seed", range(5))
def test_raster_order_is_sinabs(seed: int) -> None:
    """The oracle is `ChipFactory.raster_to_events`, run here."""
    import samna_standin

    samna_standin.install()
    from sinabs.backend.dynapcnn.chip_factory import ChipFactory

    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 4, (3, 2, 5, 4)) * (rng.random((3, 2, 5, 4)) < 0.5)
    theirs = ChipFactory("speck2fmodule").raster_to_events(torch.from_numpy(frames), layer=0, dt=1e-3)
    ours = inject(frames, EventOptions(order="raster"), ticks=False)
    assert ours.tolist() == [(int(e.timestamp), int(e.feature), int(e.y), int(e.x)) for e in theirs]


def test_spread_keeps_neighbours_apart() -> None:
    """Consecutive events of a full frame lie at least a quarter of the plane apart, most of the time."""
    stimuli = inject(np.ones((1, 1, 32, 32), np.int64), EventOptions(order="spread"), ticks=False)
    x, y = stimuli["x"].astype(int), stimuli["y"].astype(int)
    distance = np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))
    assert (distance >= 8).mean() > 0.7


def test_shuffles_differ_by_seed_only() -> None:
    frames = np.ones((1, 2, 8, 8), np.int64)
    one, again, other = (inject(frames, EventOptions(order="shuffled", seed=s), ticks=False) for s in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
