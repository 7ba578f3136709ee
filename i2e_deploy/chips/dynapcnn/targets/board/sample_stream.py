"""One open board with one program on it: reset it, stream a sample in, read its spikes.

By what public text says of samna and its boards (Sinabs 3.1.3 `backend/dynapcnn`; samna's documentation of its events):

- An event goes in when the board's stop watch, 32 bits of microseconds, has reached its time stamp; one that comes
  later goes in at once. So events are handed over a little ahead, and none across the wrap of the stop watch.
- Neurons are set to zero, or to the initial states of the program, by writing these (`WriteNeuronValue`). Sinabs'
  issue 148 saw states that were not zero after a reset, so some are read back (`ReadNeuronValue`) and the reset is
  repeated once.
- Others report that the first event after such a reset is lost. So it is tried when the board is opened, and where it
  is lost the first event of each sample is sent twice.
- A board that does not answer a reading at opening is used without: silence then marks the end of a sample.

We had no board: unverified on silicon. Every wait has an end, and so has a call that hangs inside samna (`calls`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from i2e_deploy.chips.dynapcnn.lowering.stages import words
from i2e_deploy.chips.dynapcnn.program import CoreLayer
from i2e_deploy.chips.dynapcnn.targets.board.arrivals import Arrivals, CoreEvents, Rail, Readings, read_neuron
from i2e_deploy.chips.dynapcnn.targets.board.link import WRAP, Board
from i2e_deploy.chips.dynapcnn.targets.board.options import BoardOptions
from i2e_deploy.errors import SourceLost, UnsupportedError

#: Around a wrap the host's clock and the board's may differ so far: 100 ppm of 71 minutes.
GUARD_US = 500_000
#: In the place of a core: the event goes into the pre-processing, as one of the chip's own pixels.
PIXELS = -1
#: Events handed to samna at once.
CHUNK = 2048
#: Neurons of each core that are read back after a reset.
CHECKED = 32
_POLL_S = 0.001

LATE = "events that may have been injected late"
NOT_ZERO = "samples that began from states that were not zero"
REPEATED = "resets that had to be repeated"
UNCHECKED = "samples whose reset could not be checked"
SENT_TWICE = "first events sent twice, as this board loses the first after a reset"
UNTRIED = "samples whose first event may be lost, as that could not be tried on this board"
LEFT_OVER = "spikes that came after the end of their sample"
NEVER_QUIET = "samples cut off while spikes still came"
DECIMATED = "samples that began from an unknown count of a decimator, which nothing resets"
NO_POWER = "samples without a reading of the power monitor"


class SampleStream:
    """A configured board. `incidents` counts irregularities.

    Args:
        board: open, its configuration applied.
        layers: the layer on every core that is used.
        inputs: cores that take input, in the order in which an event is sent to them.
        clock_hz: rate of the slow clock, for layers with a bias; None: it stays off.
        sends_again: a first event that the board loses after a reset is sent twice.
    """

    def __init__(
        self,
        board: Board,
        layers: Mapping[int, CoreLayer],
        inputs: tuple[int, ...],
        options: BoardOptions,
        clock_hz: int | None = None,
        sends_again: bool = True,
    ) -> None:
        self.incidents: Counter[str] = Counter()
        self._board, self._options, self._clock, self._ticks = board, options, board.clock, clock_hz is not None
        self._layers, self._inputs, self._event = layers, inputs, board.module.event
        self._where, self._ran = "while it was set up", False
        self._io, self._watch = board.device.get_io_module(), board.device.get_stop_watch()
        self._source = board.samna.graph.source_to(board.device.get_model().get_sink_node())
        self._arrivals = Arrivals(board)
        self._started = self._clock.monotonic()
        if clock_hz is not None:
            self._call(self._io.set_slow_clk_rate, clock_hz)
            self._call(self._io.set_slow_clk, False)
        self._decimates = any(layer.decimation > 1 for layer in layers.values())
        places = [(core, a) for core, layer in layers.items() for a in addresses(layer)]
        self._start_of = {(core, a): v for core, layer in layers.items() for a, v in starts(layer).items()}
        self._zeros = [self._write_neuron(core, a, 0) for core, a in places]
        self._starts = [self._write_neuron(core, a, self._start_of.get((core, a), 0)) for core, a in places]
        self._checked = [(core, a) for core, layer in layers.items() for a in evenly_spaced(addresses(layer))]
        self._reads_back = self._read(self._checked[:1], needed=False) is not None
        self._untried = True
        self._loses_first = self._try_first_event() if sends_again else set()

    def run(self, events: CoreEvents, end_us: int, where: str) -> tuple[CoreEvents, list[Rail]]:
        """Send one sample from the initial states of the program.

        Args:
            events: CORE_EVENT array sorted by `t`, which counts from the start of the stop watch.
            end_us: end of the last step, on the same clock.
            where: what is running, for errors, e.g. "in sample 3".

        Returns:
            CORE_EVENT array in order of arrival, and readings of the power monitor meanwhile.

        Raises:
            SourceLost: the board went away or stopped answering.
        """
        self._where = where
        if not self._reset():
            self.incidents[NOT_ZERO] += 1
        self.incidents[UNCHECKED] += not self._reads_back
        self.incidents[UNTRIED] += self._untried
        self.incidents[DECIMATED] += self._decimates and self._ran
        self._ran = True
        events = self._with_first_again(events)
        chunks = self._chunks(events)
        first = next(chunks, None)
        self._poll()
        self.incidents[LEFT_OVER] += len(self._arrivals.take_spikes())
        readings = Readings(self._board, self._options.power_hz, where)
        self._start()
        if first is not None:
            self._send(*first)
        if self._ticks:  # they add the biases, so during the steps alone; their phase is not ours to choose
            self._wait_until(self._options.lead_us)
            self._call(self._io.set_slow_clk, True)
        for chunk in chunks:
            self._send(*chunk)
        self._wait_until(end_us)
        if self._ticks:
            self._call(self._io.set_slow_clk, False)
        self._until_quiet()
        self._call(self._watch.stop)
        rails = readings.stop()
        self.incidents[NO_POWER] += bool(self._options.power_hz and not rails)
        return self._arrivals.take_spikes(), rails

    def take_pins(self) -> NDArray[np.void]:
        """What the readout's pins showed since the last call: PINS, times from the start of the stop watch."""
        return self._arrivals.take_pins()

    def _start(self) -> None:
        self._call(self._watch.reset)
        self._call(self._watch.start)
        self._started = self._clock.monotonic()

    def _call(self, function: Any, *args: Any) -> Any:
        return self._board.call(self._where, function, *args)

    def _wait_until(self, us: int) -> None:
        while (left := us - self._elapsed_us()) > 0:
            self._poll()
            self._clock.sleep(min(1.0, max(_POLL_S, left * 1e-6 / 2)))

    def _elapsed_us(self) -> int:
        return int((self._clock.monotonic() - self._started) * 1e6)

    def _reset(self, trial: bool = False) -> bool:
        """Write the initial states, zeros for a trial; True unless others are read back after a second try."""
        wanted = {} if trial else self._start_of
        for again in (False, True):
            self._write(self._zeros if trial else self._starts)
            if not self._reads_back:
                return True
            values = self._read(self._checked) or {}
            if all(value == wanted.get(place, 0) for place, value in values.items()):
                self.incidents[REPEATED] += again
                return True
        return False

    def _try_first_event(self) -> set[int]:
        """Cores whose first event after a reset is lost; empty where that cannot be tested."""
        trials = {core: found for core in self._inputs if (found := trial_of(self._layers[core])) is not None}
        if not self._reads_back or not trials or not self._reset(trial=True):
            return set()
        self._start()
        self._write([self._spike(0, core, *trial[:3]) for core, trial in trials.items()])
        values = self._read([(core, trial[3]) for core, trial in trials.items()]) or {}
        self._call(self._watch.stop)
        self._reset()
        self._poll()
        self._arrivals.take_spikes()
        self.incidents.clear()
        self._untried = len(trials) < len(self._inputs)
        return {core for core, trial in trials.items() if not values[core, trial[3]]}

    def _with_first_again(self, events: CoreEvents) -> CoreEvents:
        """The first event of every core that loses it, once more in front."""
        losing = [core for core in self._inputs if core in self._loses_first]
        firsts = [int(i) for core in losing for i in np.flatnonzero(events["core"] == core)[:1]]
        self.incidents[SENT_TWICE] += len(firsts)
        again = events[np.array(firsts, np.int64)]
        again["t"] = events["t"][:1]
        return np.concatenate([again, events])

    def _chunks(self, events: CoreEvents) -> Iterator[tuple[int, list[Any]]]:
        """(first time, samna's events) of at most CHUNK events, none across a wrap of the stop watch."""
        if not len(events):
            return
        turns = events["t"] // WRAP
        cuts = np.union1d(np.arange(0, len(events), CHUNK), np.flatnonzero(np.diff(turns)) + 1)
        for start, end in zip(cuts, [*cuts[1:], len(events)], strict=True):
            part = events[int(start) : int(end)]
            # one that missed its turn of the stop watch would wait for the next, so none is due just before a wrap
            stamps = np.minimum(part["t"] % WRAP, WRAP - GUARD_US)
            rows = zip(stamps.tolist(), *(part[name].tolist() for name in ("core", "c", "y", "x")), strict=True)
            yield int(part["t"][0]), [self._spike(*row) for row in rows]

    def _send(self, first_us: int, events: list[Any]) -> None:
        """Hand a chunk over ahead of its time, but not before its turn of the stop watch has begun."""
        turn = first_us // WRAP * WRAP
        self._wait_until(max(first_us - self._options.ahead_us, turn + GUARD_US if turn else 0))
        self._write(events)
        done = self._elapsed_us()
        self.incidents[LATE] += sum(turn + event.timestamp < done for event in events) if first_us < done else 0
        self._poll()

    def _until_quiet(self) -> None:
        """Wait until the board answers, and until it is silent."""
        if self._reads_back:
            self._read(self._checked[:1])
        quiet = start = self._clock.monotonic()
        while (now := self._clock.monotonic()) - quiet < self._options.quiet_s:
            if self._poll():
                quiet = now
            if now - start > self._options.timeout_s:
                self.incidents[NEVER_QUIET] += 1
                return
            self._clock.sleep(_POLL_S)

    def _read(self, places: list[tuple[int, int]], needed: bool = True) -> dict[tuple[int, int], int] | None:
        """Values of neurons by (core, address).

        Raises:
            SourceLost: `needed`, and the board does not answer in time.
        """
        answers = self._arrivals.states = {}
        self._write([read_neuron(self._board, core, address) for core, address in places])
        end = self._clock.monotonic() + self._options.timeout_s
        while not all(place in answers for place in places):
            self._poll()
            if self._clock.monotonic() > end:
                if not needed:
                    return None
                raise SourceLost(
                    f"board lost {self._where}: no answer in {self._options.timeout_s:g} s; "
                    "unplug it, plug it in again, and run again"
                )
            self._clock.sleep(_POLL_S)
        return answers

    def _write(self, events: list[Any]) -> None:
        for start in range(0, len(events), CHUNK):
            self._call(self._source.write, events[start : start + CHUNK])

    def _poll(self) -> int:
        """Read what has arrived; returns the number of spikes."""
        return self._arrivals.poll(self._elapsed_us(), self._where)

    def _spike(self, t: int, core: int, c: int, y: int, x: int) -> Any:
        if core == PIXELS:
            pixel = self._event.DvsEvent()
            pixel.timestamp, pixel.p, pixel.y, pixel.x = t, bool(c), y, x
            return pixel
        event = self._event.Spike()
        event.layer, event.feature, event.y, event.x, event.timestamp = core, c, y, x, t
        return event

    def _write_neuron(self, core: int, address: int, value: int) -> Any:
        event = self._event.WriteNeuronValue()
        event.layer, event.address, event.neuron_state = core, address, value
        return event


