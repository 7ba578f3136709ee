"""Hardware in the loop with a chip's own camera: what the chip made of a scene, and what the simulator makes of it.

The chip sees the scene once; the events of its pixels, which it sends out as well, run through the simulator
afterwards. Both are cut into windows. Agreement is statistical: the chip's order of events is its own, and an event
may be lost on either way. We had no board: unverified on silicon.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from i2e_deploy.chips.abilities import HasCamera, Part, RunsRecordings, require
from i2e_deploy.chips.base import SIMULATORS, Program
from i2e_deploy.chips.options import Injection, Target
from i2e_deploy.chips.trace import Integers, Trace
from i2e_deploy.errors import InputError
from i2e_deploy.events.sources import SourceUri
from i2e_deploy.runtime.evaluation import Evaluation
from i2e_deploy.runtime.evaluator import evaluate_traces

#: Longest scene, seconds.
LONGEST = 3600.0


def is_scene(program: Program, data: str) -> bool:
    """Whether `data` names a scene of this program's own camera, e.g. `speck://?seconds=10`."""
    return isinstance(program, HasCamera) and data.startswith(f"{program.camera_scheme}://")


def evaluate_scene(program: Program, uri: str, targets: Sequence[Target], steps: int) -> Evaluation:
    """One scene on the chip and in simulation, window by window; states go on from window to window.

    Args:
        program: of a chip with a camera, see `HasCamera`.
        uri: `SCHEME://?seconds=10&window=20&crop=left,top,width,height`, window in ms.
        targets: one board, and of `simulator`, `reference` those to compare it with.
        steps: of a window.

    Raises:
        InputError: not these targets or options, or a scene shorter than a window.
        See `HasCamera`.
    """
    eye, parsed = require(program, HasCamera, uri), SourceUri.parse(uri)
    parsed.only("seconds", "window", "crop")
    boards = [name for name in targets if name.partition(":")[0] == "board"]
    others = [name for name in targets if name not in boards]
    if len(boards) != 1 or len(set(targets)) != len(targets) or any(name not in SIMULATORS for name in others):
        raise InputError(
            f"targets {list(targets)}: a scene of {parsed.scheme}:// is seen by one board (--target board), and "
            "compared with simulator or reference"
        )
    step_us = max(1, round(1e3 * parsed.number("window", 20, 0.001, 3_600_000) / steps))
    windows = int(parsed.number("seconds", 10, 0.001, LONGEST) * 1e6) // (steps * step_us)
    if not windows:
        raise InputError(f"{uri} is shorter than a window of {steps} steps of {step_us} us: choose more seconds")
    part = _part(parsed)
    board = boards[0].partition(":")[2] or None
    traces, seconds, began = {}, {}, time.perf_counter()
    seen, pixels = eye.watch(windows * steps, board, step_us, bool(others), part)
    traces[boards[0]], seconds[boards[0]] = _in_windows(seen, windows), time.perf_counter() - began
    seeing = eye.on_camera(part)
    for other in others:
        simulated, began = require(seeing, RunsRecordings, f"--target {other}"), time.perf_counter()
        options = Injection(step_us=step_us)
        trace = simulated.run_recordings([pixels], windows * steps, options, SIMULATORS[other])
        traces[other], seconds[other] = _in_windows(trace, windows), time.perf_counter() - began
    in_order = {target: traces[target] for target in targets}
    return evaluate_traces(seeing, in_order, seconds, steps * step_us * 1e-6)


def _part(uri: SourceUri) -> Part | None:
    text = uri.options.get("crop")
    if text is None:
        return None
    sides = [int(side) if side.strip().isdigit() else -1 for side in text.split(",")]
    if len(sides) != 4 or min(sides) < 0:
        raise InputError(f"source {uri.text!r}: crop={text} is not left,top,width,height")
    return sides[0], sides[1], sides[2], sides[3]


def _in_windows(trace: Trace, windows: int) -> Trace:
    """A sample of many steps as samples of the steps of a window each."""
    output = trace.output.reshape(windows, -1, trace.output.shape[2])
    return replace(trace, spikes=_Windows(trace.spikes, windows), output=output, events=None, states={})


class _Windows(Mapping[str, Integers]):
    """Spikes cut so, when first looked at: a layer that nobody compares takes no memory."""

    def __init__(self, spikes: Mapping[str, Integers], windows: int) -> None:
        self._spikes, self._windows = spikes, windows

    def __getitem__(self, name: str) -> Integers:
        spikes = self._spikes[name]
        return spikes.reshape(self._windows, -1, *spikes.shape[2:])

    def __iter__(self) -> Iterator[str]:
        return iter(self._spikes)

    def __len__(self) -> int:
        return len(self._spikes)
