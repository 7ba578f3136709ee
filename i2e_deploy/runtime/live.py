"""The live loop: source -> windows -> program -> decisions.

One thread reads the source and counts events into frames, the caller's runs the program on closed windows. Counting and
running release Python's lock, so two cores are used. Nothing grows with time: events are counted and forgotten.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips import Program
from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events.array import EVENT_DTYPE, Events, empty_events
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.sources import Source
from i2e_deploy.events.stream import StreamSpec, Windower
from i2e_deploy.runtime.backlog import POLICIES, Ahead, Backlog, Policy, Waiting
from i2e_deploy.runtime.histogram import LatencyHistogram
from i2e_deploy.runtime.session import Recorder

#: Longest wait for a packet or a window, seconds: how soon a stop is noticed, and silence.
POLL = 0.01
#: A packet may be this late behind its events, us: only after that is silence taken for the end of a step.
GRACE_US = 20_000
#: Back-off between attempts to find a lost source, seconds.
FIRST_RETRY, LAST_RETRY = 0.1, 5.0


@dataclass(frozen=True)
class LiveSpec:
    """How a live session runs.

    Args:
        stream: how the stream is cut into windows.
        frame: how a pixel is counted; its shape is the program's input shape.
        semantics: of the program.
        state: `"reset"` = each window from a fresh state; `"keep"` = on from where the last window ended.
        policy: when the network is too slow: `"block"` the source, `"drop"` the oldest window, `"merge"` the newest.
        backlog: windows that may wait.
        patience: seconds to look for a lost source before giving up; 0 = at once.

    Raises:
        InputError: an unknown word, or a value out of range.
    """

    stream: StreamSpec
    frame: FrameSpec
    semantics: str = "timestep"
    state: Literal["reset", "keep"] = "reset"
    policy: Policy = "drop"
    backlog: int = 4
    patience: float = 60.0

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(f"policy {self.policy!r}: choose one of {', '.join(POLICIES)}")
        if self.state not in ("reset", "keep"):
            raise InputError(f"state {self.state!r}: choose 'reset' or 'keep'")
        if self.backlog < 1 or self.patience < 0:
            raise InputError(f"backlog {self.backlog} is at least 1, patience {self.patience} at least 0 seconds")
        if self.state == "keep" and self.stream.hop != self.stream.steps:
            raise InputError("state 'keep' with overlapping windows would count events twice: leave out the stride")


@dataclass(frozen=True)
class Decision:
    """What the network said about one window.

    Args:
        windows: numbers of the windows it covers; more than one where the policy merged them.
        start, end: us of the stream's clock.
        events: in the window.
        choice: class with the most output spikes, the lowest on a tie.
        scores: output spikes of each class.
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

    def exact(self) -> dict[str, Any]:
        """All that must be equal in a replay: everything but the latency."""
        data = asdict(self)
        del data["latency"]
        return {**data, "windows": list(self.windows), "scores": list(self.scores)}


@dataclass
class LiveCounts:
    """What the loop did so far."""

    decisions: int = 0
    lost: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)


class Decider:
    """Runs windows through a program, in order, with the state that the spec asks for.

    The steps of an open window may be run ahead. That never changes a decision: if the window does not come as it was
    (given up, dropped, merged), its steps are taken back and run again.
    """

    def __init__(self, program: Program, spec: LiveSpec) -> None:
        if tuple(spec.frame.shape) != tuple(program.input_shape):
            raise InputError(f"frames are {spec.frame.shape}, this program takes {tuple(program.input_shape)}")
        self._spec = spec
        self._session = program.session(spec.semantics)
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
        self._outputs.append(self._session.step(ahead.frames[len(self._outputs)]))

    def decide(self, item: Waiting) -> Decision:
        """Run what is left of one window; its latency is measured here."""
        window = item.window
        if len(item.indices) > 1 or window.first_step != self._open:
            self._begin(window.first_step)
        for frame in window.frames[len(self._outputs) :]:
            self._outputs.append(self._session.step(frame))
        scores = np.sum(self._outputs, axis=0, dtype=np.int64)
        counts = self._session.counts()
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
        if self._spec.state == "keep":
            self._kept = self._session.state()
        self._open, self._outputs = -1, []
        return decision

    def _begin(self, first_step: int) -> None:
        self._session.start(self._kept)
        self._open, self._outputs = first_step, []


