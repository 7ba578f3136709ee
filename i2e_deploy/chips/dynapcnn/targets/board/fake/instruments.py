"""The parts around the fake chip: time, the stop watch, the slow clock, the power monitor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from i2e_deploy.chips.dynapcnn.targets.board.fake.objects import Measurement

#: Channel of the rail that feeds the cores.
LOGIC = 2


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float, /) -> None:
        """Let time pass."""
        self.now += seconds


class Host(Protocol):
    """The board that the instruments stand on: `FakeDevice`."""

    @property
    def clock(self) -> FakeClock: ...  # noqa: D102
    @property
    def watch(self) -> StopWatch: ...  # noqa: D102
    def alive(self) -> None: ...  # noqa: D102
    def advance(self) -> None: ...  # noqa: D102
    def restart(self) -> None: ...  # noqa: D102
    @property
    def spent_j(self) -> float: ...  # noqa: D102


class StopWatch:
    """Microseconds while it runs."""

    def __init__(self, device: Host) -> None:
        self._device, self._held, self._since = device, 0, 0.0
        self.running = False

    def now(self) -> int:
        """Microseconds since the reset, not wrapped; the board shows them modulo 2^32."""
        return self._held + (round((self._device.clock.now - self._since) * 1e6) if self.running else 0)

    def start(self) -> None:
        """Run on."""
        self._device.alive()
        self.running, self._since = True, self._device.clock.now

    def stop(self) -> None:
        """Hold."""
        self._device.advance()
        self._held, self.running = self.now(), False

    def reset(self) -> None:
        """Back to zero."""
        self._device.advance()
        self._held, self._since = 0, self._device.clock.now
        self._device.restart()


class IoModule:
    """The slow clock; it first ticks `phase` of a period after it was switched on."""

    def __init__(self, device: Host, phase: float) -> None:
        self._device, self._phase, self.period_us, self.since_us = device, phase, 100_000, 0
        self.next_us: int | None = None
        self._counted = self._before = 0

    @property
    def zero_us(self) -> int:
        """Where on the stop watch the count of ticks would be 0, had the clock always run."""
        return self.since_us - self._before * self.period_us

    def set_slow_clk_rate(self, hz: int) -> None:
        """Ticks a second."""
        self._device.alive()
        self.period_us = 1_000_000 // hz

    def set_slow_clk(self, on: bool) -> None:
        """Tick from now on, or no more."""
        self._device.advance()
        self.since_us = self._device.watch.now() + int(self._phase * self.period_us)
        self.next_us = self.since_us if on else None
        self._before = self._counted

    def ticks(self, until_us: int) -> list[int]:
        """Ticks that are due, microseconds of the stop watch."""
        due: list[int] = []
        while self.next_us is not None and self.next_us <= until_us:
            due.append(self.next_us)
            self._counted += 1
            self.next_us += self.period_us
        return due


class PowerMonitor:
    """Five rails of constant power, and on the third what the chip spends above that. Its own node, too."""

    def __init__(self, device: Host, watts: Sequence[float]) -> None:
        self._device, self._watts, self._hz = device, watts, 0.0
        self._since, self._readings, self._spent_j, self._above_w = 0.0, 0, 0.0, 0.0

    def get_source_node(self) -> PowerMonitor:
        """Where readings come from."""
        return self

    def start_auto_power_measurement(self, hz: float) -> None:
        """So many readings of each rail a second."""
        self._device.alive()
        self._hz, self._since, self._readings = hz, self._device.clock.now, 0
        self._spent_j = self._device.spent_j

    def stop_auto_power_measurement(self) -> None:
        """No more readings; what was read can be taken still."""
        self._device.alive()
        passed = self._device.clock.now - self._since
        self._above_w = (self._device.spent_j - self._spent_j) / passed if passed > 0 else 0.0
        self._readings, self._hz = int(passed * self._hz), 0.0

    def get_events(self) -> list[Measurement]:
        """Readings since the start; their time stamps come in bursts, as others report of the real one."""
        self._device.alive()
        count, self._readings = self._readings, 0
        watts = [each + (self._above_w if channel == LOGIC else 0.0) for channel, each in enumerate(self._watts)]
        return [Measurement(channel, each, 0) for _ in range(count) for channel, each in enumerate(watts)]
