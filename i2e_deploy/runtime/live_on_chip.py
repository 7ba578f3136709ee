"""A live session on the chip itself: its own camera feeds its own cores, a window of output spikes is a decision.

The chip runs on its own: nothing is dropped or held back when the host is slow, and its states go on from window to
window. We had no board: unverified on silicon.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from i2e_deploy.chips.abilities import Camera, HasCamera, Part
from i2e_deploy.events.array import Events
from i2e_deploy.events.frames import FrameSpec
from i2e_deploy.events.stream import StreamSpec
from i2e_deploy.runtime.decider import Decision, LiveSpec
from i2e_deploy.runtime.histogram import LatencyHistogram
from i2e_deploy.runtime.live import POLL
from i2e_deploy.runtime.recording import Recorder
from i2e_deploy.text import counted, said, shape_text


def chip_spec(program: HasCamera, shape: tuple[int, ...], steps: int, step_us: int, part: Part | None) -> LiveSpec:
    """How the session runs, in the terms of one whose network the host runs: so its recording can be evaluated.

    Args:
        program: what decides.
        shape: (C, H, W) of its input.
        steps, step_us: of a window.
        part: left, top, width, height of the pixels that are seen.
    """
    channels, height, width = shape
    frame = FrameSpec(program.camera_size, (channels, height, width), part)
    return LiveSpec(StreamSpec(steps, step_us), frame, "event", state="keep", patience=0)


class ChipLive:
    """A running session, with the surface of `Live`: a context manager, and an iterator of decisions.

    A decision's `events` are those of the camera in its window, where they are sent out; it has no synaptic operations,
    which no board reports. Its latency counts from the end of the window, by the host's clock; `quiet_s` is waiting
    for spikes that are on their way.

    Args:
        program: what decides.
        spec: see `chip_spec`.
        board: name of a board, None: the first that is free.
        pixels: send out the camera's events too: for `watch` and the recorder.
        seconds: end after so long on the board's clock; 0 = never.
        recorder: gets the camera's events and every decision.

    Raises:
        See `HasCamera.open_camera`.
    """

    def __init__(
        self,
        program: HasCamera,
        spec: LiveSpec,
        board: str | None = None,
        pixels: bool = False,
        seconds: float = 0,
        recorder: Callable[[], Recorder] | None = None,
    ) -> None:
        self.spec, self.latency = spec, LatencyHistogram()
        self.watch: Callable[[Events], None] | None = None
        self._camera: Camera = program.open_camera(board, spec.stream.step, pixels, spec.frame.crop)
        self._length_us, self._end_us = spec.stream.steps * spec.stream.step, seconds * 1e6 or np.inf
        self._decisions = self._events = self._late = 0
        self._times = np.zeros(0, np.int64)
        self._recorder = None if recorder is None else recorder()
        self._stop = threading.Event()

    def __repr__(self) -> str:
        return said(self, f"input {shape_text(self.spec.frame.shape)}", counted(self._decisions, "decision"))

    def __enter__(self) -> ChipLive:
        self._camera.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._camera.__exit__(*error)
        finally:
            if self._recorder is not None:
                self._recorder.close(self.stats())

    def stop(self) -> None:
        """End the session; safe from any thread."""
        self._stop.set()

    def __iter__(self) -> Iterator[Decision]:
        """Decisions until `stop` is called or the time is over.

        Raises:
            SourceLost: the board went away or stopped answering.
        """
        grace_us = self._camera.quiet_us
        while not self._stop.is_set():
            seen = self._camera.read(POLL)
            self._take(seen.pixels)
            while (end := (self._decisions + 1) * self._length_us) + grace_us <= seen.now_us:
                if end > self._end_us:
                    return
                decision = self._decide(end - self._length_us, end)
                self.latency.add(decision.latency)
                if self._recorder is not None:
                    self._recorder.decision(decision.exact(), decision.latency)
                yield decision

    def stats(self) -> dict[str, Any]:
        """A snapshot of all counters, plain data for JSON."""
        return {
            "seconds": round(self._camera.elapsed_us() * 1e-6, 3),
            "decisions": self._decisions,
            "events": self._events,
            "dropped_windows": 0,
            "late_spikes": self._late,
            **{what: count for what, count in sorted(self._camera.incidents.items()) if count},
            "latency": self.latency.summary(),
        }

    def _take(self, pixels: Events) -> None:
        if len(pixels):
            self._events += len(pixels)
            self._times = np.concatenate([self._times, pixels["t"]])
            if self.watch is not None:
                self.watch(pixels)
            if self._recorder is not None:
                self._recorder.packet(pixels)

    def _decide(self, start: int, end: int) -> Decision:
        """Count the window's spikes; those after it wait for the next one."""
        trace, late = self._camera.window(start, end, self.spec.stream.steps)
        self._late += late
        scores = trace.scores()[0]
        scores = scores[-1] if trace.deciding.kind == "step" else scores
        before, self._times = self._times[self._times < end], self._times[self._times >= end]
        self._decisions += 1
        return Decision(
            windows=(self._decisions - 1,),
            start=start,
            end=end,
            events=len(before),
            choice=int(scores.argmax()),
            scores=tuple(scores.tolist()),
            spikes={name: counts["spikes"] for name, counts in trace.activity().items()},
            synops={},
            latency=(self._camera.elapsed_us() - end) * 1e-6,
        )
