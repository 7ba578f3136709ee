"""The chip's own camera feeds its own cores: a stream of output spikes, and of the camera's events where asked for.

By what public text says (Datasheet 3.2.3; Sinabs 3.1.3 `DVSLayer` and `chips/dynapcnn.py`; samna's documentation):
`dvs_layer.destinations` name the cores, `pass_sensor_events` lets the pixels through, `raw_monitor_enable` sends the
pixels' events out as well, `DvsEvent`s with the time stamps of the same stop watch. So:

- The board is configured with the camera off, and rests. Then the stop watch starts, and the same configuration is
  written with the camera on: that sets all states to zero, as Sinabs resets a network. They cannot be read back then.
- The slow clock ticks for biases, event filter and readout; its phase is not ours to choose.
- Others report that the first event after states are written is lost. An event of a camera cannot be sent twice: with
  the camera's events at hand a simulation may see one more than the cores did.
- A board that answered a reading at the start is asked again every `timeout_s`: a silent scene is no lost board.

We had no board: unverified on silicon.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.program import CoreNetwork
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import Arrivals, CoreEvents, Rail, Readings, read_neuron
from i2e_deploy.chips.dynapcnn.targets.board.link import Board, open_board
from i2e_deploy.chips.dynapcnn.targets.board.on_camera import PIXELS
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.chips.dynapcnn.targets.board.results import trace_of
from i2e_deploy.chips.dynapcnn.targets.board.sample_stream import NO_POWER
from i2e_deploy.chips.dynapcnn.targets.board.setup import configure, monitored, place_on, slow_clock_hz
from i2e_deploy.chips.trace import Trace
from i2e_deploy.errors import InputError, SourceLost
from i2e_deploy.events.array import Events
from i2e_deploy.text import record_repr

_POLL_S, _WHERE = 0.001, "while its camera ran"
#: Longest run that is kept whole, steps.
MOST_STEPS = 2**20


@dataclass(frozen=True, eq=False)
class Seen:
    """What came out of the chip since the last read.

    Args:
        spikes: of the cores that are watched, CORE_EVENT; times count from the start.
        pixels: events of the camera before any pre-processing; empty unless they were asked for.
        pins: what the pins of the chip's readout showed, where the program has one; PINS.
        now_us: time of the board, as the host computes it, when this read began: later events may be missing.
    """

    spikes: CoreEvents
    pixels: Events
    pins: NDArray[np.void]
    now_us: int

    __repr__ = record_repr


class ChipCamera:
    """A program on a board, fed by the board's own camera; a context manager, which starts it.

    Args:
        program: with the chip's pixels as its input, see `on_camera`.
        options: `order`, `lead_us` and `ahead_us` are for events of the host: they say nothing here.
        pixels: send out the camera's own events too. At many events a second that takes the bandwidth of the spikes.

    Raises:
        See `run_board`.
    """

    def __init__(self, program: CoreNetwork, options: BoardOptions | None = None, pixels: bool = False) -> None:
        if program.sensor is None or not program.sensor.pixel_array or program.input_shape != PIXELS:
            raise InputError("the program does not begin at the chip's pixels: give `on_camera(program)`")
        self.program, self.options = program, BoardOptions() if options is None else options
        self.incidents: Counter[str] = Counter()
        self.rails: list[Rail] = []
        self._kept: list[CoreEvents] = []  # spikes for `window`
        self._pixels, self._watched = pixels, monitored(program, self.options)
        needs_clock = program.has_bias or program.event_filter is not None or program.readout is not None
        step_us, what = self.options.events.step_us, "biases, event filter and readout"
        self._hz = slow_clock_hz(step_us, what) if needs_clock else None
        self._board: Board = open_board("the board's camera", self.options.name, self.options.call_s)
        try:
            device = self._board.device
            self.cores = place_on(self._board, program)
            self._io, self._watch, self._arrivals = (
                device.get_io_module(),
                device.get_stop_watch(),
                Arrivals(self._board),
            )
            self._source = self._board.samna.graph.source_to(device.get_model().get_sink_node())
            self._set_up()
        except BaseException:
            self._board.close()
            raise

    def __enter__(self) -> ChipCamera:
        try:
            self._start()
        except BaseException:
            self._board.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._stop()
        finally:
            self._board.close()

    @property
    def watched(self) -> dict[str, int]:
        """Cores whose spikes are sent out, by layer."""
        return {name: self.cores[name] for name in self._watched}

    def elapsed_us(self) -> int:
        """Time of the board, as the host computes it."""
        return int((self._board.clock.monotonic() - self._started) * 1e6)

    def read(self, timeout: float) -> Seen:
        """What has arrived: at once if there is something, else after `timeout` seconds.

        Raises:
            SourceLost: the board went away or stopped answering.
        """
        clock = self._board.clock
        end = clock.monotonic() + timeout
        while True:
            now_us = self.elapsed_us()
            self._arrivals.poll(now_us, _WHERE)
            self._look_for_life()
            taken = self._arrivals.take_spikes(), self._arrivals.take_pixels(), self._arrivals.take_pins()
            seen = Seen(*taken, now_us)
            self._kept.append(seen.spikes)
            if any(len(part) for part in taken) or clock.monotonic() >= end:
                return seen
            clock.sleep(_POLL_S)

    @property
    def quiet_us(self) -> int:
        """The longest time that spikes take to the host, us."""
        return int(self.options.quiet_s * 1e6)

    def window(self, start_us: int, end_us: int, steps: int) -> tuple[Trace, int]:
        """Spikes of a window that have come, as a trace of `steps` steps, and how many came too late for those before.

        Spikes after the window are kept for the next one; windows must be asked for in order.
        """
        spikes = np.concatenate(self._kept)
        late, later = spikes["t"] < start_us, spikes["t"] >= end_us
        self._kept = [spikes[later]]
        inside = spikes[~late & ~later]
        trace = trace_of(self.program, [inside], [], steps, self.watched, self.incidents, self.options, start_us)
        return trace, int(late.sum())

    def _set_up(self) -> None:
        configure(self._board, self.program, self.cores, self._watched)
        self._board.clock.sleep(self.options.settle_s)
        if self._hz is not None:
            self._call(self._io.set_slow_clk_rate, self._hz)
            self._call(self._io.set_slow_clk, False)
        self._started = self._board.clock.monotonic()
        self._ask()
        while not self._arrivals.states and self._board.clock.monotonic() - self._asked < self.options.timeout_s:
            self._board.clock.sleep(_POLL_S)
            self._arrivals.poll(0, _WHERE)
        self._answers = bool(self._arrivals.states)

    def _start(self) -> None:
        self._arrivals.poll(0, _WHERE)
        self._arrivals.take_spikes()
        self._readings = Readings(self._board, self.options.power_hz, _WHERE)
        self._call(self._watch.reset)
        self._call(self._watch.start)
        self._started = self._asked = self._board.clock.monotonic()
        if self._hz is not None:
            self._call(self._io.set_slow_clk, True)
        configure(self._board, self.program, self.cores, self._watched, camera=True, pixels=self._pixels)

    def _stop(self) -> None:
        if self._hz is not None:
            self._call(self._io.set_slow_clk, False)
        self._call(self._watch.stop)
        self.rails = self._readings.stop()
        self.incidents[NO_POWER] += bool(self.options.power_hz and not self.rails)

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._board.call(_WHERE, function, *args)

    def _ask(self) -> None:
        """Ask for the state of a neuron."""
        self._arrivals.states = {}
        self._call(self._source.write, [read_neuron(self._board, next(iter(self.cores.values())), 0)])
        self._asked = self._board.clock.monotonic()

    def _look_for_life(self) -> None:
        if not self._answers or self._board.clock.monotonic() - self._asked < self.options.timeout_s:
            return
        if not self._arrivals.states:
            raise SourceLost(
                f"board lost {_WHERE}: no answer in {self.options.timeout_s:g} s; "
                "unplug it, plug it in again, and run again"
            )
        self._ask()


@dataclass(frozen=True, eq=False)
class Watched:
    """A run of the chip on its own camera.

    Args:
        trace: one sample; what a board does not tell is not in it, see `run_board`.
        pixels: the camera's own events meanwhile, times as in the trace; empty unless they were asked for.
        pins: see `Seen`.
    """

    trace: Trace
    pixels: Events
    pins: NDArray[np.void]


def watch(program: CoreNetwork, steps: int, options: BoardOptions | None = None, pixels: bool = True) -> Watched:
    """Let the chip see for `steps` steps of `options.events.step_us`, from zero states.

    With the camera's events at hand, `program.run_events` on them is what the simulator would have made of the same
    scene: see `ChipCamera` for what may differ.

    Args:
        program, pixels: see `ChipCamera`.
        steps: 1 to 2^20.

    Raises:
        InputError: no or too many steps.
        See `ChipCamera`.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"{steps} steps of the chip's camera: give 1 to {MOST_STEPS}, or longer steps")
    spikes, pixel_events, pins = [], [], []
    with ChipCamera(program, options, pixels) as camera:
        options = camera.options
        end_us = steps * options.events.step_us
        last_us = end_us + int(options.quiet_s * 1e6)  # what was seen before the end may come out a little later
        now_us = 0
        while now_us < last_us:
            seen = camera.read(min(0.1, (last_us - now_us) * 1e-6))
            now_us = seen.now_us
            spikes.append(seen.spikes[seen.spikes["t"] < end_us])
            pixel_events.append(seen.pixels[seen.pixels["t"] < end_us])
            pins.append(seen.pins[seen.pins["t"] <= end_us])
    received, cores = np.concatenate(spikes), camera.watched
    trace = trace_of(program, [received], camera.rails, steps, cores, camera.incidents, options, 0)
    return Watched(trace, np.concatenate(pixel_events), np.concatenate(pins))
