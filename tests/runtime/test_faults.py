"""Each fault of a camera through the whole loop: decisions go on, and every event is in one counter or another."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dv_sender import dv_sender
from event_strategies import random_events
from tiny_programs import tiny_program

from i2e_deploy.errors import SourceLost
from i2e_deploy.events.files import write_events
from i2e_deploy.events.frames import FrameSpec, frames_reference
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.events.windows import by_time
from i2e_deploy.runtime.backlog import Policy
from i2e_deploy.runtime.decider import Decision, LiveSpec
from i2e_deploy.runtime.live import Live

PROGRAM = tiny_program()
SPEC = LiveSpec(StreamSpec(4, 2500), FrameSpec((64, 48), (2, 8, 8)), policy="block")
CAMERA = "fake://64x48?rate=2e5&seed=1&realtime=0&seconds=0.4&faults="


def run(uri: str, policy: Policy = "block", **options: Any) -> tuple[list[Decision], dict[str, Any]]:
    """Decisions and counters of a session in which nothing is unaccounted for."""
    live = Live(open_source(uri), PROGRAM, replace(SPEC, policy=policy), **options)
    with live:
        decisions = list(live)
    stats = live.stats()
    lost = stats["late"] + stats["given_up"] + stats["dropped_events"]
    assert stats["events"] == sum(d.events for d in decisions) + stats["pending"] + lost
    assert len(decisions) + stats["dropped_windows"] + stats["merged_windows"] == live.windower._index
    return decisions, stats


def after(decisions: list[Decision], at: float) -> list[Decision]:
    return [d for d in decisions if d.start >= at * 1e6]


def scores(decisions: list[Decision]) -> list[tuple[int, ...]]:
    return [d.scores for d in decisions]


def test_garbage_costs_a_window_and_is_counted() -> None:
    clean, _ = run(CAMERA)
    decisions, stats = run(CAMERA + "garbage@0.1:3000")
    assert stats["events"] == 80_000 + 3000
    assert stats["late"] > 2500  # seven of eight random 64-bit numbers are no time
    assert 200 < stats["epochs"] < 500  # and each of the others is a jump
    assert scores(decisions)[:9] == scores(clean)[:9]
    assert len(decisions) >= len(clean) - 2


def test_a_clock_that_goes_back_a_little_is_late_until_it_catches_up() -> None:
    decisions, stats = run(CAMERA + "back@0.2:0.1")
    assert (stats["epochs"], stats["events"]) == (0, 80_000)
    assert 19_000 <= stats["late"] <= 20_000
    assert scores(decisions)[:19] == scores(run(CAMERA)[0])[:19]


def test_a_clock_that_goes_back_far_starts_a_new_epoch() -> None:
    decisions, stats = run(CAMERA + "back@0.2:30")
    assert (stats["epochs"], stats["late"]) == (1, 0)
    assert sum(d.end < 0 for d in decisions) >= 18
    assert stats["given_up"] <= 2000


@pytest.mark.parametrize("policy", ["block", "drop", "merge"])
def test_a_burst_of_20_million_events_a_second(policy: Policy) -> None:
    decisions, stats = run(CAMERA + "burst@0.2", policy)
    assert stats["events"] > 2_000_000
    if policy == "block":
        assert max(d.events for d in decisions) > 190_000
        assert stats["dropped_events"] == 0
    assert after(decisions, 0.32)  # it goes on after the burst


def test_silence_and_unplugging() -> None:
    """In real time: windows close by the clock, then the camera goes and comes back."""
    opened: list[float] = []

    def reopen() -> Any:
        opened.append(time.monotonic())
        if len(opened) < 2:
            raise SourceLost("still gone")
        return open_source("fake://64x48?rate=2e5&seconds=0.2")

    decisions, stats = run("fake://64x48?rate=2e5&faults=silence@0.1:0.3,unplug@0.5", reopen=reopen)
    assert (stats["lost"], len(opened)) == (1, 2)
    assert sum(d.events == 0 for d in decisions) >= 10  # 28 on an idle machine
    assert stats["epochs"] == 1


def test_inivation_stream_to_decisions(tmp_path: Path) -> None:
    """A child plays a recording through dv-processing's NetworkWriter; decisions are those of the recording."""
    pytest.importorskip("dv_processing")
    pytest.importorskip("faery")
    events = random_events(40_000, 64, 48, seed=4)
    write_events(tmp_path / "a.aedat4", events, (64, 48))
    step = (int(events["t"][-1]) - int(events["t"][0])) // 80
    steps = frames_reference(events, by_time(events, step), SPEC.frame)
    windows = steps[: len(steps) // 4 * 4].reshape(-1, 4, *SPEC.frame.shape)
    expected = PROGRAM.run(windows, engine="reference").output.sum(axis=1).tolist()
    decisions: list[Decision] = []
    with dv_sender(tmp_path / "a.aedat4") as (uri, play):
        live = Live(open_source(uri), PROGRAM, replace(SPEC, stream=StreamSpec(4, step)))
        with live:
            play()
            for decision in live:
                decisions.append(decision)
                if len(decisions) == len(expected):
                    live.stop()
        del live
    assert len(expected) >= 19
    assert [list(d.scores) for d in decisions] == expected
    assert np.ptp([d.end - d.start for d in decisions]) == 0
