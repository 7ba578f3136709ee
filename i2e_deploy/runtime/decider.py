"""How a live session runs, and the part of it that turns windows into decisions."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.abilities import TakesPictures
from i2e_deploy.chips.base import Program
from i2e_deploy.chips.deciding import Scores, scores_of
from i2e_deploy.chips.options import Semantics
from i2e_deploy.chips.trace import Integers
from i2e_deploy.errors import InputError
from i2e_deploy.events.array import EVENT_DTYPE, empty_events
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime.backlog import POLICIES, Ahead, Policy, Waiting
from i2e_deploy.text import record_repr

#: Whether each window starts from a fresh state, or goes on from where the last one ended.
StateMode = Literal["reset", "keep"]
#: Most counts in one window, 1 GiB of int32.
MAX_VALUES = 2**28


@dataclass(frozen=True)
class LiveSpec:
    """How a live session runs.

    Args:
        stream: how the stream is cut into windows.
        frame: how a pixel is counted; its shape is the program's input shape.
        semantics: of the program.
        state: `"reset"` = each window from a fresh state; `"keep"` = on from where the last window ended.
        policy: when the network is too slow: `"block"` the source, `"drop"` the oldest window, `"merge"` the newest.
            None = `"block"` for a source that gives its events as fast as they are read (a file), else `"drop"`.
        backlog: windows that may wait.
        patience: seconds to look for a lost source before giving up; 0 = at once.

    Raises:
        InputError: an unknown word, or a value out of range.
    """

    stream: StreamSpec
    frame: FrameSpec
    semantics: Semantics = "timestep"
    state: StateMode = "reset"
    policy: Policy | None = None
    backlog: int = 4
    patience: float = 60.0

    __repr__ = record_repr

    def __post_init__(self) -> None:
        if self.policy is not None and self.policy not in POLICIES:
            raise InputError(f"policy {self.policy!r}: choose one of {', '.join(POLICIES)}")
        if self.state not in ("reset", "keep"):
            raise InputError(f"state {self.state!r}: choose 'reset' or 'keep'")
        if self.backlog < 1 or self.patience < 0:
            raise InputError(f"backlog {self.backlog} is at least 1, patience {self.patience} at least 0 seconds")
        if (values := self.stream.steps * prod(self.frame.shape)) > MAX_VALUES:
            raise InputError(f"a window holds {values} counts, at most {MAX_VALUES}: choose fewer steps")
        if self.state == "keep" and self.stream.hop != self.stream.steps:
            raise InputError("state 'keep' with overlapping windows would count events twice: leave out the stride")


@dataclass(frozen=True)
class Decision:
    """What the network said about one window.

    Args:
        windows: numbers of the windows it covers; more than one where the policy merged them.
        start, end: us of the stream's clock.
        events: in the window.
        choice: class with the largest score, the lowest on a tie.
        scores: of each class, as `Program.deciding` says: its output spikes unless it says something else. Where each
            step decides, those of the last step.
        spikes: per layer.
        synops: per layer.
        latency: seconds from the arrival of the packet that closed the window to this decision.
    """

    windows: tuple[int, ...]
    start: int
    end: int
    events: int
    choice: int
    scores: tuple[int, ...]
    spikes: dict[str, int]
    synops: dict[str, int]
    latency: float

    __repr__ = record_repr

    def exact(self) -> dict[str, Any]:
        """All that must be equal in a replay: everything but the latency."""
        data = asdict(self)
        del data["latency"]
        return {**data, "windows": list(self.windows), "scores": list(self.scores)}


class Decider:
    """Runs windows through a program, in order, with the state that the spec asks for.

    The steps of an open window may be run ahead. That never changes a decision: if the window does not come as it was
    (given up, dropped, merged), its steps are undone and run again.
    """

    def __init__(self, program: Program, spec: LiveSpec) -> None:
        if isinstance(program, TakesPictures):
            raise InputError("a program with an eye takes pictures: give live events to the network without it")
        if tuple(spec.frame.shape) != tuple(program.input_shape):
            raise InputError(f"frames are {spec.frame.shape}, this program takes {tuple(program.input_shape)}")
        self._spec = spec
        self._session, self._deciding = program.session(spec.semantics), program.deciding
        self._read: list[Integers] = []
        self._kept: Any = None
        self._open = -1
        self._outputs: list[NDArray[np.int32]] = []

    @property
    def known(self) -> tuple[int, int]:
        """First step of the window that was begun (-1: none), and how many of its steps ran."""
        return self._open, len(self._outputs)

    def warm_up(self) -> None:
        """Compile and allocate: the first run of a program takes seconds, the stream would not wait."""
        spec = self._spec
        for _ in range(2):
            self._begin(-1)
            for _ in range(spec.stream.steps):
                self._session.step(np.zeros(spec.frame.shape, np.int32))
            self._session.state()
        for events in (empty_events(1), np.frombuffer(bytes(EVENT_DTYPE.itemsize), EVENT_DTYPE)):
            Windower(spec.stream, spec.frame).push(events)  # numba: one version for read-only arrays, one for others

    def run_ahead(self, ahead: Ahead) -> None:
        """Run the next step of the open window, one that has not been run."""
        if ahead.first_step != self._open:
            self._begin(ahead.first_step)
        self._step(ahead.frames[len(self._outputs)])

    def decide(self, item: Waiting) -> Decision:
        """Run what is left of one window; its latency is measured here."""
        window = item.window
        if len(item.indices) > 1 or window.first_step != self._open:
            self._begin(window.first_step)
        for frame in window.frames[len(self._outputs) :]:
            self._step(frame)
        counts = dict(self._session.counts())
        kept = self._session.state() if self._spec.state == "keep" else None
        scores = self._scores()
        decision = Decision(
            windows=item.indices,
            start=window.start,
            end=window.end,
            events=window.events,
            choice=int(scores.argmax()),
            scores=tuple(scores.tolist()),
            spikes={name: int(count.spikes) for name, count in counts.items()},
            synops={name: int(count.synops) for name, count in counts.items()},
            latency=time.perf_counter() - item.arrived,
        )
        self._kept = kept
        self._open, self._outputs = -1, []
        return decision

    def _begin(self, first_step: int) -> None:
        self._session.start(self._kept)
        self._open, self._outputs, self._read = first_step, [], []

    def _step(self, frame: Integers) -> None:
        self._outputs.append(self._session.step(frame))
        if self._deciding.kind == "state-mean":
            self._read.append(self._state())

    def _state(self) -> Integers:
        """The variable that decides, now: [1, ...].

        Raises:
            InputError: the program does not report it.
        """
        try:
            return (self._session.state() or {})[self._deciding.layer][self._deciding.variable]
        except KeyError:
            raise InputError(f"readout {self._deciding}: this program reports no such state; read another") from None

    def _scores(self) -> Scores:
        """Of the window whose steps have all run; the session may run on."""
        deciding, none = self._deciding, np.zeros(self._spec.frame.shape, np.int32)
        for _ in range(deciding.lag):
            self._step(none)
        state = None
        if deciding.of_state:
            state = np.sum(self._read[deciding.lag :], axis=0) if self._read else self._state()
        found = scores_of(deciding, np.stack(self._outputs[deciding.lag :])[None], state)[0]
        return np.asarray(found[-1] if deciding.kind == "step" else found)
