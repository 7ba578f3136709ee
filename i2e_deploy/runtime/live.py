"""The live loop: source -> windows -> program -> decisions.

One thread reads the source and counts events into frames, the caller's runs the program: each step as soon as it
closed, so that only the last one is left when the window closes. Counting and running release Python's lock, so two
cores are used. Nothing grows with time: events are counted and forgotten.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from i2e_deploy.chips import Program
from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events.array import Events
from i2e_deploy.events.sources import Source
from i2e_deploy.events.stream import Windower
from i2e_deploy.runtime.backlog import Ahead, Backlog, Policy, Waiting
from i2e_deploy.runtime.decider import Decider, Decision, LiveSpec
from i2e_deploy.runtime.histogram import LatencyHistogram
from i2e_deploy.runtime.recording import Recorder
from i2e_deploy.text import counted, said, shape_text

#: Longest wait for a packet or a window, seconds: how soon a stop is noticed, and silence.
POLL = 0.01
#: A packet may arrive this long after its events, us: only after that does silence end a step.
GRACE_US = 20_000
#: Back-off between attempts to find a lost source, seconds.
FIRST_RETRY, LAST_RETRY = 0.1, 5.0


@dataclass
class LiveCounts:
    """What the loop did so far."""

    decisions: int = 0
    lost: int = 0
    latency: LatencyHistogram = field(default_factory=LatencyHistogram)


def policy_for(spec: LiveSpec, source: Source) -> Policy:
    """What is done with this source when the network is too slow, see `LiveSpec.policy`."""
    return spec.policy or ("block" if getattr(source, "unpaced", False) else "drop")


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
        self.backlog = Backlog(spec.backlog, policy_for(spec, source), spec.frame.binary)
        self._decider = Decider(program, spec)
        self._source, self._reopen, self._recorder = source, reopen, recorder
        self.watch = watch
        self._idle_since = 0.0
        self._stop, self._ended = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._began = time.perf_counter()
        self._decider.warm_up()
        self._thread = threading.Thread(target=self._read, name="i2e-deploy source", daemon=True)

    def __repr__(self) -> str:
        done = counted(self.counts.decisions, "decision")
        return said(self, f"input {shape_text(self.spec.frame.shape)}", f"semantics {self.spec.semantics}", done)

    def __enter__(self) -> Live:
        self._began = time.perf_counter()
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
            "blocked_seconds": round(self.backlog.counts.blocked_seconds, 3),
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
            self._idle_since = time.perf_counter()  # after `put`: waiting for the network is no silence of the source

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
            width, height = self.spec.frame.sensor_size
            if tuple(self._source.sensor_size) != (width, height):
                found = " x ".join(map(str, self._source.sensor_size))
                raise SourceLost(f"the source came back with {found} pixels, it had {width} x {height}: start again")
            self.windower.restart()
            if self._recorder is not None:
                self._recorder.restart()
            return
