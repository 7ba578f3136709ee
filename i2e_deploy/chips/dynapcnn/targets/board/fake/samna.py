"""The fake module `samna`, with as many fake boards as asked for."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType, SimpleNamespace

from i2e_deploy.chips.dynapcnn.reference.event_options import EventOptions
from i2e_deploy.chips.dynapcnn.targets.board.fake import objects
from i2e_deploy.chips.dynapcnn.targets.board.fake.character import Character
from i2e_deploy.chips.dynapcnn.targets.board.fake.device import FakeDevice
from i2e_deploy.chips.dynapcnn.targets.board.fake.faults import Faults
from i2e_deploy.chips.dynapcnn.targets.board.fake.instruments import FakeClock
from i2e_deploy.events.array import Events, empty_events

#: Watts of the five rails that the vendor's notebook shows of a Speck2f kit at rest (Sinabs, "power_monitoring").
IDLE_W = (61.7e-6, 51.7e-6, 367e-6, 78.9e-6, 610.9e-6)


class FakeSamna(ModuleType):
    """As much of samna as boards need; see `fake_samna`.

    Attributes:
        stand_in_clock: time, for whoever waits for the boards.
        opened: every board that was opened, in order.
    """

    def __init__(
        self,
        boards: Sequence[str] = ("Speck2fDevKit",),
        faults: Faults | None = None,
        options: EventOptions | None = None,
        watts: Sequence[float] = IDLE_W,
        sensor: Events | None = None,
        character: Character | None = None,
    ) -> None:
        super().__init__("samna")
        self.stand_in_clock = FakeClock()
        self.opened: list[FakeDevice] = []
        self.released = threading.Event()
        self._faults = Faults() if faults is None else faults
        self._attached = [objects.DeviceInfo(name, 1, address) for address, name in enumerate(boards)]
        self._by_info: dict[objects.DeviceInfo, FakeDevice] = {}
        self._settings = (options or EventOptions(), watts, empty_events() if sensor is None else sensor)
        self._character = Character() if character is None else character
        self.device = SimpleNamespace(
            get_all_devices=lambda: list(self._attached),
            get_unopened_devices=self._unopened,
            open_device=self._open,
            close_device=self._close,
        )
        self.graph = SimpleNamespace(source_to=lambda node: node, sink_from=lambda node: node)
        self.speck2e = self.speck2f = SimpleNamespace(
            configuration=SimpleNamespace(SpeckConfiguration=objects.SpeckConfiguration),
            event=objects,
            validate_configuration=lambda _: (not self._faults.refuses, self._faults.refuses),
        )

    def hang(self, *_: object) -> None:
        """Stand-in for a call that does not return while the fake samna is there."""
        self.released.wait()

    def _unopened(self) -> list[objects.DeviceInfo]:
        return [
            info
            for i, info in enumerate(self._attached)
            if i not in self._faults.busy and not (info in self._by_info and self._by_info[info].open)
        ]

    def _open(self, info: objects.DeviceInfo) -> FakeDevice:
        if info not in self._unopened():
            raise RuntimeError(f"no device {info} is available")
        self._by_info[info] = device = FakeDevice(
            self._faults, self.stand_in_clock, *self._settings, self.hang, self._character
        )
        self.opened.append(device)
        return device

    def _close(self, device: FakeDevice) -> None:
        device.open = False


@contextlib.contextmanager
def fake_samna(
    boards: Sequence[str] = ("Speck2fDevKit",),
    faults: Faults | None = None,
    options: EventOptions | None = None,
    watts: Sequence[float] = IDLE_W,
    sensor: Events | None = None,
    character: Character | None = None,
) -> Iterator[FakeSamna]:
    """Put a fake samna in the place of the real one while the block lasts.

    Args:
        boards: types of the attached boards, as samna names them.
        faults: what goes wrong.
        options: how the chip settles what public text leaves open.
        watts: of the five rails.
        sensor: events that the board's sensor sends when its raw monitor is on.
        character: how the chip is made, where the simulator has no option for it.
    """
    before, fake = sys.modules.get("samna"), FakeSamna(boards, faults, options, watts, sensor, character)
    sys.modules["samna"] = fake
    try:
        yield fake
    finally:
        fake.released.set()
        if before is None:
            del sys.modules["samna"]
        else:
            sys.modules["samna"] = before