def addresses(layer: CoreLayer) -> range:
    """Every address that a neuron of the layer can have on its core.

    Feature in the lowest bits, then x, then y, each with the bits that it needs (Sinabs 3.1.3 io.py
    `calculate_neuron_address`, whose y is shifted by its own bits instead of those of x: both layouts are covered).
    """
    features, height, width = layer.output_shape
    feature_bits, y_bits, x_bits = ((n - 1).bit_length() for n in (features, height, width))
    return range(max(words(layer)["neuron"], 2 ** (feature_bits + 2 * max(y_bits, x_bits))))


def starts(layer: CoreLayer) -> dict[int, int]:
    """Initial states that are not zero, by address.

    Raises:
        UnsupportedError: the two layouts of `addresses` differ, and nothing public says which is the chip's.
    """
    if layer.initial is None or not layer.initial.any():
        return {}
    features, height, width = layer.output_shape
    feature_bits, y_bits, x_bits = ((n - 1).bit_length() for n in (features, height, width))
    if y_bits != x_bits and height > 1:
        raise UnsupportedError(
            f"layer {layer.name!r} starts from states and has {height}x{width} neurons: how the chip numbers the "
            "neurons of such a map is not public; make it square, or start from zero"
        )
    return {
        y << (feature_bits + x_bits) | x << feature_bits | f: int(layer.initial[f, y, x])
        for f, y, x in np.argwhere(layer.initial).tolist()
    }


def evenly_spaced(places: range) -> range:
    """At least CHECKED of them, evenly spread, or all."""
    return places[:: max(1, len(places) // CHECKED)]


def trial_of(layer: CoreLayer) -> tuple[int, int, int, int] | None:
    """(c, y, x) of an event and the address of a neuron at (0, 0) that it leaves at another value than zero."""
    (py, px), (_, height, width) = layer.padding, layer.input_shape
    for f, c, ky, kx in np.argwhere(layer.weight).tolist():
        v = max(int(layer.weight[f, c, ky, kx]), layer.min_v)
        if v >= layer.threshold:
            v = 0 if layer.reset == "zero" else v - layer.threshold
        if v and 0 <= ky - py < height and 0 <= kx - px < width:
            return c, ky - py, kx - px, f  # the lowest bits of an address are the feature
    return None
