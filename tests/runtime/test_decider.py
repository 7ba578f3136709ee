"""Steps that run ahead change when work is done and nothing else: decisions equal whole windows, whatever happens."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from event_strategies import random_events
from hypothesis import given, settings
from hypothesis import strategies as st
from loihi_nets import tiny_blocks
from tiny_programs import tiny_program

from i2e_deploy.chips import Program
from i2e_deploy.chips.loihi2.runnable import LoihiProgram
from i2e_deploy.chips.session import RunSession, Session
from i2e_deploy.chips.trace import States
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import open_source
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime.backlog import Ahead, Backlog, Policy, Waiting
from i2e_deploy.runtime.decider import Decider, Decision, LiveSpec
from i2e_deploy.runtime.live import Live

PROGRAM = tiny_program()
LOIHI = LoihiProgram(tiny_blocks())
FRAME = FrameSpec((16, 16), (2, 8, 8))


class Definition:
    """Whole windows, by the slow reference, in the order in which they are decided."""

    def __init__(self, program: Program, keep: bool) -> None:
        self._program, self._keep = program, keep
        self._states: States | None = None

    def check(self, decision: Decision, item: Waiting) -> None:
        trace = self._program.run(item.window.frames[None], engine="reference", states=self._states)
        if self._keep:
            self._states = trace.states
        assert decision.scores == tuple(trace.output[0].sum(axis=0).tolist())
        assert decision.spikes == {name: count.spikes for name, count in trace.counts.items()}
        assert decision.synops == {name: count.synops for name, count in trace.counts.items()}


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["drop", "merge"]),
    st.sampled_from(["keep", "reset", "overlap"]),
    st.sampled_from(["us", "events"]),
    st.sampled_from([PROGRAM, LOIHI]),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.slow
def test_decisions_equal_whole_windows(seed: int, policy: Policy, state: str, unit: Any, program: Program) -> None:
    """The network gets to run at random moments; the source is lost now and then; the queue overflows."""
    random = np.random.default_rng(seed)
    stream = StreamSpec(4, 300 if unit == "us" else 30, unit, 2 if state == "overlap" else None)
    spec = LiveSpec(stream, FRAME, state="keep" if state == "keep" else "reset", policy=policy, backlog=2)
    windower, decider, backlog = Windower(stream, FRAME), Decider(program, spec), Backlog(2, policy, binary=False)
    definition, decided = Definition(program, state == "keep"), 0
    for packet in np.array_split(random_events(1000, 16, 16, seed=seed), 40):
        if random.random() < 0.05:
            windower.restart()
        for window in windower.push(packet):
            backlog.put(Waiting(window, (window.index,), 0.0))
        backlog.put_ahead(Ahead(*windower.ahead()))
        for _ in range(random.integers(0, 4)):
            item = backlog.get(0, decider.known)
            if isinstance(item, Ahead):
                decider.run_ahead(item)
            elif item is not None:
                definition.check(decider.decide(item), item)
                decided += 1
    assert decided


class Counting(RunSession):
    """Counts its steps."""

    steps = 0

    def step(self, frame: Any) -> Any:
        type(self).steps += 1
        return super().step(frame)


class Counted(Program):
    """`PROGRAM`, with sessions that count."""

    input_shape, layer_names = PROGRAM.input_shape, PROGRAM.layer_names

    def run(self, *args: Any, **options: Any) -> Any:
        return PROGRAM.run(*args, **options)

    def to_tensors(self) -> Any:
        return PROGRAM.to_tensors()

    def session(self, semantics: str = "timestep") -> Session:
        return Counting(self.run, semantics)


@pytest.mark.parametrize("stride", [None, 1])
def test_only_the_last_step_is_left_when_a_window_closes(stride: int | None) -> None:
    stream = StreamSpec(4, 300, stride=stride)
    windower, backlog = Windower(stream, FRAME), Backlog(2, "block", binary=False)
    decider, left = Decider(Counted(), LiveSpec(stream, FRAME)), []
    for packet in np.array_split(random_events(2000, 16, 16, seed=1), 100):
        closed = windower.push(packet)
        backlog.put_ahead(Ahead(*windower.ahead())) if not closed else None
        for window in closed:
            before = Counting.steps
            decider.decide(Waiting(window, (window.index,), 0.0))
            left.append(Counting.steps - before)
            backlog.put_ahead(Ahead(*windower.ahead()))
        while (item := backlog.get(0, decider.known)) is not None:
            assert isinstance(item, Ahead)
            decider.run_ahead(item)
    assert len(left) > 5
    assert sorted(left)[: len(left) // 2] == [1] * (len(left) // 2)  # a packet may close several steps at once


def test_no_full_garbage_collection_in_the_loop() -> None:
    spec = LiveSpec(StreamSpec(4, 2500), replace(FRAME, sensor_size=(64, 48)))
    before = gc.get_freeze_count()
    with Live(open_source("fake://64x48?rate=1e5&seconds=0.1&realtime=0"), PROGRAM, spec) as live:
        assert gc.get_freeze_count() > before + 10_000
        assert list(live)
    assert gc.get_freeze_count() == 0