class Live:
    """A running session: a context manager, and an iterator of decisions.

    Args:
        source: an open source.
        program: what decides.
        spec: how.
        reopen: opens the source again after it was lost; None: a lost source ends the session with its error.
        recorder: gets every packet and decision.
        watch: called in the reading thread with each packet, e.g. to show it; must be quick.
    """

    def __init__(
        self,
        source: Source,
        program: Program,
        spec: LiveSpec,
        reopen: Callable[[], Source] | None = None,
        recorder: Recorder | None = None,
        watch: Callable[[Events], None] | None = None,
    ) -> None:
        self.spec, self.counts = spec, LiveCounts()
        self.windower = Windower(spec.stream, spec.frame)
        self.backlog = Backlog(spec.backlog, spec.policy, spec.frame.binary)
        self._decider = Decider(program, spec)
        self._source, self._reopen, self._recorder = source, reopen, recorder
        self.watch = watch
        self._idle_since = 0.0
        self._stop, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._began = time.perf_counter()
        self._decider.warm_up()
        self._thread = threading.Thread(target=self._read, name="i2e-deploy source", daemon=True)

    def __enter__(self) -> Live:
        gc.freeze()  # a full collection over what torch and numba made takes 0.1 s: five windows
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()
        gc.unfreeze()
        self._source.close()
        if self._recorder is not None:
            self._recorder.close(self.stats())

    def stop(self) -> None:
        """End the session; safe from any thread."""
        self._stop.set()
        self.backlog.close()

    def __iter__(self) -> Iterator[Decision]:
        """Decisions until the stream ends or `stop` is called.

        Raises:
            SourceLost: the source was lost and not found again within the spec's patience.
        """
        while not self._stop.is_set():
            ended = self._ended.is_set()  # asked before the last look into the backlog
            item = self.backlog.get(POLL, self._decider.known)
            if item is None:
                if ended:
                    break
                continue
            if isinstance(item, Ahead):
                self._decider.run_ahead(item)
                continue
            decision = self._decider.decide(item)
            self.counts.decisions += 1
            self.counts.latency.add(decision.latency)
            if self._recorder is not None:
                self._recorder.decision(decision.exact(), decision.latency)
            yield decision
        if self._error is not None:
            raise self._error

    def stats(self) -> dict[str, Any]:
        """A snapshot of all counters, plain data for JSON."""
        return {
            "seconds": round(time.perf_counter() - self._began, 3),
            "decisions": self.counts.decisions,
            "waiting": len(self.backlog),
            "lost": self.counts.lost,
            **asdict(self.windower.counts),
            **asdict(self.backlog.counts),
            "latency": self.counts.latency.summary(),
        }

    def _read(self) -> None:
        """The reading thread."""
        try:
            while not self._stop.is_set() and self._read_until_lost():
                pass
        except BaseException as error:  # handed to the iterator
            self._error = error
        finally:
            self._ended.set()

    def _read_until_lost(self) -> bool:
        """Read to the end of the stream (False), or until the source was lost and found again (True)."""
        try:
            while not self._stop.is_set():
                packet = self._source.read(POLL)
                if packet is None:
                    return False
                self._take(packet, time.perf_counter())
        except SourceLost:
            self.counts.lost += 1
            if self._reopen is None or self.spec.patience == 0:
                raise
            self._source.close()
            self._find_again(self._reopen, time.monotonic() + self.spec.patience)
            return not self._stop.is_set()
        return False

    def _take(self, packet: Events, arrived: float) -> None:
        """Count a packet in; an empty one may close windows by the clock."""
        if len(packet):
            if self._recorder is not None:
                self._recorder.packet(packet)
            if self.watch is not None:
                self.watch(packet)
            closed = self.windower.push(packet)
        else:
            now = self.windower.latest + int((arrived - self._idle_since) * 1e6) - GRACE_US
            if self.windower.step_end is None or now < self.windower.step_end:
                return
            if self._recorder is not None:
                self._recorder.advance(now)
            closed = self.windower.advance(now)
        for window in closed:
            self.backlog.put(Waiting(window, (window.index,), arrived))
        self.backlog.put_ahead(Ahead(*self.windower.ahead()))
        if len(packet):
            self._idle_since = time.perf_counter()  # behind `put`: waiting for the network is no silence of the source

    def _find_again(self, reopen: Callable[[], Source], deadline: float) -> None:
        """Open the source again, with growing pauses, until the deadline."""
        pause = FIRST_RETRY
        while not self._stop.wait(pause):
            try:
                self._source = reopen()
            except (SourceLost, InputError):
                if time.monotonic() + pause > deadline:
                    raise
                pause = min(2 * pause, LAST_RETRY)
                continue
            self.windower.restart()
            if self._recorder is not None:
                self._recorder.restart()
            return
