"""The fake board: a queue of events before the chip, its camera, and what leaves it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.reference.spikes import Stimuli
from i2e_deploy.chips.dynapcnn.targets.board.fake.camera import FakeCamera, FakeReadout
from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character
from i2e_deploy.chips.dynapcnn.targets.board.fake.cores import FakeChip, Out
from i2e_deploy.chips.dynapcnn.targets.board.fake.faults import Faults
from i2e_deploy.chips.dynapcnn.targets.board.fake.instruments import FakeClock, IoModule, PowerMonitor, StopWatch
from i2e_deploy.chips.dynapcnn.targets.board.fake.objects import (
    DvsEvent,
    NeuronValue,
    ReadNeuronValue,
    ReadoutPinValue,
    SpeckConfiguration,
    Spike,
    WriteNeuronValue,
)
from i2e_deploy.events.array import EVENT_DTYPE, Events

WRAP = 2**32


class FakeDevice:
    """An open board; also its own model and the nodes before and after it. `received` is all that came to it."""

    def __init__(
        self,
        faults: Faults,
        clock: FakeClock,
        options: EventOptions,
        watts: Sequence[float],
        sensor: Events,
        hang: Callable[[], None],
        character: Character,
    ) -> None:
        self.clock, self.held_until, self.open = clock, 0, True
        self.watch, self._power = StopWatch(self), PowerMonitor(self, watts)
        self._io = IoModule(self, faults.clock_phase)
        self._faults, self._options, self._sensor, self._character = faults, options, sensor, character
        self._calls: Counter[str] = Counter()
        self._hang = hang
        self._chip: FakeChip | None = None
        self._camera: FakeCamera | None = None
        self.received: list[Any] = []
        self.configuration: SpeckConfiguration | None = None
        self._queue: deque[tuple[int, Any]] = deque()
        self._out: deque[tuple[float, Any]] = deque()
        self._events = self._spikes = self._resets = 0
        self._fresh: set[int] = set()

    def get_model(self) -> FakeDevice:
        """See samna."""
        return self

    def get_stop_watch(self) -> StopWatch:
        """See samna."""
        return self.watch

    def get_io_module(self) -> IoModule:
        """See samna."""
        return self._io

    def get_power_monitor(self) -> PowerMonitor:
        """See samna."""
        return self._power

    def get_sink_node(self) -> FakeDevice:
        """Of the model: where events go in."""
        return self

    def get_source_node(self) -> FakeDevice:
        """Of the model: where events come out."""
        return self

    @property
    def spent_j(self) -> float:
        """Energy of all that the chip did since it was configured, above rest."""
        return 0.0 if self._chip is None else self._chip.spent_j

    def maybe_hang(self, name: str) -> None:
        """Where `Faults.hangs_in` says so, wait until the fake samna is taken away."""
        self._calls[name] += 1
        if name == self._faults.hangs_in and self._calls[name] > self._faults.hangs_after:
            self._hang()

    def alive(self) -> None:
        """Raise RuntimeError, as samna does, when the board is closed or unplugged."""
        if not self.open or self._events > self._faults.unplug_after:
            raise RuntimeError("USB transfer failed: no such device")

    def apply_configuration(self, configuration: SpeckConfiguration) -> None:
        """All states are those of the configuration afterwards."""
        self.maybe_hang("apply_configuration")
        self.alive()
        self.configuration, self._chip = configuration, FakeChip(configuration, self._options, self._character)
        self._camera = FakeCamera(configuration, self._sensor, self.watch.now(), self._character)
        self._readout = FakeReadout(configuration, self._character)
        self._states_written()

    def sense(self, events: Events) -> None:
        """The raw monitor of the camera sends these."""
        for t, x, y, p in events.tolist():
            self._out.append((self.clock.now + self._faults.delay_s, DvsEvent(t % WRAP, x, y, bool(p))))

    def write(self, events: Sequence[Any]) -> None:
        """Take events into the queue before the chip; writing states that is to be ignored ends here."""
        self.maybe_hang("write")
        self.clock.sleep(self._faults.transfer_s)
        self.advance()
        if events and isinstance(events[0], WriteNeuronValue):
            self._resets += 1
            if self._resets - 1 in self._faults.ignored_resets:
                return
        self.received.extend(events)
        now = self.watch.now()
        for event in events:
            if isinstance(event, Spike):
                self._events += 1
                self.alive()
                if self._faults.lose_every and self._events % self._faults.lose_every == 0:
                    continue
            self._queue.append((now, event))

    def get_events(self) -> list[Any]:
        """What has come out by now."""
        self.maybe_hang("get_events")
        self.advance()
        found = [Spike(min(self._chip.monitored))] if self._faults.babbles and self._chip is not None else []
        while self._out and self._out[0][0] <= self.clock.now:
            found.append(self._out.popleft()[1])
        return [] if self._events > self._faults.silent_after else found

    def restart(self) -> None:
        """The stop watch begins again: nothing is held up any more."""
        self.held_until = 0
        if self._chip is not None:
            self._chip.rest()

    def advance(self) -> None:
        """Let everything happen that is due by now, in the order of the queue."""
        self.alive()
        if self._chip is None:
            return
        now = self.watch.now()
        while self._queue:
            arrived, event = self._queue[0]
            if isinstance(event, Spike | DvsEvent):
                due = self._due(event.timestamp, arrived)
                if due > now:
                    break
                self.held_until = due
                self._ticks(due)
                self._take(due, event)
            else:
                self._emit(self._chip.run())
                self._memory(event)
            self._queue.popleft()
        self._ticks(now)
        self._see(now + 1)
        self._emit(self._chip.run())

    def _take(self, t: int, event: Spike | DvsEvent) -> None:
        """An event from the host: to a core, or into the pre-processing."""
        if isinstance(event, Spike):
            self._inject(t, event)
            return
        assert self._camera is not None
        pixel = np.array([(t, event.x, event.y, event.p)], EVENT_DTYPE)
        self._reach(self._camera.core_inputs(pixel, self._io.zero_us, self._io.period_us, from_host=True))

    def _due(self, stamp: int, arrived: int) -> int:
        """When the stop watch, of 32 bits, shows at least `stamp` to the event at the head of the queue."""
        head = max(arrived, self.held_until)
        if not self.watch.running or head % WRAP >= stamp:
            return head
        return head - head % WRAP + stamp

    def _ticks(self, until_us: int) -> None:
        assert self._chip is not None
        for tick in self._io.ticks(until_us):
            self._see(tick)
            if self._readout.core >= 0:
                self._emit(self._chip.run())
                shown = self._readout.tick()
                if shown is not None:
                    self._out.append((self.clock.now + self._faults.delay_s, ReadoutPinValue(shown, tick % WRAP)))
            self._chip.tick(tick)

    def _see(self, before_us: int) -> None:
        """What the camera sees before that time goes out where it is monitored, and to the cores."""
        assert self._chip is not None
        assert self._camera is not None
        events = self._camera.due(before_us)
        if not len(events):
            return
        self._events += len(events)
        self.alive()
        if self._camera.shown:
            self.sense(events)
        self._reach(self._camera.core_inputs(events, self._io.zero_us, self._io.period_us))

    def _reach(self, stimuli: Stimuli) -> None:
        """Events after the pre-processing go to the cores; those that are lost after a reset do not."""
        assert self._chip is not None
        assert self._camera is not None
        while self._fresh and len(stimuli) and self._camera.targets:
            t, c, y, x = stimuli[0].tolist()
            for core in sorted(self._camera.targets):
                self._inject(t, Spike(core, c, y, x))
            stimuli = stimuli[1:]
            self._fresh &= self._camera.targets | {-1}
        self._chip.inject_all(self._camera.targets, stimuli)

    def _inject(self, t: int, event: Spike) -> None:
        assert self._chip is not None
        place = event.layer if self._faults.loses_first == "core" else -1
        if place in self._fresh:
            self._fresh.discard(place)
            return
        self._chip.inject(t, event.layer, event.feature, event.y, event.x)

    def _memory(self, event: ReadNeuronValue | WriteNeuronValue) -> None:
        """Read or write the state of a neuron."""
        assert self._chip is not None
        if isinstance(event, WriteNeuronValue):
            self._chip.write(event.layer, event.address, event.neuron_state)
            self._states_written()
        elif self._faults.answers:
            value = self._chip.read(event.layer, event.address)
            self._out.append((self.clock.now, NeuronValue(event.layer, event.address, value)))

    def _states_written(self) -> None:
        assert self._chip is not None
        self._fresh = {"none": set[int](), "chip": {-1}, "core": set(self._chip.layers)}[self._faults.loses_first]

    def _emit(self, spikes: list[Out]) -> None:
        for t, core, c, y, x in spikes:
            at = self.clock.now + self._faults.delay_s + max(0.0, (t - self.watch.now()) * 1e-6)
            self._spikes += 1
            if core == self._readout.core:
                self._readout.count(c)
            if self._faults.lose_spikes_every and self._spikes % self._faults.lose_spikes_every == 0:
                continue
            self._out.append((at, Spike(core, c, y, x, t % WRAP)))
            if self._faults.strays:
                self._out.append((at, Spike(core, c, y, 127, t % WRAP)))
