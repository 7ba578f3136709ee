"""Frames to events: nothing lost, Sinabs' order where asked for, neighbours apart where not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn import CoreLayer, DynapcnnProgram, Source
from i2e_deploy.chips.dynapcnn.engine.event.run import run_recordings
from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions, choices
from i2e_deploy.chips.dynapcnn.reference.injection import inject, recorded
from i2e_deploy.chips.dynapcnn.reference.spikes import TICK
from i2e_deploy.conversion.stream import frames_to_events
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.runtime.pictures import frame_events

ORDERS = choices()["order"]


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(ORDERS), st.sampled_from(["start", "middle", "end"]), st.booleans(),
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
    phase = {"start": 0, "middle": step_us // 2, "end": step_us}[tick]
    assert is_tick.sum() == (len(frames) if ticks else 0)
    assert (stimuli["t"][is_tick] == np.arange(is_tick.sum()) * step_us + phase).all()
    events = stimuli[~is_tick]
    back = np.zeros_like(frames)
    np.add.at(back, (events["t"] // step_us, events["c"], events["y"], events["x"]), 1)
    np.testing.assert_array_equal(back, frames)


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from(ORDERS), st.sampled_from(["start", "middle", "end"]), st.booleans(),
)  # fmt: skip
def test_a_recording_keeps_its_order(seed: int, order: str, tick: str, ticks: bool) -> None:
    """Frames made events, these taken for a recording: the same stimuli."""
    rng = np.random.default_rng(seed)
    shape = (rng.integers(1, 5), 2, *rng.integers(1, 7, 2))
    values: dict[str, Any] = {"order": order, "tick": tick}
    options = EventOptions(step_us=500, seed=seed, **values)
    stimuli = inject(rng.integers(0, 3, shape), options, ticks)
    events = as_recording(stimuli)
    late = np.concatenate([events, np.array([(shape[0] * 500, 0, 0, 1)], EVENT_DTYPE)])
    for recording in (events, late):
        np.testing.assert_array_equal(recorded(recording, int(shape[0]), options, ticks), stimuli)


def as_recording(stimuli: NDArray[Any]) -> Events:
    """Stimuli as an event array, without ticks."""
    given_events = stimuli[stimuli["c"] != TICK]
    events = empty_events(len(given_events))
    for name, field in (("t", "t"), ("p", "c"), ("y", "y"), ("x", "x")):
        events[name] = given_events[field]
    return events


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(1, 3000))
def test_pictures_made_events_stand_in_the_order_in_which_frames_are_injected(
    seed: int, size: tuple[int, int], step_us: int
) -> None:
    """One default order: what `convert` writes into a file runs on the chip as its frames do."""
    frames = (np.random.default_rng(seed).random((3, 2, *size)) < 0.4).astype(np.uint8)
    options = EventOptions(step_us=step_us)
    events = frames_to_events(frames, saccade_us=step_us)
    np.testing.assert_array_equal(recorded(events, 3, options, ticks=False), inject(frames, options, ticks=False))
    shown = [frame_events(frame, step) for step, frame in enumerate(frames)]
    for name in ("x", "y", "p"):
        np.testing.assert_array_equal(np.concatenate(shown)[name], events[name])


def test_recordings_run_as_the_frames_they_make() -> None:
    frames = np.random.default_rng(0).integers(0, 3, (3, 4, 2, 6, 5))
    weight = np.random.default_rng(1).integers(-60, 60, (4, 2, 3, 3)).astype(np.int8)
    layer = CoreLayer(
        "core", (Source("input"),), weight, np.full(4, 5, np.int8), (1, 1), (1, 1), 100, -50, None, "subtract",
        (2, 6, 5), (4, 6, 5),
    )  # fmt: skip
    program, options = DynapcnnProgram((2, 6, 5), (layer,), (Source("core"),)), EventOptions(step_us=800)
    recordings = [as_recording(inject(sample, options, ticks=False)) for sample in frames]
    one, other = run_recordings(program, recordings, 4, options), program.run(frames, "event", options=options)
    assert one.events is not None
    assert other.events is not None
    assert len(one.events["core"]) > 100
    np.testing.assert_array_equal(one.events["core"], other.events["core"])
    np.testing.assert_array_equal(one.output, other.output)
    recordings[1]["x"][-1] = 5
    with pytest.raises(InputError, match="recording 1"):
        run_recordings(program, recordings, 4, options)
    with pytest.raises(InputError, match="0 recordings"):
        run_recordings(program, [], 4, options)
    single = replace(layer, weight=weight[:, :1], input_shape=(1, 6, 5))
    with pytest.raises(InputError, match="merge them"):
        run_recordings(DynapcnnProgram((1, 6, 5), (single,), (Source("core"),)), recordings[:1], 4, options)


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
